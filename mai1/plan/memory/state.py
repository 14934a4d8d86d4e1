"""Weights, gradients, fp32 masters and moments of one rank in bytes, as DeepSpeed 0.19.8 lays them out for our engine.

ZeRO (Rajbhandari et al. 2020, arXiv 1910.02054, section 5) shards the optimizer's state, then gradients, then weights, over
the ranks that hold the same: experts over those of their own copies. Gradients are added up in fp32. Where this version
does not run a layout, each is counted as Megatron-Core has it: 2 bytes of weights and 4 of gradients, 12 of state.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mai1.engine.ds_config import WHOLE_BELOW
from mai1.optim.config import Method
from mai1.plan.layout import Layout
from mai1.plan.memory.activations import Kernels, kernels_of
from mai1.plan.memory.held import HeldParameters, HeldTensor

FULL = 4
"""Bytes of fp32."""
EXPERT_GROUP = 178_956_971
"""Elements above which DeepSpeed begins another group of experts; pipeline stages have one group alone."""
ALIGNMENT = 2
"""Elements of every rank's partition are a multiple of it, with ZeRO-1 and -2."""


@dataclass(frozen=True, slots=True)
class State:
    """Bytes of one rank between two optimizer steps, the first one made."""

    weights: float
    gradients: float
    """What is kept between the microbatches of a step."""
    masters: float
    moments: float
    host: float
    """What offloading keeps in the host's memory instead."""
    partition: int
    """Elements whose state this rank owns."""
    largest_group: int
    """Of them, those of the optimizer's largest group."""


def state_of(held: HeldParameters, layout: Layout, *, method: Method = Method.adamw) -> State:
    """The state of a rank that holds these parameters. Of equal ranks the one with the largest share."""
    groups = groups_of(held.trained, layout)
    shares = [_share(group, layout) for group in groups]
    partition, size = sum(shares), layout.format.stored_bytes
    masters, gradients = FULL * partition, _gradients(held.trained, groups, partition, layout)
    moments = FULL * sum(_num_moments(group, method) * share for group, share in zip(groups, shares, strict=True))
    weights = size * _weights(held, groups, layout)
    host = 0.0
    if layout.offload_optimizer and layout.zero_stage:
        host, gradients = masters + moments + gradients + (size * partition if layout.zero_stage < 3 else 0), 0.0
        masters = moments = 0
    return State(weights, gradients, masters, moments, host, partition, max(shares, default=0))


def _num_moments(group: list[HeldTensor], method: Method) -> int:
    """AdamW's two; Muon, which moves matrices alone, has one."""
    return 1 if method is Method.muon and group[0].is_decayed else 2


def replicas_of(tensor: HeldTensor, layout: Layout) -> int:
    """Ranks over which a parameter's state is sharded."""
    if layout.zero_stage == 0:
        return 1
    return layout.expert_replicas if tensor.is_expert and layout.expert > 1 else layout.dense_replicas


def groups_of(trained: HeldParameters, layout: Layout) -> list[list[HeldTensor]]:
    """The optimizer's groups, each of which is cut on its own: matrices, vectors and embeddings, experts."""
    is_split = layout.expert > 1 and layout.zero_stage < 3
    spread = [tensor for tensor in trained.tensors if is_split and tensor.is_expert]
    others = [tensor for tensor in trained.tensors if not (is_split and tensor.is_expert)]
    limit = EXPERT_GROUP if layout.pipeline == 1 else math.inf
    groups = [[t for t in others if t.is_decayed], [t for t in others if not t.is_decayed], *_cut(spread, limit)]
    return [group for group in groups if group]


def _cut(tensors: list[HeldTensor], limit: float) -> list[list[HeldTensor]]:
    groups: list[list[HeldTensor]] = [[]]
    for tensor in tensors:
        if sum(member.numel for member in groups[-1]) + tensor.numel > limit:
            groups.append([])
        groups[-1].append(tensor)
    return groups


def _share(group: Sequence[HeldTensor], layout: Layout) -> int:
    """Elements of a group that one rank owns, padding included."""
    num_ranks = replicas_of(group[0], layout)
    if layout.zero_stage == 3:
        return sum(math.ceil(tensor.numel / replicas_of(tensor, layout)) for tensor in group)
    total = sum(tensor.numel for tensor in group)
    return math.ceil(total / (ALIGNMENT * num_ranks)) * ALIGNMENT if layout.zero_stage else total


def _weights(held: HeldParameters, groups: list[list[HeldTensor]], layout: Layout) -> int:
    """Elements of weights in their own format, frozen ones among them."""
    if layout.zero_stage == 0:
        return held.total
    if layout.zero_stage < 3:
        frozen = held.total - held.trained.total
        return frozen + sum(_share(group, layout) * replicas_of(group[0], layout) for group in groups)
    kept = (tensor for tensor in held.tensors if stays_whole(tensor, held))
    return _share(held.tensors, layout) + sum(_share([t], layout) * replicas_of(t, layout) for t in kept)


def stays_whole(tensor: HeldTensor, held: HeldParameters) -> bool:
    """Whether ZeRO-3 keeps a parameter on every rank besides: small ones, and those that `mai1.engine.partitions` keeps."""
    is_used_elsewhere = tensor.name == held.output_name or ".router." in tensor.name
    return tensor.numel <= WHOLE_BELOW or is_used_elsewhere


def _gradients(trained: HeldParameters, groups: list[list[HeldTensor]], partition: int, layout: Layout) -> float:
    if layout.zero_stage >= 2:
        return FULL * partition
    whole = FULL * sum(_share(group, layout) * replicas_of(group[0], layout) for group in groups)
    is_ours = kernels_of(layout) is Kernels.gpu and layout.zero_stage == 1
    return whole + (layout.format.stored_bytes * trained.total if is_ours else 0)  # bf16 ones beside those in fp32
