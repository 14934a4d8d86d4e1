"""What gradients and weights cost in traffic under each ZeRO stage, as DeepSpeed 0.19.8 moves them and as the field does.

DeepSpeed 0.19.8 reduces gradients below ZeRO-3 with an all-reduce of all of them, of which each rank keeps its part: twice
the bytes of a reduce-scatter; with ZeRO-2 after every microbatch (`stage_1_and_2.average_tensor`,
`use_multi_rank_bucket_allreduce`).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from mai1.engine.ds_config import WHOLE_BELOW
from mai1.plan.layout import Format, Layout
from mai1.plan.memory.parameters import HeldTensor
from mai1.plan.traffic.transfer import Operation, Transfer

BUCKET = 500_000_000
"""Elements that DeepSpeed reduces in one call (`reduce_bucket_size`)."""
EXPERT_GROUP = 178_956_971
"""Elements of experts above which DeepSpeed begins another optimizer group (`max_group_size`)."""
ALIGNMENT = 2
"""Elements to a multiple of which every rank's part of a flat group is padded (`nccl_start_alignment_factor`)."""
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
    tensors: tuple[HeldTensor, ...]

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


def replicas_of(tensors: tuple[HeldTensor, ...], layout: Layout) -> list[Replicas]:
    """The parameters that all ranks of a stage share, and where these are spread over ranks, the experts."""
    is_apart = layout.expert > 1 or layout.tensor > 1
    dense = tuple(t for t in tensors if not (is_apart and t.is_expert))
    experts = tuple(t for t in tensors if is_apart and t.is_expert)
    found = [
        Replicas("data", layout.dense_replicas, layout.tensor, dense),
        Replicas("expert_data", layout.expert_replicas, layout.expert, experts),
    ]
    return [replicas for replicas in found if replicas.tensors]


def state_traffic(
    tensors: tuple[HeldTensor, ...], layout: Layout, *, num_microbatches: int, stack: Stack
) -> Iterator[Transfer]:
    """Gradients and weights of one optimizer step; `tensors` are those of this rank's stage, in the model's order."""
    by_replicas = replicas_of(tensors, layout)
    for replicas in (replicas for replicas in by_replicas if replicas.size > 1):
        if layout.zero_stage == 3:
            yield from _sharded(replicas, tensors, layout, num_microbatches=num_microbatches)
        else:
            yield from _sliced(replicas, layout, num_microbatches=num_microbatches, stack=stack)
    if layout.zero_stage == 3:
        yield from _norm_of_shards(by_replicas, layout)
    elif layout.pipeline > 1 and layout.format is not Format.fp32:
        yield from _norm_of_stages(by_replicas, layout)
    else:
        yield from _norm_of_slices(by_replicas, layout)


def _sliced(replicas: Replicas, layout: Layout, *, num_microbatches: int, stack: Stack) -> Iterator[Transfer]:
    """ZeRO 0, 1 and 2: weights are whole, and after the update each rank's part of them goes to all."""
    width, numel = layout.format.stored_bytes, sum(tensor.numel for tensor in replicas.tensors)
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
    if replicas.group == "data":
        by_decay = [[t.numel for t in replicas.tensors if t.is_decayed is wanted] for wanted in (True, False)]
        return [sum(numels) for numels in by_decay if numels]
    limit, sizes = math.inf if layout.pipeline > 1 else EXPERT_GROUP, [0]
    for tensor in replicas.tensors:
        if sizes[-1] + tensor.numel > limit:
            sizes.append(0)
        sizes[-1] += tensor.numel
    return [size for size in sizes if size]


def _sharded(
    replicas: Replicas, tensors: tuple[HeldTensor, ...], layout: Layout, *, num_microbatches: int
) -> Iterator[Transfer]:
    """ZeRO-3: each microbatch gathers weights for the forward and the backward and scatters gradients."""
    width = layout.format.stored_bytes
    padded = {t: math.ceil(t.numel / replicas.size) * replicas.size for t in replicas.tensors}
    output = output_of(tensors)
    kept = [t for t in replicas.tensors if stays_whole(t, output=output)]
    uses = {t: 1 if is_near else 2 for t, is_near in reused(tensors).items()}
    fetched = [t for t in replicas.tensors if not stays_whole(t, output=output)]
    num_mixtures = sum(tensor.is_expert for tensor in tensors) // 2
    # a bucket ends where the backward comes to tensors that other ranks share
    is_apart = len(replicas.tensors) < len(tensors)
    turns = num_mixtures + (replicas.group == "data") if is_apart else 1
    yield replicas.transfer(
        "gradients",
        Operation.reduce_scatter,
        num_microbatches * sum(padded.values()) * width,
        calls=num_microbatches * max(turns, math.ceil(sum(padded.values()) / BUCKET)),
        overlaps_with="backward",
    )
    yield replicas.transfer(
        "weights",
        Operation.all_gather,
        num_microbatches * sum(uses[t] * padded[t] for t in fetched) * width,
        calls=num_microbatches * sum(uses[t] for t in fetched),
        overlaps_with="forward and backward",
    )
    if kept:
        total = sum(padded[t] for t in kept) * width
        yield replicas.transfer("weights kept whole", Operation.all_gather, total, calls=len(kept))


def stays_whole(tensor: HeldTensor, *, output: str) -> bool:
    """Whether ZeRO-3 gathers it once a step: what is small, and what `mai1.engine.partitions` keeps besides."""
    return tensor.numel <= WHOLE_BELOW or tensor.name == output or tensor.name.endswith("router.weight")


def output_of(tensors: tuple[HeldTensor, ...]) -> str:
    """The name of the matrix that makes logits."""
    return "unembedding.weight" if any(t.name == "unembedding.weight" for t in tensors) else "embedding.weight"


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


def _norm_of_stages(by_replicas: list[Replicas], layout: Layout) -> Iterator[Transfer]:
    """Pipeline stages in bf16, for which DeepSpeed takes another optimizer: sums over stages, with experts one more."""
    has_experts = len(by_replicas) > 1
    yield from _norm(layout, "pipeline", FLOAT * (1 + has_experts), 1 + has_experts)
    yield from _norm(layout, "data", FLOAT * has_experts, int(has_experts))


def _norm_of_shards(by_replicas: list[Replicas], layout: Layout) -> Iterator[Transfer]:
    """ZeRO-3: a sum a flat group over its ranks, and experts' over those that share a copy of them."""
    for replicas in by_replicas:
        groups = len({tensor.is_decayed for tensor in replicas.tensors})
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
