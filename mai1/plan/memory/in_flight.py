"""How many microbatches a pipeline stage holds the activations of: the two schedules of Narayanan et al. 2021."""

import math
from collections import Counter

from mai1.plan.layout import Layout
from mai1.plan.workload import Workload


def num_microbatches(workload: Workload, layout: Layout) -> int:
    """Microbatches of an optimizer step on every rank; the last may be smaller where they do not divide."""
    return max(1, math.ceil(workload.sequences_per_step / (layout.data * layout.microbatch)))


def in_flight(layout: Layout, stage: int, *, microbatches: int) -> list[int]:
    """Of each piece of a stage, the microbatches whose activations it holds when its first backward begins.

    One forward and one backward in turn: P - s (Narayanan et al. 2021, arXiv 2104.04473, section 2.2.1). Interleaved
    pieces: 2 (P - s - 1) + (v - 1) P + 1 forwards of single pieces, P microbatches through each in turn (section 2.2.2).
    """
    num_stages, num_pieces = layout.pipeline, layout.virtual_stages
    if num_pieces == 1:
        return [min(num_stages - stage, microbatches)]
    num_forwards = 2 * (num_stages - stage - 1) + (num_pieces - 1) * num_stages + 1
    turns = Counter(forward // num_stages % num_pieces for forward in range(num_forwards))
    return [min(turns[piece], microbatches) for piece in range(num_pieces)]
