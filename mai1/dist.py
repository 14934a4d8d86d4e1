"""The processes of a run: who am I, say it once, and add up small numbers over all ranks.

The world is started by torchrun, the deepspeed launcher or srun (which set RANK, WORLD_SIZE, LOCAL_RANK), or is just
this one process. Nothing here pickles: what ranks tell each other are tensors and JSON.
"""

import ctypes
import datetime
import json
import os
import sys
from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True, slots=True)
class World:
    """This process's place among all."""

    rank: int
    size: int
    local_rank: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Rank 0 writes logs, metrics and manifests."""
        return self.rank == 0

    def say(self, message: str) -> None:
        """Print one line on rank 0, at once."""
        if self.is_main:
            print(message, file=sys.stderr, flush=True)


def start_world(*, timeout_s: float = 600.0, check_collectives: bool = False) -> World:
    """Join the process group the launcher describes, or make one of one process: NCCL on GPUs, gloo on CPUs.

    With `check_collectives` every collective is compared with the other ranks' before it runs.
    """
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        keep_freed_memory()
    if not dist.is_initialized():
        timeout = datetime.timedelta(seconds=timeout_s)
        backend = "nccl" if device.type == "cuda" else "gloo"
        if check_collectives:
            dist.set_debug_level(dist.DebugLevel.DETAIL)
        if size == 1:
            dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1, timeout=timeout)
        else:
            dist.init_process_group(backend, timeout=timeout)
    return World(rank, size, local_rank, device)


def keep_freed_memory() -> None:
    """Let the C library keep large blocks that are freed, for the next step, instead of giving them back to the system.

    Otherwise every step gets the same memory anew and the system clears it page by page, which on a CPU takes up to a
    quarter of an MoE layer's time. Only glibc has this; elsewhere nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Keys of glibc's malloc.h."""


def stop_world() -> None:
    """Leave the process group; harmless when there is none."""
    if dist.is_initialized():
        dist.destroy_process_group()


def sum_over_ranks(values: list[float], world: World) -> list[float]:
    """Add each value over all ranks, in fp64."""
    total = torch.tensor(values, dtype=torch.float64, device=world.device)
    if world.size > 1:
        dist.all_reduce(total)
    return total.tolist()


def sum_tensor_over_ranks(tensor: torch.Tensor, world: World) -> torch.Tensor:
    """Add a tensor over all ranks, in place."""
    if world.size > 1:
        dist.all_reduce(tensor)
    return tensor


def sum_tensor_over_group(tensor: torch.Tensor, group: dist.ProcessGroup | None) -> torch.Tensor:
    """Add a tensor over the ranks of a group, in place; without a group each rank is its own."""
    if group is not None:
        dist.all_reduce(tensor, group=group)
    return tensor


def gather_tensor(tensor: torch.Tensor, world: World) -> torch.Tensor:
    """Every rank's tensor of one shape, on every rank, stacked in rank order."""
    if world.size == 1:
        return tensor[None]
    parts = tensor.new_empty(world.size, *tensor.shape)
    dist.all_gather_single(parts.view(-1), tensor.reshape(-1))
    return parts


def gather_json(value: object, world: World) -> list:
    """Every rank's JSON value, on every rank, in rank order."""
    if world.size == 1:
        return [value]
    text = json.dumps(value).encode()
    data = torch.frombuffer(bytearray(text), dtype=torch.uint8).to(world.device)
    sizes = gather_tensor(torch.tensor(len(data), device=world.device), world).tolist()
    padded = torch.cat((data, data.new_zeros(max(sizes) - len(data))))
    parts = gather_tensor(padded, world).cpu().numpy()
    return [json.loads(part[:size].tobytes()) for part, size in zip(parts, sizes, strict=True)]


def barrier(world: World) -> None:
    """Wait for every rank."""
    if world.size > 1:
        dist.barrier()
