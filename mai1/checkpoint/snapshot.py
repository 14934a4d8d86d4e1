"""What a rank writes of a checkpoint, copied to the host's memory while training waits, so that it can go on.

The copies lie in blocks that are kept from save to save: locked ones where the weights are on a GPU, so that the copy runs
at the bus's speed beside nothing else. They cost a rank as much host memory as it writes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from mai1.checkpoint.adapters import merged_weights
from mai1.checkpoint.model_plan import ModelFile
from mai1.checkpoint.names import LocalTensor, TensorName
from mai1.checkpoint.optimizer_state import MASTER
from mai1.engine.engine import Engine
from mai1.model.lora import is_factor

BLOCK_BYTES = 256 * 2**20
ALIGNMENT = 64
SMALLEST_FILE, LARGEST_FILE = 128 * 2**20, 2**30
"""Bytes of an optimizer file, where there is more than one."""


@dataclass(slots=True)
class Snapshot:
    """Files to be: tensors by file and name, and where each range of the optimizer state will lie."""

    files: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)
    rows: list[list] = field(default_factory=list)
    """[kind, name, start, numel, file, key] of each piece."""


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
    max_bytes = _optimizer_file_bytes(engine)
    rank, num_ranks = engine.world.rank, engine.world.size
    part, size, file = 0, 0, ""
    for fragment in engine.fragments():
        start = local[fragment.name].start + fragment.start
        is_weight = engine.dtype is torch.float32 and not is_factor(fragment.name)  # then the model's files have it
        masters = {} if is_weight else {MASTER: fragment.master}
        for kind, state in (masters | fragment.moments).items():
            num_bytes = state.numel() * state.element_size()
            if not file or size + num_bytes > max_bytes:
                file, part, size = _optimizer_file(rank, num_ranks, part), part + 1, 0
                snapshot.files[file] = {}
            key = f"{kind}|{fragment.name}|{start}"
            snapshot.files[file][key] = copy(state)
            snapshot.rows.append([kind, fragment.name, start, state.numel(), file, key])
            size += num_bytes


def _optimizer_file_bytes(engine: Engine) -> int:
    """Small enough to keep several threads busy, unless that makes many small files."""
    num_bytes = sum(4 * fragment.master.numel() * (1 + len(fragment.moments)) for fragment in engine.fragments())
    return min(LARGEST_FILE, max(SMALLEST_FILE, num_bytes // 8))


def _optimizer_file(rank: int, num_ranks: int, part: int) -> str:
    further = f"-part-{part + 1:03d}" if part else ""
    return f"trainer/optimizer-{rank + 1:05d}-of-{num_ranks:05d}{further}.safetensors"
