"""What a rank writes of a checkpoint, copied to the host's memory while training waits, so that it can go on.

The copies lie in blocks that are kept from save to save: locked ones where the weights are on a GPU, so that the copy runs
at the bus's speed beside nothing else. They cost a rank as much host memory as it writes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from mai1.checkpoint.adapters import merged_weights
from mai1.checkpoint.model_plan import ModelFile
from mai1.checkpoint.names import LocalTensor, TensorName
from mai1.checkpoint.optimizer_state import MASTER
from mai1.checkpoint.pieces import key_of, optimizer_file
from mai1.engine.engine import Engine, Fragment
from mai1.model.lora import is_factor

BLOCK_BYTES = 256 * 2**20
ALIGNMENT = 64
SMALLEST_FILE, LARGEST_FILE = 128 * 2**20, 2**30
"""Bytes of an optimizer file, where a rank has more than one: several keep its threads busy, many burden the file system."""
MANY_RANKS = 512
"""So many have one file each where that is not too large: the directory and the manifest have a line for each."""


@dataclass(slots=True)
class Snapshot:
    """Files to be: tensors by file and name, and where each range of the optimizer state will lie."""

    files: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)
    rows: list[list] = field(default_factory=list)
    """[kind, name, *run] of the pieces that this rank tells of: its own, or those of a group that cuts by one rule."""


class HostMemory:
    """Memory for copies, handed out in order and all taken back at once."""

    def __init__(self, device: torch.device) -> None:
        self._is_locked = device.type == "cuda"
        self._blocks: list[torch.Tensor] = []
        self._block, self._used = 0, 0

    def restart(self) -> None:
        """Take everything back: copies made so far may be overwritten."""
        self._block, self._used = 0, 0

    def copy(self, tensor: torch.Tensor) -> torch.Tensor:
        """A copy, complete once `finish` has returned."""
        num_bytes = tensor.numel() * tensor.element_size()
        room = self._room(num_bytes)[:num_bytes]
        host = room.view(tensor.dtype).view(tensor.shape)
        host.copy_(tensor.detach(), non_blocking=self._is_locked)
        return host

    def finish(self) -> None:
        """Wait until all copies are complete."""
        if self._is_locked:
            torch.cuda.synchronize()

    def _room(self, num_bytes: int) -> torch.Tensor:
        while self._block < len(self._blocks):
            block = self._blocks[self._block]
            if len(block) - self._used >= num_bytes:
                room = block[self._used :]
                self._used += -(-num_bytes // ALIGNMENT) * ALIGNMENT
                return room
            self._block, self._used = self._block + 1, 0
        block = torch.empty(max(num_bytes, BLOCK_BYTES), dtype=torch.uint8)
        if self._is_locked:
            status = int(torch.cuda.cudart().cudaHostRegister(block.data_ptr(), len(block), 1))
            assert status == 0, f"cudaHostRegister: {status}"
        self._blocks.append(block)
        return self._room(num_bytes)


@torch.no_grad()
def take_snapshot(
    engine: Engine, plan: list[ModelFile], local: dict[str, LocalTensor], *, memory: HostMemory
) -> Snapshot:
    """Copy the weights this rank is to write and the optimizer state it owns; every rank must call this."""
    memory.restart()
    snapshot = Snapshot()
    _copy_weights(engine, plan, local, snapshot, memory.copy)
    _copy_optimizer(engine, local, snapshot, memory.copy)
    memory.finish()
    return snapshot


Copy = Callable[[torch.Tensor], torch.Tensor]


def _copy_weights(
    engine: Engine, plan: list[ModelFile], local: dict[str, LocalTensor], snapshot: Snapshot, copy: Copy
) -> None:
    mine: dict[str, list[tuple[str, TensorName]]] = {}
    for entry in plan:
        if entry.writer == engine.world.rank:
            snapshot.files[entry.file] = {}
            for tensor in entry.tensors:
                mine.setdefault(tensor.name, []).append((entry.file, tensor))
    for name, whole in merged_weights(engine):
        copies: dict[tuple[int, int], torch.Tensor] = {}  # a repeated tensor is written twice and copied once
        for file, tensor in mine.get(name, ()):
            start = tensor.start - local[name].start
            if (start, tensor.numel) not in copies:
                copies[start, tensor.numel] = copy(whole.reshape(-1)[start : start + tensor.numel])
            snapshot.files[file][tensor.hf_name] = copies[start, tensor.numel].view(tensor.shape)


def _copy_optimizer(engine: Engine, local: dict[str, LocalTensor], snapshot: Snapshot, copy: Copy) -> None:
    rank, num_ranks = engine.world.rank, engine.world.size
    for kind, fragment, part in _in_files(engine):
        first = local[fragment.name].start
        state = fragment.master if kind == MASTER else fragment.moments[kind]
        snapshot.rows += [[kind, fragment.name, *run] for run in runs_of(fragment, first, rank=rank, part=part)]
        if state.numel():
            file = optimizer_file(rank, num_ranks=num_ranks, part=part)
            key = key_of(kind, fragment.name, first + fragment.start)
            snapshot.files.setdefault(file, {})[key] = copy(state)


def _in_files(engine: Engine) -> Iterator[tuple[str, Fragment, int]]:
    """Each kind of state of each fragment, and which of this rank's files it goes to.

    Parts that are cut by one rule go to the same of their ranks' files, so they count as if all were of full size.
    """
    fragments = list(engine.fragments())
    kinds_of = [[*([] if _is_in_model_files(f, engine) else [MASTER]), *f.moments] for f in fragments]
    sizes = [4 * (f.cut.size if f.cut else f.master.numel()) for f in fragments]
    total = sum(size * len(kinds) for size, kinds in zip(sizes, kinds_of, strict=True))
    smallest = SMALLEST_FILE if engine.world.size < MANY_RANKS else LARGEST_FILE
    max_bytes, part, used = min(LARGEST_FILE, max(smallest, total // 8)), 0, 0
    for fragment, kinds, size in zip(fragments, kinds_of, sizes, strict=True):
        for kind in kinds:
            if used and used + size > max_bytes:
                part, used = part + 1, 0
            used += size
            yield kind, fragment, part


def _is_in_model_files(fragment: Fragment, engine: Engine) -> bool:
    """Whether its masters are the weights themselves."""
    return engine.dtype is torch.float32 and not is_factor(fragment.name)


def runs_of(fragment: Fragment, first: int, *, rank: int, part: int) -> list[tuple[int, ...]]:
    """What this rank tells of a fragment whose parameter begins at `first`; of a cut, its first rank tells it all."""
    cut = fragment.cut
    if cut is None:
        return [(first + fragment.start, fragment.master.numel(), 1, rank, 0, part)]
    if rank != cut.ranks[0]:
        return []
    whole, rest = divmod(cut.numel, cut.size)
    runs = [(first, cut.size, whole, rank, cut.ranks.step if whole > 1 else 0, part)] if whole else []
    return runs + ([(first + whole * cut.size, rest, 1, cut.ranks[whole], 0, part)] if rest else [])
