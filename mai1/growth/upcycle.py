"""Sparse upcycling: dense feed-forward networks become experts (Komatsuzaki et al. 2023, arXiv 2212.05055).

Every expert is a copy of the dense network, so whichever are chosen, and weights sum to 1, the layer computes what it did.
With narrower experts (He et al. 2024, arXiv 2410.07524, "virtual groups"), the dense network is cut into G slices, copied
E/G times; the slices of a copy share one router row, so that top-k with k a multiple of G chooses whole copies, and with
each slice's output times G the function stays. Shared experts take the first slices for every token.
"""

from dataclasses import replace

from mai1.growth.plan import ExpertOrigin, GrowthPlan, LayerGrowth, RowOrigin
from mai1.model.moe.layer import MoEConfig
from mai1.model.moe.router import Scores
from mai1.model.transformer import ModelConfig


def upcycle(
    source: ModelConfig, config: ModelConfig, *, is_all_dense: bool = False, noise: float = 0.0, redrawn: float = 0.0
) -> GrowthPlan:
    """From the dense layers of `source`, and those with a single expert, to MoE layers of `config`.

    `source` and `config` agree in all but their feed-forward layers. The first `config.num_dense_layers` stay dense. A
    source that `is_all_dense` is described by `config` itself, with the width of its networks as `dense_width`.
    """
    moe = config.moe
    if not moe.normalize_weights:
        raise ValueError(
            "model.moe.normalize_weights=false cannot be upcycled to: weights that do not sum to 1 would change what the "
            "dense layers compute: use a model with normalised weights"
        )
    layers = {}
    for layer in config.moe_layers:
        is_dense = is_all_dense or layer < source.num_dense_layers
        if is_dense or source.moe.num_experts == 1:
            layers[layer] = _layer(source, moe, is_dense=is_dense)
    if not layers:
        raise ValueError(
            f"method=upcycle has nothing to do: of {source.num_layers} layers the first {config.num_dense_layers} stay "
            "dense and the others are mixtures of experts already: lower dense_layers"
        )
    return GrowthPlan("upcycle", source, config, layers, noise=noise, redrawn=redrawn)


def grown_config(
    source: ModelConfig, *, num_experts: int, top_k: int, expert_width: int, num_shared_experts: int, dense_layers: int
) -> ModelConfig:
    """The result of upcycling one of our checkpoints: where it has experts already, all layers become like those."""
    if dense_layers > source.num_dense_layers:
        raise ValueError(
            f"dense_layers={dense_layers} must not exceed the {source.num_dense_layers} dense layers there are"
        )
    moe = source.moe
    if moe.num_experts > 1:
        given = (num_experts, top_k, expert_width or moe.expert_width, num_shared_experts)
        if given != (moe.num_experts, moe.top_k, moe.expert_width, moe.num_shared_experts):
            raise ValueError(
                f"experts={num_experts}, top_k={top_k}, expert_width={expert_width} and shared_experts="
                f"{num_shared_experts} must be those of the layers that are mixtures already: {moe.num_experts}, "
                f"{moe.top_k}, {moe.expert_width} and {moe.num_shared_experts}"
            )
        return replace(source, num_dense_layers=dense_layers)
    is_weighed = moe.scores is Scores.sigmoid and not moe.normalize_weights
    if moe.num_shared_experts or moe.scaling_factor != 1.0 or is_weighed:
        raise ValueError(
            "a single expert is a dense network only without shared experts, with scaling_factor=1.0 and with normalised "
            f"weights, but num_shared_experts={moe.num_shared_experts}, scaling_factor={moe.scaling_factor} and "
            f"normalize_weights={str(moe.normalize_weights).lower()}: use another checkpoint"
        )
    width = expert_width or moe.expert_width
    grown = replace(
        moe,
        num_experts=num_experts,
        top_k=top_k,
        expert_width=width,
        num_shared_experts=num_shared_experts,
        normalize_weights=True,
    )
    return replace(source, num_dense_layers=dense_layers, moe=grown)


def _layer(source: ModelConfig, moe: MoEConfig, *, is_dense: bool) -> LayerGrowth:
    dense_width = source.dense_width if is_dense else source.moe.expert_width
    num_slices = -(-dense_width // moe.expert_width) - moe.num_shared_experts
    _check_slices(num_slices, dense_width, moe)
    num_copies = moe.num_experts // num_slices
    gain = num_slices / moe.scaling_factor
    origins = [
        ExpertOrigin(
            0,
            first_channel=(moe.num_shared_experts + number) * moe.expert_width,
            gain=gain,
            gradient_share=1 / num_copies,
            is_altered=True,
        )
        for _ in range(num_copies)
        for number in range(num_slices)
    ]
    rows = [RowOrigin(None, drawn=copy) for copy in range(num_copies) for _ in range(num_slices)]
    return LayerGrowth(origins, rows, is_from_dense=is_dense, makes_shared=moe.num_shared_experts > 0)


def _check_slices(num_slices: int, dense_width: int, moe: MoEConfig) -> None:
    if num_slices < 1:
        raise ValueError(
            f"shared_experts={moe.num_shared_experts} of width {moe.expert_width} hold the whole dense network of width "
            f"{dense_width}: use fewer, or a lower expert_width"
        )
    for key, value in (("experts", moe.num_experts), ("top_k", moe.top_k)):
        if value % num_slices:
            raise ValueError(
                f"{key}={value} must be a multiple of {num_slices}, the slices of width {moe.expert_width} that the "
                f"dense network of width {dense_width} is cut into besides its shared experts"
            )
    if moe.top_k == 1:
        raise ValueError(
            "top_k=1 with normalised weights gives every chosen expert the weight 1, whatever the router says, so the "
            "router would learn nothing from the loss: use top_k=2 or more"
        )
