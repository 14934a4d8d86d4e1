"""What activations cost in traffic: rows to experts and back, heads and positions, slices of matrices, pipeline stages."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from mai1.model.attention import AttentionConfig, AttentionKind
from mai1.plan.layout import Layout, Recompute
from mai1.plan.memory.trips import rows_at_once
from mai1.plan.traffic.transfer import Operation, Transfer
from mai1.plan.workload import Workload

COUNT, FLOAT = 8, 4
"""Bytes of a count and of a number."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one rank of a stage does in an optimizer step."""

    workload: Workload
    layout: Layout
    num_blocks: int
    """Transformer blocks here, those for further tokens included."""
    num_moe_layers: int
    is_first: bool
    is_last: bool
    num_microbatches: int

    @property
    def tokens(self) -> int:
        """Positions of a microbatch that this rank computes."""
        return self.layout.microbatch * self.workload.sequence_length // (self.layout.sequence * self.layout.tensor)

    @property
    def forwards(self) -> int:
        """Forwards of each microbatch, the backward's own included."""
        return 2 if self.layout.recompute is Recompute.full else 1

    @property
    def row_bytes(self) -> int:
        """Of one token's hidden state."""
        return self.workload.model.d_model * self.layout.format.stored_bytes


def activation_traffic(share: Share, *, imbalance: float) -> Iterator[Transfer]:
    """All of them; `imbalance` is how many times the mean the fullest rank of an expert group gets of rows."""
    if share.layout.expert > 1 and share.num_moe_layers:
        _, num_trips = rows_at_once(share.workload, share.layout, imbalance=imbalance)
        rows = share.tokens * share.workload.model.moe.top_k * imbalance
        yield from expert_traffic(share, rows=rows, num_trips=num_trips)
    if share.layout.sequence > 1:
        yield from sequence_traffic(share)
    if share.layout.tensor > 1:
        yield from tensor_traffic(share)
    if share.layout.pipeline > 1:
        yield from pipeline_traffic(share)


def expert_traffic(share: Share, *, rows: float, num_trips: int = 1) -> Iterator[Transfer]:
    """Counts, then rows there and back, in the forward and the backward (`mai1.model.moe.dispatch`).

    `rows` are those of one microbatch and layer that a rank sends out and gets back; with imbalance, those that the fullest
    rank receives and answers, which are as many bytes in the other direction. Several trips are made again for their
    backward, and nothing is computed meanwhile.
    """
    moe, layout = share.workload.model.moe, share.layout
    group = {"group": "expert", "group_size": layout.expert, "span": 1}
    times = share.num_moe_layers * share.num_microbatches
    counts = layout.expert * moe.num_experts * COUNT * times * share.forwards
    yield Transfer(
        what="counts of rows",
        operation=Operation.all_gather,
        payload_bytes=counts,
        calls=times * share.forwards,
        **group,
    )
    shared = "shared experts" if moe.num_shared_experts and num_trips == 1 else ""
    overlap = "other rows" if layout.overlaps_experts else shared
    back = "other rows" if layout.overlaps_experts else ""
    for what, journeys, meanwhile in (
        ("rows to experts", share.forwards + 1 + (num_trips > 1), overlap),
        ("rows back from experts", share.forwards + 1, back),  # what is made again ends at the experts
    ):
        yield Transfer(
            what=what,
            operation=Operation.all_to_all,
            payload_bytes=rows * share.row_bytes * times * journeys,
            calls=times * journeys * num_trips,
            overlaps_with=meanwhile,
            **group,
        )


def sequence_traffic(share: Share) -> Iterator[Transfer]:
    """Heads for positions and back (`mai1.model.sequence_parallel`; DeepSpeed-Ulysses, arXiv 2309.14509, section 3.2)."""
    layout = share.layout
    out, home = swapped_channels(share.workload.model.attention, num_slices=layout.sequence)
    calls = share.num_blocks * share.num_microbatches * (share.forwards + 1)
    width = share.tokens * layout.format.stored_bytes * calls
    group = {"group": "sequence", "group_size": layout.sequence, "span": layout.tensor}
    kind = {"operation": Operation.all_to_all, "calls": calls} | group
    yield Transfer(what="heads for positions", payload_bytes=out * width, **kind)
    yield Transfer(what="positions for heads", payload_bytes=home * width, **kind)


def swapped_channels(attention: AttentionConfig, *, num_slices: int) -> tuple[int, int]:
    """Channels of a position that travel before attention and after it; heads fewer than slices are sent several times."""
    if attention.kind is AttentionKind.latent:
        keys = num_slices * (attention.kv_rank + attention.rope_dim)
    else:
        keys = 2 * math.lcm(attention.num_kv_heads, num_slices) * attention.head_dim
    return attention.num_heads * attention.key_dim + keys, attention.num_heads * attention.mixed_dim


def tensor_traffic(share: Share) -> Iterator[Transfer]:
    """Positions are gathered before a split matrix and scattered behind it, in both directions, and gathered once more for
    the weights' gradients (Korthikanti et al. 2022, arXiv 2205.05198, section 4.2.2)."""
    layout, moe = share.layout, share.workload.model.moe
    dense = share.num_blocks - share.num_moe_layers + (share.num_moe_layers if moe.num_shared_experts else 0)
    regions = share.num_blocks + dense + int(share.is_last)
    group = {"group": "tensor", "group_size": layout.tensor, "span": 1}
    gathers = regions * (share.forwards + 2) * share.num_microbatches
    scatters = regions * (share.forwards + 1) * share.num_microbatches
    size = share.tokens * layout.tensor * share.row_bytes
    yield Transfer(
        what="positions gathered",
        operation=Operation.all_gather,
        payload_bytes=gathers * size,
        calls=gathers,
        overlaps_with="matrix products",
        **group,
    )
    yield Transfer(
        what="positions scattered",
        operation=Operation.reduce_scatter,
        payload_bytes=scatters * size,
        calls=scatters,
        overlaps_with="matrix products",
        **group,
    )


def pipeline_traffic(share: Share) -> Iterator[Transfer]:
    """Activations to the next piece of layers, their gradients to the one before."""
    layout = share.layout
    size = share.tokens * share.row_bytes * share.num_microbatches
    group = {"group": "pipeline", "group_size": layout.pipeline, "span": layout.per_stage, "operation": Operation.send}
    for what, is_end in (
        ("activations to the next stage", share.is_last),
        ("gradients to the stage before", share.is_first),
    ):
        times = layout.virtual_stages - int(is_end)
        if times:
            calls = times * share.num_microbatches
            overlap = "other microbatches" if layout.virtual_stages > 1 else ""
            yield Transfer(what=what, payload_bytes=times * size, calls=calls, overlaps_with=overlap, **group)
    yield Transfer(
        what="loss",
        group="pipeline",
        group_size=layout.pipeline,
        span=layout.per_stage,
        operation=Operation.broadcast,
        payload_bytes=2 * FLOAT,
        calls=1,
    )
    if share.is_last and layout.dense_replicas > 1:
        yield Transfer(
            what="loss",
            group="data",
            group_size=layout.dense_replicas,
            span=layout.tensor,
            operation=Operation.all_reduce,
            payload_bytes=FLOAT,
            calls=1,
        )
