"""What a training step takes of a device's memory, by kind, on the fullest rank: weights and state, activations, buffers.

A step's memory is largest at one of a few moments (`StageMemory`); what is reported are the kinds at that moment, so they add
up to the peak. docs/planning-memory.md says how near that is to what was measured and published.
"""

from mai1.plan.layout import Layout
from mai1.plan.memory.division import Piece, pieces_of
from mai1.plan.memory.kinds import Memory
from mai1.plan.memory.of_stage import StageMemory
from mai1.plan.workload import Workload


def memory_of(workload: Workload, layout: Layout, *, imbalance: float = 1.0, is_packed: bool = True) -> Memory:
    """Of the fullest rank; `imbalance` is how many routed rows its experts are given, over the mean.

    Rows are taken to hold several documents, as packed rows do, unless `is_packed` is false.
    """
    stages = memory_by_stage(workload, layout, imbalance=imbalance, is_packed=is_packed)
    return max(stages, key=lambda memory: memory.total)


def memory_by_stage(
    workload: Workload,
    layout: Layout,
    *,
    imbalance: float = 1.0,
    is_packed: bool = True,
    pieces: list[list[Piece]] | None = None,
) -> list[Memory]:
    """Of every pipeline stage's fullest rank; `pieces` are the blocks of each, by default as `pieces_of` divides them."""
    pieces = pieces or pieces_of(workload.model, layout)
    return [
        StageMemory(workload, layout, pieces, stage, imbalance, is_packed).memory() for stage in range(layout.pipeline)
    ]
