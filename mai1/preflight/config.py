"""What the check of the nodes can be told: which parts of it are made, and what counts as unfit."""

import math
from dataclasses import dataclass
from enum import Enum


class Checks(Enum):
    """How much is looked at."""

    off = "off"
    quick = "quick"
    full = "full"


@dataclass(kw_only=True, slots=True)
class PreflightConfig:
    checks: Checks = Checks.full
    """off | quick: versions, clocks, disk and memory, in about a second | full: also how fast every rank computes and
    exchanges data with others, in some seconds more."""
    max_clock_skew_s: float = 1.0
    """Seconds that a node's clock may be away from the others', beyond what the measurement leaves open. 0: any."""
    checkpoint_gib: float = 0.0
    """GiB of one checkpoint, as `mai1 plan` says: the disk must have that much free. 0: not compared; a training command compares
    with its own model's by itself."""
    min_fsyncs_per_s: float = 0.0
    """Small files' fsyncs a second that every node must reach. 0: measured only."""
    min_write_mib_s: float = 0.0
    """MiB a second that every node must write and fsync, all nodes at the same time. 0: measured only."""
    min_memory_gib: float = 0.0
    """GiB of host memory that every node must have available. 0: measured only."""
    min_all_reduce_gb_s: float = 0.0
    """Floor of the all-reduce over all ranks, in GB a second and rank (bus bandwidth as in nccl-tests). 0: measured only."""
    min_all_to_all_gb_s: float = 0.0
    """The same for the all-to-all, which experts need. 0: measured only."""
    message_mib: float = 32.0
    """MiB that a rank hands to each collective and exchange that is timed."""
    repeats: int = 5
    """Times that each of them is timed."""
    slow_factor: float = 1.5
    """A rank whose best time, computing or with any partner, is more than this many times the median rank's is slow. 0: measured
    only."""
    exclude_to: str = ""
    """File that nodes found unfit are added to, `NODE  # why` a line; empty: excluded_nodes.txt beside preflight.json. With
    Slurm name the launcher's slurm.bad_nodes."""

    def __post_init__(self) -> None:
        floors = ("max_clock_skew_s", "checkpoint_gib", "min_fsyncs_per_s", "min_write_mib_s", "min_memory_gib")
        for key in (*floors, "min_all_reduce_gb_s", "min_all_to_all_gb_s", "slow_factor"):
            if not 0 <= getattr(self, key) < math.inf:
                raise ValueError(
                    f"preflight.{key}={getattr(self, key)} must not be negative or infinite: use 0 for no limit"
                )
        if not 0 < self.message_mib <= 2**14:
            raise ValueError(f"preflight.message_mib={self.message_mib} must be above 0 and at most 16384")
        if self.repeats < 2:
            raise ValueError(f"preflight.repeats={self.repeats} must be at least 2: one time says nothing of the noise")
        if 0 < self.slow_factor <= 1:
            raise ValueError(f"preflight.slow_factor={self.slow_factor} must be above 1: use 1.5, or 0 for no limit")
