"""Growth of models that are mixtures of experts already: split, clone, add, prune; `upcycle.py` starts from dense layers.

With p the weights of a token's chosen experts, a layer computes `sum_k p_k E_k(x)`, and where weights are normalised they
sum to `scaling_factor`. An expert is a sum over its inner channels, so parts of it that are all chosen add up to it.
"""

from dataclasses import replace

from mai1.growth.plan import ExpertOrigin, GrowthPlan, LayerGrowth, RowOrigin
from mai1.model.moe.layer import MoEConfig
from mai1.model.moe.router import Scores
from mai1.model.transformer import ModelConfig


def split(source: ModelConfig, *, parts: int) -> GrowthPlan:
    """Each expert as `parts` narrower ones with the same router row, and `parts` times as many chosen: the same function.

    Parts of an expert have equal scores, so they are chosen together, and
    `sum_k sum_j p_kj g E_kj(x) = sum_k p_k E_k(x)` with `p_kj = p_k / parts` and `g = parts`, where weights are normalised or
    softmax shares; sigmoid scores that are not normalised stay as they are, and `g = 1`. The gain g goes into
    `scaling_factor`, which leaves weights and gradients as they are, or where the family has none into the output
    projections. Fine-grained experts: Dai et al. 2024 (DeepSeekMoE), arXiv 2401.06066, section 3.1.
    """
    moe = source.moe
    if parts < 2:
        raise ValueError(f"parts={parts} must be at least 2")
    if moe.expert_width % parts:
        raise ValueError(f"parts={parts} must divide model.moe.expert_width={moe.expert_width}")
    _refuse_groups(moe, "split")
    if moe.num_shared_experts:
        width = moe.expert_width // parts
        shared = {"num_shared_experts": moe.num_shared_experts * parts}  # the same network, counted in narrower ones
    else:
        width, shared = moe.expert_width // parts, {}
    is_shared_out = moe.normalize_weights or moe.scores is Scores.softmax
    gain, scaling = _gain(moe, float(parts) if is_shared_out else 1.0)
    grown = replace(
        moe,
        num_experts=moe.num_experts * parts,
        top_k=moe.top_k * parts,
        expert_width=width,
        scaling_factor=scaling,
        **shared,
    )
    experts, rows = [], []
    for expert in range(moe.num_experts):
        for part in range(parts):
            experts.append(ExpertOrigin(expert, first_channel=part * width, gain=gain))
            rows.append(RowOrigin(expert, gradient_share=1 / parts if is_shared_out else 1.0))
    return _everywhere("split", source, grown, experts, rows)


def clone(source: ModelConfig, *, copies: int, top_k: int = 0, noise: float = 0.0, redrawn: float = 0.0) -> GrowthPlan:
    """Each expert `copies` times, with the same router row; the function stays where as many times more are chosen.

    `top_k=0` does that. The first copy of each is left as it is; noise and redrawn channels are for the others.
    """
    moe = source.moe
    if copies < 2:
        raise ValueError(f"copies={copies} must be at least 2")
    _refuse_groups(moe, "clone")
    chosen = top_k or moe.top_k * copies
    is_shared_out = moe.normalize_weights or moe.scores is Scores.softmax
    gain, scaling = _gain(moe, 1.0 if is_shared_out else 1 / copies)
    grown = replace(moe, num_experts=moe.num_experts * copies, top_k=chosen, scaling_factor=scaling)
    experts, rows = [], []
    for expert in range(moe.num_experts):
        for copy in range(copies):
            experts.append(ExpertOrigin(expert, gain=gain, gradient_share=1 / copies, is_altered=copy > 0))
            rows.append(RowOrigin(expert, gradient_share=1 / copies))
    plan = _everywhere("clone", source, grown, experts, rows)
    plan.noise, plan.redrawn = noise, redrawn
    plan.new_experts = [expert for expert in range(grown.num_experts) if expert % copies]
    return plan


def add(
    source: ModelConfig,
    *,
    origins: dict[int, list[int]],
    is_unchosen: bool,
    noise: float = 0.0,
    redrawn: float = 0.0,
) -> GrowthPlan:
    """More experts behind those there are: of each layer, copies of the experts in `origins`; as many are chosen as before.

    They have no moments, as they have had no gradient. With `is_unchosen` their selection bias, which sigmoid scores have,
    keeps every token away from them, so the function stays; balancing by bias lets them in by and by.
    """
    moe = source.moe
    _refuse_groups(moe, "add")
    if is_unchosen and moe.scores is not Scores.sigmoid:
        raise ValueError(
            "rows=unchosen needs sigmoid scores, because softmax families have no selection bias that keeps new "
            "experts from being chosen: use rows=apart with text of both domains"
        )
    counts = {len(experts) for experts in origins.values()}
    assert len(counts) == 1 and set(origins) == set(source.moe_layers), "every layer gets as many"
    (num_new,) = counts
    grown = replace(moe, num_experts=moe.num_experts + num_new)
    layers = {}
    for layer, copied in origins.items():
        for expert in copied:
            if not 0 <= expert < moe.num_experts:
                raise ValueError(f"sources: {expert} is none of the {moe.num_experts} experts: use 0 or more")
        old = range(moe.num_experts)
        experts = [ExpertOrigin(e) for e in old]
        experts += [ExpertOrigin(e, gradient_share=0.0, is_altered=True) for e in copied]
        rows = [RowOrigin(e) for e in old]
        rows += [RowOrigin(e, gradient_share=0.0, is_lowered=is_unchosen) for e in copied]
        layers[layer] = LayerGrowth(experts, rows)
    new = list(range(moe.num_experts, grown.num_experts))
    config = replace(source, moe=grown)
    return GrowthPlan("add", source, config, layers, noise=noise, redrawn=redrawn, new_experts=new)


def prune(source: ModelConfig, *, kept: dict[int, list[int]]) -> GrowthPlan:
    """Only the experts in `kept` of each layer, in their order; tokens choose among those that are left.

    Where weights are normalised, those of the chosen ones still sum to the same, and softmax shares are of the experts left.
    """
    moe = source.moe
    _refuse_groups(moe, "prune")
    (num_kept,) = {len(experts) for experts in kept.values()}
    if not moe.top_k <= num_kept < moe.num_experts:
        raise ValueError(
            f"experts={num_kept} must be from top_k={moe.top_k} to {moe.num_experts - 1}, fewer than the "
            f"{moe.num_experts} there are"
        )
    layers = {
        layer: LayerGrowth([ExpertOrigin(e) for e in experts], [RowOrigin(e) for e in experts])
        for layer, experts in kept.items()
    }
    config = replace(source, moe=replace(moe, num_experts=num_kept))
    return GrowthPlan("prune", source, config, layers)


def _everywhere(
    method: str, source: ModelConfig, moe: MoEConfig, experts: list[ExpertOrigin], rows: list[RowOrigin]
) -> GrowthPlan:
    layers = {layer: LayerGrowth(experts, rows) for layer in source.moe_layers}
    return GrowthPlan(method, source, replace(source, moe=moe), layers)


def _gain(moe: MoEConfig, gain: float) -> tuple[float, float]:
    """What goes into the output projections, and the result's scaling factor, which sigmoid families alone have."""
    is_in_config = moe.scores is Scores.sigmoid
    return (1.0 if is_in_config else gain), moe.scaling_factor * (gain if is_in_config else 1.0)


def _refuse_groups(moe: MoEConfig, method: str) -> None:
    if moe.num_groups > 1:
        raise ValueError(
            f"method={method} cannot be used with model.moe.num_groups={moe.num_groups}: groups are ranked by their two "
            "best experts, which copies and gaps would change: use a model with num_groups=1"
        )
