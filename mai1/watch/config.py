"""What can be told to the watch over a run, and to the supervisor that starts it again."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(kw_only=True, slots=True)
class WatchConfig:
    stuck_after_s: float = 300.0
    """Seconds without a finished step after which a rank counts as stuck: the stacks of all ranks are written to
    runs/NAME/logs and the ranks ended. Below engine.timeout_s, or collectives give up before. 0 turns the monitor off."""
    pause_after_s: float = 1800.0
    """The same for what takes longer than a step: start-up with the first step, evaluation, saving, the end of the run."""
    check_collectives: bool = False
    """Compare every collective with the other ranks' before it runs, and end at once where they differ: for finding a bug,
    it costs a further exchange for each. Without it, the report on a stuck run names the collective that differs."""
    straggler_factor: float = 1.5
    """A rank whose own time for a step, without waiting for others, is this many times the median is a straggler; 0: off."""
    straggler_steps: int = 3
    """Logged steps in a row after which a straggler is named."""
    digest_every: int = 100
    """Steps between comparisons of the weights that several ranks hold alike, bit for bit; one that differs ends the run. Under
    engine.zero_stage=3 only selection biases are held alike. 0: off."""

    def __post_init__(self) -> None:
        for key in ("stuck_after_s", "pause_after_s", "straggler_factor", "digest_every"):
            if not 0 <= getattr(self, key) < math.inf:
                raise ValueError(
                    f"watch.{key}={getattr(self, key)} must not be negative or infinite: use 0 to turn it off"
                )
        if self.stuck_after_s and self.pause_after_s < self.stuck_after_s:
            raise ValueError(
                f"watch.pause_after_s={self.pause_after_s} must be at least watch.stuck_after_s={self.stuck_after_s}: "
                "start-up, evaluation and saving take longer than a step"
            )
        if 0 < self.straggler_factor <= 1:
            raise ValueError(f"watch.straggler_factor={self.straggler_factor} must be above 1: use 1.5, or 0 for off")
        if self.straggler_steps < 1:
            raise ValueError(f"watch.straggler_steps={self.straggler_steps} must be at least 1")


@dataclass(kw_only=True, slots=True)
class LaunchConfig:
    ranks: int = 0
    """Processes on this machine that the command starts, watches over and starts again after a failure. 0: the command
    trains itself, alone or as one of the ranks that torchrun, Slurm or DeepSpeed started."""
    max_restarts: int = 100
    """Restarts of one command after which a failure ends it."""
    max_futile_restarts: int = 3
    """Restarts in a row without a new checkpoint between them after which a failure ends the command: what failed there
    three times will fail again."""
    stop_within_s: float = 600.0
    """Seconds that ranks have to finish their step and save when the command is asked to stop."""

    def __post_init__(self) -> None:
        for key in ("ranks", "max_restarts", "max_futile_restarts"):
            if getattr(self, key) < 0:
                raise ValueError(f"launch.{key}={getattr(self, key)} must not be negative: use 0 for none")
        if not 0 < self.stop_within_s < math.inf:
            raise ValueError(f"launch.stop_within_s={self.stop_within_s} must be above 0")

    def starts_ranks(self, environment: Mapping[str, str]) -> bool:
        """Whether this process is to be the supervisor; False in the ranks that a supervisor started.

        ValueError where another launcher started another number of ranks.
        """
        if not self.ranks:
            return False
        size = environment.get("WORLD_SIZE")
        if size is not None and int(size) != self.ranks:
            raise ValueError(
                f"launch.ranks={self.ranks} but a launcher started {size} ranks: leave launch.ranks out, or start the "
                "command by itself"
            )
        return size is None
