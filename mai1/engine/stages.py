"""Which blocks each pipeline stage holds, and what cannot be cut into stages: pure functions."""

from functools import cache

from mai1.engine.ds_config import EngineConfig
from mai1.model.flops import block_flops_per_token
from mai1.model.transformer import ModelConfig


def split_blocks(model: ModelConfig, num_stages: int) -> list[range]:
    """Consecutive blocks for each stage, so that the stage with most FLOPs has as few as can be, then the second, and so on.

    Logits and layers for further tokens count as the last stage's; the embedding, a look-up, as nothing. Every stage gets a
    mixture of experts, because DeepSpeed reduces gradients in the same groups on all of them. Between equal splits, earlier
    stages get fewer blocks: they keep the activations of more microbatches.
    """
    costs = [block_flops_per_token(model, layer, context=model.max_positions) for layer in range(model.num_layers)]
    logits, merge = 2 * model.vocab_size * model.d_model, 2 * 2 * model.d_model**2
    costs[-1] += logits + model.num_mtp_layers * (costs[-1] + merge + logits)

    @cache
    def best(first: int, stages: int) -> tuple[list[int], tuple[int, ...]]:
        """Costs of the stages that hold the blocks from `first` on, largest first, and where each begins."""
        if stages == 1:
            return [sum(costs[first:])], (first,)
        splits = []
        for end in range(max(first, model.num_dense_layers) + 1, model.num_layers - stages + 2):
            behind, cuts = best(end, stages - 1)
            splits.append((sorted([sum(costs[first:end]), *behind], reverse=True), (first, *cuts)))
        return min(splits)

    _, firsts = best(0, num_stages)
    return [range(*ends) for ends in zip(firsts, (*firsts[1:], model.num_layers), strict=True)]


def check_stages(config: EngineConfig, model: ModelConfig) -> None:
    """Refuse models that the configured number of stages cannot hold."""
    num_stages, num_moe_layers = config.pipeline_parallel, model.num_layers - model.num_dense_layers
    if num_stages == 1:
        return
    if num_stages > num_moe_layers:
        raise ValueError(
            f"engine.pipeline_parallel={num_stages} must not exceed the {num_moe_layers} MoE layers "
            f"(model.num_layers - model.num_dense_layers), of which every stage needs one: use {num_moe_layers} or fewer"
        )
    if model.tie_embeddings:
        raise ValueError(
            f"engine.pipeline_parallel={num_stages} cannot be used with model.tie_embeddings=true: the first and the last "
            "stage would need the same matrix; use engine.pipeline_parallel=1 or model.tie_embeddings=false"
        )
    if model.num_mtp_layers:
        raise ValueError(
            f"engine.pipeline_parallel={num_stages} cannot be used with model.num_mtp_layers={model.num_mtp_layers}: the "
            "last stage would need the first one's embedding; use engine.pipeline_parallel=1 or model.num_mtp_layers=0"
        )
