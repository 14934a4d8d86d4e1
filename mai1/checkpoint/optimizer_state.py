"""Optimizer files: flat ranges of logical tensors, so that any topology reads just the ranges it owns.

Each rank writes one safetensors file of 1-D fp32 pieces, keyed `KIND|NAME|START`; kinds are `master` (only where the
weights are not fp32 themselves), `exp_avg` and `exp_avg_sq`.
"""

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from mai1.checkpoint.commit import write_tensors
from mai1.checkpoint.names import local_tensors
from mai1.engine.engine import MOMENTS, Engine

MASTER = "master"


@dataclass(slots=True)
class Piece:
    """Where a range of one logical tensor's state lies."""

    start: int
    numel: int
    file: str
    key: str


def write_optimizer(stage: Path, engine: Engine) -> tuple[list[Path], list[list]]:
    """Write what this rank owns; returns the file, fsynced, and rows [kind, name, start, numel, file, key]."""
    world, local = engine.world, local_tensors(engine.model)
    file = f"trainer/optimizer-{world.rank + 1:05d}-of-{world.size:05d}.safetensors"
    tensors, rows = {}, []
    for fragment in engine.fragments():
        start = local[fragment.name].start + fragment.start
        states = dict(fragment.moments)
        if engine.dtype is not torch.float32:
            states[MASTER] = fragment.master
        for kind, tensor in states.items():
            key = f"{kind}|{fragment.name}|{start}"
            tensors[key] = tensor.detach().cpu().contiguous()
            rows.append([kind, fragment.name, start, tensor.numel(), file, key])
    path = stage / file
    write_tensors(path, tensors)
    return [path], rows


def pieces_table(rows: list[list]) -> dict[str, dict[str, list[list]]]:
    """The manifest's table: kind -> name -> [[start, numel, file, key], ...] sorted by start."""
    table: dict[str, dict[str, list[list]]] = {}
    for kind, name, *piece in rows:
        table.setdefault(kind, {}).setdefault(name, []).append(piece)
    for names in table.values():
        for pieces in names.values():
            pieces.sort()
    return table


@torch.no_grad()
def read_optimizer(directory: Path, manifest: dict, engine: Engine, *, step: int) -> None:
    """Fill this rank's masters and moments from a checkpoint of any topology; `step` updates count as made."""
    engine.copy_weights_to_master()
    if step == 0:
        return
    engine.restore_optimizer(step)
    reader, local = _Reader(directory, manifest["optimizer"]), local_tensors(engine.model)
    for fragment in engine.fragments():
        start = local[fragment.name].start + fragment.start
        for kind in MOMENTS:
            reader.read(kind, fragment.name, start, fragment.moments[kind])
        if MASTER in manifest["optimizer"]:
            reader.read(MASTER, fragment.name, start, fragment.master)
    if MASTER in manifest["optimizer"]:
        engine.copy_master_to_weights()


class _Reader:
    """Reads any range of any logical tensor from the pieces that cover it; keeps files open."""

    def __init__(self, directory: Path, table: dict[str, dict[str, list[list]]]) -> None:
        self.directory = directory
        self.pieces = {
            (kind, name): [Piece(*piece) for piece in pieces]
            for kind, names in table.items()
            for name, pieces in names.items()
        }
        self._open: dict[str, safe_open] = {}

    def read(self, kind: str, name: str, start: int, into: torch.Tensor) -> None:
        """Fill `into` with elements [start, start + len(into)) of the flat logical tensor."""
        pieces, filled = self.pieces.get((kind, name), []), 0
        place = bisect_right([piece.start for piece in pieces], start) - 1
        while filled < into.numel():
            piece = pieces[place] if 0 <= place < len(pieces) else None
            skip = start + filled - piece.start if piece else -1
            if piece is None or not 0 <= skip < piece.numel:
                raise ValueError(f"{self.directory}: {kind} of {name} has no element {start + filled}")
            count = min(piece.numel - skip, into.numel() - filled)
            into[filled : filled + count].copy_(self._slice(piece, skip, count))
            filled, place = filled + count, place + 1

    def _slice(self, piece: Piece, skip: int, count: int) -> torch.Tensor:
        try:
            if piece.file not in self._open:
                self._open[piece.file] = safe_open(self.directory / piece.file, framework="pt").__enter__()
            return self._open[piece.file].get_slice(piece.key)[skip : skip + count]
        except (SafetensorError, OSError) as error:
            raise ValueError(
                f"{self.directory / piece.file} cannot be read ({error}): use another checkpoint"
            ) from None
