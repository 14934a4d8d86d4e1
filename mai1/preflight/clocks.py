"""How far apart the clocks of the ranks are, each with the error of the measurement.

In an all-reduce no rank can leave before every rank has come. So with a_r and b_r the moments, by its own clock, at which
rank r enters and leaves, its clock's offset o_r from rank 0's obeys  a_r - b_0 <= o_r <= b_r - a_0,  whatever the network
does. This is NTP's bound (RFC 5905, section 8) with a collective in place of a packet: all ranks are measured at once, and the
bounds of several rounds are cut with each other.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from mai1.dist import World, gather_tensor, sum_tensor_over_ranks
from mai1.preflight.problem import Problem, named, nodes_of

ROUNDS = 16


@dataclass(frozen=True, slots=True)
class Offset:
    """Of one rank's clock from the median rank's."""

    seconds: float
    error_s: float
    """The offset is surely within so much of `seconds`."""

    @property
    def at_least_s(self) -> float:
        """How far away the clock is for sure."""
        return max(0.0, abs(self.seconds) - self.error_s)


def clock_offsets(world: World, *, clock: Callable[[], float] = time.time) -> list[Offset]:
    """The offset of every rank, on every rank; every rank must call this."""
    token, stamps = torch.zeros(1, device=world.device), []
    for _ in range(ROUNDS):
        entered = clock()
        sum_tensor_over_ranks(token, world)
        token.item()  # on a GPU the collective is only queued until somebody looks
        stamps.append((entered, clock()))
    start = min(entered for entered, _ in stamps)
    shared = gather_tensor(torch.tensor([start], dtype=torch.float64, device=world.device), world)[0]
    relative = torch.tensor(stamps, dtype=torch.float64, device=world.device) - shared
    return offsets_from(gather_tensor(relative, world).cpu())


def offsets_from(stamps_NK2: torch.Tensor) -> list[Offset]:
    """Offsets from the moments at which N ranks entered and left K collectives, by their own clocks."""
    entered_NK, left_NK = stamps_NK2.unbind(-1)
    low_N = (entered_NK - left_NK[0]).amax(1)
    high_N = (left_NK - entered_NK[0]).amin(1)
    middle_N, error_N = (low_N + high_N) / 2, (high_N - low_N).abs() / 2
    median, place = middle_N.median(0)
    return [
        Offset(*pair) for pair in zip((middle_N - median).tolist(), (error_N + error_N[place]).tolist(), strict=True)
    ]


def clock_problems(offsets: Sequence[Offset], hosts: Sequence[str], *, limit_s: float) -> list[Problem]:
    """Clocks that are surely farther away than the limit; 0 allows any."""
    wrong = [rank for rank, offset in enumerate(offsets) if limit_s and offset.at_least_s > limit_s]
    if not wrong:
        return []
    worst = max(wrong, key=lambda rank: offsets[rank].at_least_s)
    message = (
        f"the clock of {named(wrong, hosts)} is {offsets[worst].seconds:+.3f} s (to {offsets[worst].error_s:.3f} s) away from "
        f"the others', more than preflight.max_clock_skew_s={limit_s:g}: let chrony or ntpd set it, or leave the node out"
    )
    return [Problem("clocks", message, nodes_of(wrong, hosts))]
