"""Optimizer state: flat ranges of logical tensors, so that any topology reads just the ranges it owns.

Files hold 1-D fp32 pieces, which `pieces.py` finds; kinds are `master` (of adapters, which the model's files have merged,
and where the weights are not fp32 themselves) and the optimizer's moments by their names: `exp_avg` and `exp_avg_sq` of
AdamW, `momentum_buffer` of Muon.
"""

import threading
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from mai1.checkpoint.names import LocalTensor
from mai1.checkpoint.pieces import Rows, Run, key_of, optimizer_file
from mai1.checkpoint.verify import NUM_THREADS
from mai1.engine.engine import Fragment

MASTER = "master"


def method_of(kinds: set[str]) -> str:
    """The `optim.method` that keeps moments of these names."""
    return "muon" if "momentum_buffer" in kinds else "adamw" if "exp_avg" in kinds else "none"


def fill_fragments(reader: "StateReader", fragments: list[Fragment], local: dict[str, LocalTensor]) -> None:
    """Fill moments and, where the checkpoint has them, masters; ValueError when a range of them is nowhere."""

    def fill(fragment: Fragment) -> None:
        start = local[fragment.name].start + fragment.start
        masters = {MASTER: fragment.master} if reader.has(MASTER, fragment.name) else {}
        for kind, into in (fragment.moments | masters).items():
            reader.read(kind, fragment.name, start, into)

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        for _ in pool.map(fill, fragments):
            pass


class StateReader:
    """Reads any range of any logical tensor from the pieces that cover it; keeps files open. For many threads."""

    def __init__(self, directory: Path, table: Rows, *, num_ranks: int) -> None:
        """`table` is the manifest's; `num_ranks` is how many wrote it, its `world_size`."""
        self.directory, self._num_ranks = directory, num_ranks
        self._runs = {(kind, name): _cover(rows) for kind, names in table.items() for name, rows in names.items()}
        self._open: dict[str, safe_open] = {}
        self._lock = threading.Lock()

    def has(self, kind: str, name: str) -> bool:
        """Whether anything of a tensor is there."""
        return (kind, name) in self._runs

    @torch.no_grad()
    def read(self, kind: str, name: str, start: int, into: torch.Tensor) -> None:
        """Fill `into` with elements [start, start + len(into)) of the flat logical tensor."""
        runs, filled = self._runs.get((kind, name), []), 0
        while filled < into.numel():
            first = start + filled
            place = bisect_right(runs, first, key=lambda run: run.start) - 1
            if place < 0 or runs[place].end <= first:
                raise ValueError(f"{self.directory}: {kind} of {name} has no element {first}: use another checkpoint")
            run = runs[place]
            number, skip = divmod(first - run.start, run.numel)
            count = min(run.numel - skip, into.numel() - filled)
            file = optimizer_file(run.rank + number * run.every, num_ranks=self._num_ranks, part=run.part)
            piece = self._piece(file, key_of(kind, name, first - skip), run.numel)
            into[filled : filled + count].copy_(piece[skip : skip + count])
            filled += count

    def _piece(self, file: str, key: str, numel: int) -> torch.Tensor:
        path = self.directory / file
        try:
            with self._lock:
                if file not in self._open:
                    self._open[file] = safe_open(path, framework="pt").__enter__()
                piece = self._open[file].get_tensor(key)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} cannot be read ({error}): use another checkpoint") from None
        if piece.shape != (numel,) or piece.dtype is not torch.float32:
            raise ValueError(f"{path}: {key} is not what the manifest says: use another checkpoint")
        return piece


def _cover(rows: list[list[int]]) -> list[Run]:
    """Runs in order, those left out that add nothing to the ones before: two stages may hold one tied matrix."""
    runs, end = [], -1
    for run in sorted((Run(*row) for row in rows), key=lambda run: (run.start, -run.end)):
        if run.end > end:
            runs.append(run)
            end = run.end
    return runs
