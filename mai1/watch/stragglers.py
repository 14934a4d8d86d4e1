"""A rank that is slower than the others, by name: in synchronous training all ranks' steps take as long as its own."""

import socket
from dataclasses import dataclass

import torch

from mai1.dist import World, gather_json, gather_tensor
from mai1.watch.config import WatchConfig

MIN_LATE_S = 0.02
"""A rank that is later than the median by less is no straggler, whatever the factor: tiny steps vary."""


@dataclass(frozen=True, slots=True)
class Straggler:
    """A rank that was slow for several measured steps in a row."""

    rank: int
    host: str
    factor: float
    """Its own time over the median rank's, in the last of them."""
    own_s: float
    """Seconds of that step in which it did not wait for others."""

    def __str__(self) -> str:
        return (
            f"rank {self.rank} on {self.host} is a straggler: {self.own_s:.3f} s of its own a step, {self.factor:.1f} times "
            "the median, and all others wait for it"
        )


class StragglerWatch:
    """Compares the ranks' own times for a step, and remembers how often each was slow in a row."""

    def __init__(self, config: WatchConfig, world: World) -> None:
        self._config, self._world = config, world
        self._hosts = gather_json(socket.gethostname(), world)
        self._slow_steps = [0] * world.size

    def judge(self, own_s: float) -> list[Straggler]:
        """The ranks that are stragglers now, on every rank; every rank must call this, with its own seconds."""
        if not self._config.straggler_factor or self._world.size == 1:
            return []
        mine = torch.tensor(own_s, dtype=torch.float64, device=self._world.device)
        times = gather_tensor(mine, self._world)
        median = float(times.median())  # of an even number the lower one: of two ranks the slow one stands out
        found = []
        for rank, seconds in enumerate(times.tolist()):
            is_slow = seconds > self._config.straggler_factor * median and seconds - median > MIN_LATE_S
            self._slow_steps[rank] = self._slow_steps[rank] + 1 if is_slow else 0
            if self._slow_steps[rank] >= self._config.straggler_steps:
                found.append(Straggler(rank, self._hosts[rank], seconds / max(median, 1e-9), seconds))
        return found
