"""Optimizer state: flat ranges of logical tensors, so that any topology reads just the ranges it owns.

Files hold 1-D fp32 pieces, keyed `KIND|NAME|START`; kinds are `master` (of adapters, which the model's files have merged,
and where the weights are not fp32 themselves) and the optimizer's moments by their names: `exp_avg` and `exp_avg_sq` of
AdamW, `momentum_buffer` of Muon.
"""

import threading
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from mai1.checkpoint.names import LocalTensor
from mai1.checkpoint.verify import NUM_THREADS
from mai1.engine.engine import Fragment

MASTER = "master"


@dataclass(slots=True)
class Piece:
    """Where a range of one logical tensor's state lies."""

    start: int
    numel: int
    file: str
    key: str

    @property
    def end(self) -> int:
        return self.start + self.numel


def pieces_table(rows: list[list]) -> dict[str, dict[str, list[list]]]:
    """The manifest's table: kind -> name -> [[start, numel, file, key], ...] sorted by start."""
    table: dict[str, dict[str, list[list]]] = {}
    for kind, name, *piece in rows:
        table.setdefault(kind, {}).setdefault(name, []).append(piece)
    for names in table.values():
        for pieces in names.values():
            pieces.sort()
    return table


def method_of(kinds: set[str]) -> str:
    """The `optim.method` that keeps moments of these names."""
    return "muon" if "momentum_buffer" in kinds else "adamw" if "exp_avg" in kinds else "none"


def fill_fragments(
    directory: Path, table: dict[str, dict[str, list[list]]], fragments: list[Fragment], local: dict[str, LocalTensor]
) -> None:
    """Fill moments and, where the checkpoint has them, masters; ValueError when a range of them is nowhere."""
    reader = StateReader(directory, table)

    def fill(fragment: Fragment) -> None:
        start = local[fragment.name].start + fragment.start
        masters = {MASTER: fragment.master} if fragment.name in table.get(MASTER, {}) else {}
        for kind, into in (fragment.moments | masters).items():
            reader.read(kind, fragment.name, start, into)

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        for _ in pool.map(fill, fragments):
            pass


class StateReader:
    """Reads any range of any logical tensor from the pieces that cover it; keeps files open. For many threads."""

    def __init__(self, directory: Path, table: dict[str, dict[str, list[list]]]) -> None:
        self.directory = directory
        self._pieces = {(kind, name): _cover(pieces) for kind, names in table.items() for name, pieces in names.items()}
        self._open: dict[str, safe_open] = {}
        self._lock = threading.Lock()

    @torch.no_grad()
    def read(self, kind: str, name: str, start: int, into: torch.Tensor) -> None:
        """Fill `into` with elements [start, start + len(into)) of the flat logical tensor."""
        pieces, filled = self._pieces.get((kind, name), []), 0
        while filled < into.numel():
            first = start + filled
            place = bisect_right(pieces, first, key=lambda piece: piece.start) - 1
            if place < 0 or pieces[place].end <= first:
                raise ValueError(f"{self.directory}: {kind} of {name} has no element {first}: use another checkpoint")
            piece = pieces[place]
            count = min(piece.end - first, into.numel() - filled)
            into[filled : filled + count].copy_(self._slice(piece, first - piece.start, count))
            filled += count

    def _slice(self, piece: Piece, skip: int, count: int) -> torch.Tensor:
        path = self.directory / piece.file
        try:
            with self._lock:
                if piece.file not in self._open:
                    self._open[piece.file] = safe_open(path, framework="pt").__enter__()
                whole = self._open[piece.file].get_tensor(piece.key)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} cannot be read ({error}): use another checkpoint") from None
        if whole.shape != (piece.numel,) or whole.dtype is not torch.float32:
            raise ValueError(f"{path}: {piece.key} is not what the manifest says: use another checkpoint")
        return whole[skip : skip + count]


def _cover(rows: list[list]) -> list[Piece]:
    """Pieces in order, those left out that add nothing to the ones before: two stages may hold one tied matrix."""
    pieces, end = [], -1
    for piece in sorted((Piece(*row) for row in rows), key=lambda piece: (piece.start, -piece.numel)):
        if piece.end > end:
            pieces.append(piece)
            end = piece.end
    return pieces
