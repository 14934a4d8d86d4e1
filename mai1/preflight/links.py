"""What is timed on the nodes: products of matrices, exchanges between two ranks, and collectives of all.

Legend: N ranks, R rounds, K repeats.
"""

import time
from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist

from mai1.dist import World, barrier, gather_tensor

MATRIX_SIZES = {"cuda": 8192, "cpu": 256}
PRODUCTS = 10
"""Timed together: a GPU needs some milliseconds of work before its clock says anything."""


class Links:
    """The ways between ranks; each method must be called by every rank, `exchange` by both partners."""

    def __init__(self, world: World, *, message_bytes: float) -> None:
        num_elements = max(1, round(message_bytes / 4 / world.size)) * world.size
        self.message_bytes = num_elements * 4
        self._sent = torch.zeros(num_elements, device=world.device)
        self._received = torch.empty_like(self._sent)

    def all_reduce(self) -> None:
        """Every rank's message added up on every rank."""
        dist.all_reduce(self._sent)

    def all_to_all(self) -> None:
        """An equal part of every rank's message to every other."""
        dist.all_to_all_single(self._received, self._sent)

    def exchange(self, partner: int) -> None:
        """A message to and from one other rank, at the same time."""
        both = [dist.P2POp(dist.isend, self._sent, partner), dist.P2POp(dist.irecv, self._received, partner)]
        for work in dist.batch_isend_irecv(both):
            work.wait()


def time_together(action: Callable[[], None] | None, world: World, *, repeats: int) -> list[float]:
    """Seconds of each repeat of what ranks do at the same time, after one that is not timed; inf where this rank has no part.

    All ranks start together, so that nobody's time has waiting for a late partner in it.
    """
    seconds = []
    for _ in range(repeats + 1):
        barrier(world)
        _finish(world)
        started = time.perf_counter()
        if action is not None:
            action()
        _finish(world)
        seconds.append(time.perf_counter() - started if action is not None else float("inf"))
    return seconds[1:]


def time_exchanges(
    links: Links, world: World, partners: Sequence[Sequence[int | None]], *, repeats: int
) -> torch.Tensor:
    """Seconds [N, R, K] of every rank's exchanges with its partner of each round, on every rank; inf where it had none."""
    seconds = []
    for of_round in partners:
        partner = of_round[world.rank]
        action = None if partner is None else lambda partner=partner: links.exchange(partner)
        seconds.append(time_together(action, world, repeats=repeats))
    mine = torch.tensor(seconds, dtype=torch.float64, device=world.device).reshape(len(partners), repeats)
    return gather_tensor(mine, world).cpu()


def time_products(world: World, *, repeats: int) -> torch.Tensor:
    """Seconds [N, 1, K] that every rank needs for the same products of matrices, on every rank.

    On CPUs the process's own time, which other programs on the machine do not lengthen by taking turns.
    """
    kind = world.device.type
    size, dtype = MATRIX_SIZES[kind], torch.bfloat16 if kind == "cuda" else torch.float32
    clock = time.perf_counter if kind == "cuda" else time.process_time
    left, right = (torch.ones(size, size, device=world.device, dtype=dtype) for _ in range(2))
    out, seconds = torch.empty_like(left), []
    for _ in range(repeats + 1):
        _finish(world)
        started = clock()
        for _ in range(PRODUCTS):
            torch.mm(left, right, out=out)
        _finish(world)
        seconds.append(clock() - started)
    return gather_tensor(torch.tensor([seconds[1:]], dtype=torch.float64, device=world.device), world).cpu()


def collective_seconds(action: Callable[[], None], world: World, *, repeats: int) -> float:
    """The median repeat's seconds of a collective, of the rank that took longest in it; the same on every rank."""
    mine = torch.tensor(time_together(action, world, repeats=repeats), dtype=torch.float64, device=world.device)
    return float(gather_tensor(mine, world).amax(0).median())


def _finish(world: World) -> None:
    if world.device.type == "cuda":
        torch.cuda.synchronize(world.device)
