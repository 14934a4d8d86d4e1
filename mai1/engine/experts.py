"""The one seam by which DeepSpeed knows our expert parameters.

DeepSpeed reduces expert gradients over the expert-data-parallel group only if it finds an instance of one of its own MoE
layer classes, and only for parameters that carry its tags. So each of our layers becomes, in place, an instance of a
class that derives from both, keeps our forward, and inherits just DeepSpeed's name. Its older class works with ZeRO 1
and 2, its newer one with ZeRO-3, which then shards an expert over its expert-data-parallel group. Without expert
parallelism experts are ordinary parameters and nothing is done.
"""

import math

import torch.distributed as dist
from deepspeed.module_inject.auto_ep_layer import AutoEPMoELayer
from deepspeed.moe.layer import MoE
from deepspeed.moe.utils import split_params_into_different_moe_groups_for_optimizer
from deepspeed.utils import groups

from mai1.engine.local_groups import made_by_members
from mai1.model.moe.layer import MoELayer


class ExpertParallelMoELayer(MoELayer, MoE):
    """Our layer under DeepSpeed's name; its process groups exist before the engine asks for them."""

    def set_deepspeed_parallelism(self, use_data_before_expert_parallel_: bool = False) -> None:
        """Called by the engine: the groups are made by `expert_parallel_group` already."""


class ShardedMoELayer(MoELayer, AutoEPMoELayer):
    """Our layer under the name that DeepSpeed's ZeRO-3 accepts."""

    def set_deepspeed_parallelism(
        self, use_data_before_expert_parallel_: bool = False, folding_group_handles: object = None
    ) -> None:
        """Called by the engine: the groups are made by `expert_parallel_group` already."""


def expert_parallel_group(size: int, *, num_stages: int = 1) -> dist.ProcessGroup | None:
    """The group of ranks that share one copy of the experts; None when every rank has its own.

    Groups are consecutive ranks of a pipeline stage, so that their all-to-all stays inside a node. Every rank must call this.
    """
    if size == 1:
        return None
    name = _group_name(size)
    if name not in groups._get_expert_parallel_group_dict():
        with made_by_members():
            groups._create_expert_and_data_parallel(size, pp_size=num_stages)
    return groups._get_expert_parallel_group(name)


def mark_experts(layers: list[MoELayer], *, expert_parallel: int, zero_stage: int) -> None:
    """Make DeepSpeed treat these layers' experts as expert-parallel.

    Where nothing of any expert is trained there are no gradients to reduce, and DeepSpeed's ZeRO 1 and 2 refuse layers
    without: tags alone keep it from copying one rank's experts to another.
    """
    if expert_parallel == 1:
        return
    for layer in layers:
        is_trained = any(parameter.requires_grad for parameter in layer.experts.parameters())
        if zero_stage == 3:
            layer.__class__ = ShardedMoELayer
        elif is_trained:
            layer.__class__ = ExpertParallelMoELayer
        layer.num_local_experts = layer.num_experts // expert_parallel
        layer.ep_size = expert_parallel
        layer.expert_group_name = _group_name(expert_parallel)
        for parameter in layer.experts.parameters():
            parameter.allreduce = False  # DeepSpeed's tag for "not replicated on every rank"
            parameter.group_name = layer.expert_group_name
            if zero_stage == 3:
                parameter.ds_zero_placement_family = "autoep_expert"
                parameter.ds_zero_partition_group_name = layer.expert_group_name


def split_expert_groups(
    parameter_groups: list[dict], *, expert_parallel: int, zero_stage: int, num_stages: int = 1
) -> list[dict]:
    """Optimizer groups with the experts apart, as DeepSpeed wants them below ZeRO-3; base groups need unique names.

    DeepSpeed cuts large groups. Pipeline stages add up the norms of one group after another, so all must have equally many.
    """
    if expert_parallel == 1 or zero_stage == 3:
        return parameter_groups
    limit = {} if num_stages == 1 else {"max_group_size": math.inf}
    split = split_params_into_different_moe_groups_for_optimizer(parameter_groups, **limit)
    return [group for group in split if group["params"]]


def _group_name(size: int) -> str:
    return f"ep_size_{size}"
