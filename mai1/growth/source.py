"""The checkpoint that grows, read tensor by tensor under our names: weights, masters and moments."""

from pathlib import Path

import torch

from mai1.checkpoint.names import TensorName
from mai1.checkpoint.optimizer_state import MASTER, StateReader
from mai1.checkpoint.pieces import Rows
from mai1.checkpoint.weights import SavedTensors

WEIGHT = "weight"
"""The kind of what is no optimizer state."""


class Source:
    """Tensors by our name and place in the flat logical tensor, as fp32."""

    def __init__(self, directory: Path, names: list[TensorName], table: Rows, *, num_ranks: int = 1) -> None:
        """`names` are those that its files have; `table` is the manifest's of the optimizer state, empty without one.

        `num_ranks` is how many ranks wrote it.
        """
        self.directory, self.table = directory, table
        self._tensors = SavedTensors(directory)
        self._names = {(tensor.name, tensor.start): tensor for tensor in names if not tensor.is_repeated}
        self._state = StateReader(directory, table, num_ranks=num_ranks)

    def kinds_of(self, name: str) -> list[str]:
        """The kinds of optimizer state that it has of a tensor."""
        return [kind for kind, names in self.table.items() if name in names]

    def dtype_of(self, name: str, start: int) -> torch.dtype:
        """The type its weights have."""
        return self._tensors.read(self._names[name, start]).dtype

    def read(self, kind: str, name: str, start: int, shape: tuple[int, ...]) -> torch.Tensor:
        """A new fp32 tensor; weights from their masters, where there are some. ValueError when a file cannot be read."""
        if kind == WEIGHT and name not in self.table.get(MASTER, {}):
            tensor = self._names[name, start]
            return self._tensors.read(tensor).to(torch.float32, copy=True).view(shape)
        value = torch.empty(shape)
        self._state.read(MASTER if kind == WEIGHT else kind, name, start, value.view(-1))
        return value
