"""What one rank sends in an optimizer step, by kind and group of ranks: a pure function of the run.

Exact for what our engine does (`tests/plan/test_traffic_recorded.py` counts the bytes of real runs); with `Stack.usual`, and
for what the engine has not (tensor parallelism, interleaved stages), the field's formulas.
"""

from collections.abc import Iterator

from mai1.optim.config import Method
from mai1.plan.layout import Layout
from mai1.plan.memory.division import pieces_of
from mai1.plan.memory.parameters import parameters_of
from mai1.plan.traffic.activations import Share, activation_traffic
from mai1.plan.traffic.muon import muon_traffic
from mai1.plan.traffic.state import Stack, state_traffic
from mai1.plan.traffic.transfer import Operation, Transfer
from mai1.plan.workload import Workload

DOUBLE, COUNT = 8, 8
"""Bytes of a sum and of a count."""
NUM_SUMS = 19
"""Numbers of a step that are summed over all ranks whatever the model (`mai1.train.step_sums`)."""


def traffic_of(
    workload: Workload,
    layout: Layout,
    *,
    imbalance: float = 1.0,
    stage: int | None = None,
    stack: Stack = Stack.engine,
) -> list[Transfer]:
    """Everything one rank sends to others in one optimizer step.

    Without a `stage`, of the pipeline stage that sends most. `imbalance` is how many times the mean of its expert group the
    fullest rank gets of rows. ValueError where rows do not make whole microbatches.
    """
    if stage is None:
        stages = [
            traffic_of(workload, layout, imbalance=imbalance, stage=s, stack=stack) for s in range(layout.pipeline)
        ]
        return max(stages, key=lambda transfers: sum(transfer.bytes_sent for transfer in transfers))
    share = share_of(workload, layout, stage)
    held = parameters_of(workload, layout, stage)
    state = state_traffic(held, layout, num_microbatches=share.num_microbatches, stack=stack)
    updates = muon_traffic(held, layout) if workload.method is Method.muon else ()
    return [*state, *updates, *activation_traffic(share, imbalance=imbalance), *sums_of_step(workload, layout)]


def microbatches_of(workload: Workload, layout: Layout) -> int:
    """Microbatches that each rank accumulates before an update."""
    rows_at_once = layout.microbatch * layout.data
    if workload.sequences_per_step % rows_at_once:
        raise ValueError(
            f"workload.sequences_per_step={workload.sequences_per_step} must be a multiple of layout.microbatch="
            f"{layout.microbatch} x {layout.data} groups of ranks that read different rows = {rows_at_once}"
        )
    return workload.sequences_per_step // rows_at_once


def share_of(workload: Workload, layout: Layout, stage: int) -> Share:
    """What every rank of a stage computes in an optimizer step."""
    model, is_last = workload.model, stage == layout.pipeline - 1
    layers = [layer for piece in pieces_of(model, layout)[stage] for layer in piece]
    further = model.num_mtp_layers if is_last else 0
    return Share(
        workload,
        layout,
        num_blocks=len(layers) + further,
        num_moe_layers=sum(layer >= model.num_dense_layers for layer in layers) + further,
        is_first=stage == 0,
        is_last=is_last,
        num_microbatches=microbatches_of(workload, layout),
    )


def sums_of_step(workload: Workload, layout: Layout, *, num_sources: int = 1) -> Iterator[Transfer]:
    """What all ranks add up once a step: targets, losses, and every expert's load. Small, but each is a wait."""
    if layout.num_devices == 1:
        return
    model = workload.model
    numbers = NUM_SUMS + 2 * model.num_mtp_layers + 2 * num_sources
    loads = len(model.moe_layers) * model.moe.num_experts
    yield Transfer(
        what="sums of the step",
        operation=Operation.all_reduce,
        group="all",
        group_size=layout.num_devices,
        span=1,
        payload_bytes=numbers * DOUBLE + loads * COUNT,
        calls=3,
    )
