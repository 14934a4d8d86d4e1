"""What a token costs to train, by the convention of `mai1.model.flops`, with what is trained taken into account."""

from mai1.model.flops import training_flops_per_token
from mai1.plan.layout import Layout
from mai1.plan.memory.parameters import parameters_of
from mai1.plan.workload import Workload


def flops_per_token(workload: Workload) -> int:
    """Forward and backward of one token. Adapters leave out the gradients of frozen matrices, a third of their cost, and
    add the factors' own products, as `mai1.run.adapters.training_flops` counts a run."""
    model, length = workload.model, workload.sequence_length
    whole = training_flops_per_token(model, context=length)
    if workload.lora is None:
        return whole
    trained = parameters_of(workload, Layout(num_devices=1), 0).trained
    active = trained.dense + trained.expert * model.moe.top_k / model.moe.num_experts
    return whole - training_flops_per_token(model, context=0) // 3 + 6 * round(active)
