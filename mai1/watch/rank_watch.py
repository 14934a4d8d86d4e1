"""Everything that watches one rank while it trains: the loop says where it is, and asks at logged steps."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mai1.dist import World
from mai1.watch.config import WatchConfig
from mai1.watch.heartbeat import Heartbeat, Phase
from mai1.watch.replicas import Replica, check_replicas
from mai1.watch.stragglers import Straggler, StragglerWatch
from mai1.watch.waits import WaitClock
from mai1.watch.witness import start_monitor


class RankWatch:
    """One rank's heartbeat, its own time, and its copies of what others hold as well."""

    def __init__(self, config: WatchConfig, world: World, *, heartbeat: Heartbeat) -> None:
        self._config, self._world, self._heartbeat = config, world, heartbeat
        self._stragglers, self._own_s = StragglerWatch(config, world), None

    @classmethod
    def start(cls, config: WatchConfig, world: World, *, logs: Path) -> "RankWatch":
        """Start the monitor of this rank; every rank must call this. Reports on stuck ranks go to `logs`."""
        return cls(config, world, heartbeat=start_monitor(config, world, logs=logs))

    @classmethod
    def off(cls, world: World) -> "RankWatch":
        """Watches nothing."""
        return cls(WatchConfig(stuck_after_s=0, straggler_factor=0, digest_every=0), world, heartbeat=Heartbeat())

    def beat(self, phase: Phase, step: int) -> None:
        """The rank is alive, in this phase, with so many steps done."""
        self._heartbeat.beat(phase, step)

    def close(self) -> None:
        """The run is over: the monitor ends, also where the process goes on."""
        self.beat(Phase.over, 0)

    @contextmanager
    def timed(self, *, is_measured: bool) -> Iterator[None]:
        """Around a step: with `is_measured`, how long it takes without waiting for other ranks."""
        self._own_s = None
        if not is_measured or not self._config.straggler_factor or self._world.size == 1:
            yield
            return
        with WaitClock(self._world.device) as clock:
            yield
        self._own_s = clock.own_s

    def after_step(self, step: int, replicas: Callable[[], Iterable[Replica]]) -> list[Straggler]:
        """The stragglers, if the step was measured; every rank must call this after every step.

        ReplicasDifferError when it is time to compare replicas and they differ.
        """
        self.beat(Phase.train, step)
        if self._config.digest_every and step % self._config.digest_every == 0 and self._world.size > 1:
            check_replicas(replicas(), self._world, step=step)
        return [] if self._own_s is None else self._stragglers.judge(self._own_s)
