"""Where a rank stands: which rows it reads, which positions of them, and which layers it holds.

    rank = stage * (world / stages) + data_rank * sequence_parallel + sequence_rank

Ranks of one node thus share expert- and sequence-parallel groups, whose traffic is the heaviest; pipeline stages, which
exchange least, lie farthest apart. Expert-parallel groups are consecutive ranks within a stage.
"""

from dataclasses import dataclass

import torch.distributed as dist

from mai1.dist import World
from mai1.engine.ds_config import EngineConfig
from mai1.engine.local_groups import new_local_group


@dataclass(frozen=True, slots=True)
class Place:
    """One rank's place in each kind of parallelism."""

    data_rank: int
    """Which of the groups of ranks that read the same rows."""
    data_size: int
    """Groups that read different rows."""
    sequence_rank: int = 0
    """Which slice of every row."""
    sequence_size: int = 1
    """Slices of a row."""
    stage: int = 0
    """Which pipeline stage."""
    num_stages: int = 1
    """Pipeline stages."""

    @property
    def is_first_of_stage(self) -> bool:
        """One rank of each stage speaks for what all of them hold alike."""
        return self.data_rank == 0 and self.sequence_rank == 0


def place_of(world: World, config: EngineConfig) -> Place:
    """This rank's place; the configuration's sizes divide the number of ranks."""
    stage, within = divmod(world.rank, world.size // config.pipeline_parallel)
    data_rank, sequence_rank = divmod(within, config.sequence_parallel)
    return Place(
        data_rank=data_rank,
        data_size=config.data_parallel(world.size),
        sequence_rank=sequence_rank,
        sequence_size=config.sequence_parallel,
        stage=stage,
        num_stages=config.pipeline_parallel,
    )


def sequence_parallel_group(world: World, config: EngineConfig) -> dist.ProcessGroup | None:
    """The consecutive ranks that share this rank's rows; None where each has rows of its own. Every rank must call this."""
    size = config.sequence_parallel
    if size == 1:
        return None
    first = world.rank - world.rank % size
    return new_local_group(range(first, first + size), timeout_s=config.timeout_s)
