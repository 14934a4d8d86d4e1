"""How many routed rows a rank computes at once: all, or with `routing.max_rows` so many, in several trips."""

import math

from mai1.plan.layout import Layout
from mai1.plan.workload import Workload


def rows_at_once(workload: Workload, layout: Layout, *, imbalance: float = 1.0) -> tuple[float, int]:
    """Rows of the fullest trip of one microbatch on the fullest rank, and the number of trips (`mai1.model.moe.layer`).

    A rank with all experts cuts its tokens; ranks that share experts take as many rows from each to each, and the
    fullest has `imbalance` times the mean of them.
    """
    top_k = workload.model.moe.top_k
    tokens = layout.microbatch * workload.sequence_length / (layout.sequence * layout.tensor)
    rows = tokens * top_k * (imbalance if layout.expert > 1 else 1.0)
    if not workload.max_rows:
        return rows, 1
    unit = layout.expert if layout.expert > 1 else top_k
    cap = max(1, workload.max_rows // unit) * unit
    trips = max(1, math.ceil(rows / cap))
    return (rows, 1) if trips == 1 else (float(cap), trips)
