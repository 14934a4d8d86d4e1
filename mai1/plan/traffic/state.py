"""What gradients and weights cost in traffic under each ZeRO stage, as DeepSpeed 0.19.8 moves them and as the field does.

DeepSpeed 0.19.8 reduces gradients below ZeRO-3 with an all-reduce of all of them, of which each rank keeps its part: twice
the bytes of a reduce-scatter; with ZeRO-2 after every microbatch (`stage_1_and_2.average_tensor`,
`use_multi_rank_bucket_allreduce`).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from mai1.plan.layout import Format, Layout
from mai1.plan.memory.held import HeldParameters, HeldTensor
from mai1.plan.memory.state import ALIGNMENT, groups_of, stays_whole
from mai1.plan.traffic.transfer import Operation, Transfer

BUCKET = 500_000_000
"""Elements that DeepSpeed reduces in one call (`reduce_bucket_size`)."""
FLOAT, DOUBLE = 4, 8
"""Bytes of a number."""
REUSE_DISTANCE = 1_000_000_000
"""Elements used in between up to which ZeRO-3 keeps weights for their next use (`stage3_max_reuse_distance`)."""


class Stack(Enum):
    """Whose habits count."""

    engine = "engine"
    """Ours: DeepSpeed 0.19.8."""
    usual = "usual"
    """Reduce-scatter in place of all-reduce, once a step unless weights are sharded: Megatron-LM, FSDP2."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """The ranks that hold the same of some parameters, and these."""

    group: str
    size: int
    span: int
    held: HeldParameters

    def transfer(self, what: str, operation: Operation, elements: int, *, calls: int, **more: object) -> Transfer:
        return Transfer(
            what=f"{what} of experts" if self.group == "expert_data" else what,
            operation=operation,
            group=self.group,
            group_size=self.size,
            span=self.span,
            payload_bytes=elements,
            calls=calls,
            **more,
        )


def replicas_of(held: HeldParameters, layout: Layout) -> list[Replicas]:
    """Experts apart from the rest where ranks share them; what nobody holds is left out."""
    dense, experts = _apart(held, layout.expert > 1)
    found = [
        Replicas("data", layout.dense_replicas, layout.tensor, dense),
        Replicas("expert_data", layout.expert_replicas, layout.expert, experts),
    ]
    return [replicas for replicas in found if replicas.held.tensors]


@lru_cache(maxsize=4096)
def _apart(held: HeldParameters, is_apart: bool) -> tuple[HeldParameters, HeldParameters]:
    dense = tuple(t for t in held.tensors if not (is_apart and t.is_expert))
    experts = tuple(t for t in held.tensors if is_apart and t.is_expert)
    return HeldParameters(dense), HeldParameters(experts)


def state_traffic(held: HeldParameters, layout: Layout, *, num_microbatches: int, stack: Stack) -> Iterator[Transfer]:
    """Gradients and weights of one optimizer step; `held` is what every rank of this stage holds."""
    trained = replicas_of(held.trained, layout)
    if layout.zero_stage == 3:
        for replicas in replicas_of(held, layout):
            if replicas.size > 1:
                yield from _sharded(replicas, held, layout, num_microbatches=num_microbatches)
        yield from _norm_of_shards(trained, layout)
        return
    for replicas in trained:
        if replicas.size > 1:
            yield from _sliced(replicas, layout, num_microbatches=num_microbatches, stack=stack)
    if layout.zero_stage == 1 and layout.format is not Format.fp32 and not layout.offload_optimizer:
        yield from _norm_of_whole(trained, layout)
    else:
        yield from _norm_of_slices(trained, layout)


def _sliced(replicas: Replicas, layout: Layout, *, num_microbatches: int, stack: Stack) -> Iterator[Transfer]:
    """ZeRO 0, 1 and 2: weights are whole, and after the update each rank's part of them goes to all."""
    width, numel = layout.format.stored_bytes, replicas.held.total
    is_ours = stack is Stack.engine
    times = num_microbatches if is_ours and layout.zero_stage == 2 else 1
    is_whole = is_ours or layout.zero_stage == 0
    yield replicas.transfer(
        "gradients",
        Operation.all_reduce if is_whole else Operation.reduce_scatter,
        times * numel * width,
        calls=times * math.ceil(numel / BUCKET),
        overlaps_with="" if is_ours else "backward",
    )
    if layout.zero_stage:
        groups = flat_groups(replicas, layout)
        gathered = sum(math.ceil(n / (ALIGNMENT * replicas.size)) * ALIGNMENT * replicas.size for n in groups)
        overlap = "" if is_ours else "next forward"
        yield replicas.transfer(
            "weights", Operation.all_gather, gathered * width, calls=len(groups), overlaps_with=overlap
        )


def flat_groups(replicas: Replicas, layout: Layout) -> list[int]:
    """Elements of each flat group that ZeRO 1 and 2 cut into ranks' parts, padding left out."""
    return _sizes(replicas.held, replicas.group == "expert_data", layout.pipeline > 1)


@lru_cache(maxsize=4096)
def _sizes(held: HeldParameters, is_apart: bool, has_stages: bool) -> list[int]:
    as_layout = Layout(num_devices=4, expert=2 if is_apart else 1, pipeline=2 if has_stages else 1)
    return [sum(tensor.numel for tensor in group) for group in groups_of(held, as_layout)]


def _sharded(replicas: Replicas, held: HeldParameters, layout: Layout, *, num_microbatches: int) -> Iterator[Transfer]:
    """ZeRO-3: each microbatch gathers weights for the forward and the backward and scatters gradients."""
    width, sizes = layout.format.stored_bytes, _shards_of(replicas, held)
    if sizes.trained:
        # a bucket ends where the backward comes to tensors that other ranks share
        is_apart = len(replicas.held.tensors) < len(held.tensors)
        turns = sizes.num_mixtures + (replicas.group == "data" and sizes.ends_are_trained) if is_apart else 1
        yield replicas.transfer(
            "gradients",
            Operation.reduce_scatter,
            num_microbatches * sizes.trained * width,
            calls=num_microbatches * max(turns, math.ceil(sizes.trained / BUCKET)),
            overlaps_with="backward",
        )
    yield replicas.transfer(
        "weights",
        Operation.all_gather,
        num_microbatches * sizes.fetched * width,
        calls=num_microbatches * sizes.num_fetches,
        overlaps_with="forward and backward",
    )
    if sizes.num_kept:
        yield replicas.transfer("weights kept whole", Operation.all_gather, sizes.kept * width, calls=sizes.num_kept)


@dataclass(frozen=True, slots=True)
class Shards:
    """Elements that the ranks of some parameters share under ZeRO-3, padded."""

    trained: int
    fetched: int
    """In a microbatch, as often as they are."""
    num_fetches: int
    kept: int
    """Whole on every rank between steps."""
    num_kept: int
    num_mixtures: int
    """Layers with experts that are trained."""
    ends_are_trained: bool
    """Whether the backward has gradients before it comes to the last mixture."""


def _shards_of(replicas: Replicas, held: HeldParameters) -> Shards:
    return _counted_shards(replicas.held, replicas.size, held)


@lru_cache(maxsize=4096)
def _counted_shards(shared: HeldParameters, size: int, held: HeldParameters) -> Shards:
    padded = {t: math.ceil(t.numel / size) * size for t in shared.tensors}
    kept = [t for t in shared.tensors if stays_whole(t, held)]
    uses = {t: 1 if is_near else 2 for t, is_near in reused(held.tensors).items()}
    fetched = [t for t in shared.tensors if not stays_whole(t, held)]
    return Shards(
        trained=sum(padded[t] for t in shared.tensors if t.is_trained),
        fetched=sum(uses[t] * padded[t] for t in fetched),
        num_fetches=sum(uses[t] for t in fetched),
        kept=sum(padded[t] for t in kept),
        num_kept=len(kept),
        ends_are_trained=any(t.name in ("final_norm.weight", held.output_name) for t in held.trained.tensors),
        num_mixtures=len({t.name.partition(".experts.")[0] for t in held.trained.tensors if t.is_expert}),
    )


def reused(tensors: tuple[HeldTensor, ...]) -> dict[HeldTensor, bool]:
    """Whether the backward comes so soon after the forward that ZeRO-3 keeps a tensor in between."""
    found, behind = {}, 0
    for tensor in reversed(tensors):
        found[tensor] = 2 * behind < REUSE_DISTANCE
        behind += tensor.numel
    return found


def _norm_of_slices(by_replicas: list[Replicas], layout: Layout) -> Iterator[Transfer]:
    """ZeRO 0, 1 and 2: a sum a flat group over the stage and over all stages, and experts' over their replicas."""
    groups = {replicas.group: len(flat_groups(replicas, layout)) for replicas in by_replicas}
    num_groups = sum(groups.values())
    overflow = 1 if layout.format is not Format.fp32 else 0
    yield from _norm(layout, "data", num_groups * FLOAT + overflow, num_groups + overflow)
    yield from _norm(layout, "pipeline", num_groups * FLOAT, num_groups)
    yield from _norm(layout, "expert_data", groups.get("expert_data", 0) * FLOAT, groups.get("expert_data", 0))


def _norm_of_whole(by_replicas: list[Replicas], layout: Layout) -> Iterator[Transfer]:
    """ZeRO-1 in bf16, whose optimizer has all gradients on every rank: sums over stages, and over those that share experts."""
    has_experts = len(by_replicas) > 1
    yield from _norm(layout, "pipeline", FLOAT * (1 + has_experts), 1 + has_experts)
    yield from _norm(layout, "expert", FLOAT * has_experts, int(has_experts))


def _norm_of_shards(by_replicas: list[Replicas], layout: Layout) -> Iterator[Transfer]:
    """ZeRO-3: a sum a flat group over its ranks, and experts' over those that share a copy of them."""
    for replicas in by_replicas:
        groups = len({tensor.is_decayed for tensor in replicas.held.tensors})
        yield from _norm(layout, replicas.group, groups * DOUBLE, groups)
        if replicas.group == "expert_data":
            yield from _norm(layout, "expert", groups * DOUBLE, groups)


def _norm(layout: Layout, group: str, payload_bytes: int, calls: int) -> Iterator[Transfer]:
    size, span = {
        "data": (layout.dense_replicas, layout.tensor),
        "expert_data": (layout.expert_replicas, layout.expert),
        "expert": (layout.expert, 1),
        "pipeline": (layout.pipeline, layout.per_stage),
    }[group]
    if size > 1 and calls:
        yield Transfer(
            what="norm of gradients",
            operation=Operation.all_reduce,
            group=group,
            group_size=size,
            span=span,
            payload_bytes=payload_bytes,
            calls=calls,
        )
