"""What a forward leaves for its backward, counted on the real model: every storage once, parameters left out."""

from collections.abc import Callable

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def saved_storages(model: nn.Module, forward: Callable[[], object]) -> dict[int, int]:
    """Bytes of each storage that autograd saves during `forward`, by its address."""
    known = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    found: dict[int, int] = {}
    kept = []  # an address may not be given to something else meanwhile

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage.nbytes()
            kept.append(storage)
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        kept.append(forward())
    return found


class Alive(TorchDispatchMode):
    """Follows every storage that an operation makes: how many bytes of them are there, and the most there ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._storages: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Called for every operation."""
        given = {_key(x) for x in tree_leaves((args, kwargs or {})) if isinstance(x, torch.Tensor)}
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and _key(tensor) not in given:
                storage = tensor.untyped_storage()
                self._storages[_key(tensor)] = (StorageWeakRef(storage), storage.nbytes())
        self.peak = max(self.peak, self.bytes)
        return result

    @property
    def bytes(self) -> int:
        """Of the storages that are still there."""
        self._storages = {key: entry for key, entry in self._storages.items() if not entry[0].expired()}
        return sum(num_bytes for _, num_bytes in self._storages.values())


def _key(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata
