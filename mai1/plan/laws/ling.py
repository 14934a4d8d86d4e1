"""How much compute experts save, and how to divide a budget: Ling team 2025, "Towards Greater Leverage", arXiv 2507.17702.

Logarithms: the paper does not name their bases. With 10 for compute and 2 for granularity its own statements come out: more
than 7 times at 1e22 FLOPs with an activation ratio of 3.1% and granularity 12, the same for its pilot model of 3.4%, and a
best granularity near 12. With one base for both they do not (5.4 times, or 5,334).
"""

import math

from mai1.plan.laws.recommendation import Recommendation, lowest

A, D, GAMMA, BETA = 1.23, -7.61e-2, 1.67e-2, -1.17e-1
A_START, A_MAX = 1.63e-2, 5.28e16
"""Table 2."""
FITTED_FLOPS = (1e18, 6e20)
"""Budgets of its sweeps of activation ratio and granularity (tables 7 and 8)."""
FITTED_GRANULARITY = (2.0, 16.0)
FITTED_RULES_FLOPS = (3e17, 3e20)
"""Budgets behind learning rate, batch and allocation (section 2.2)."""
EXPERTS, TOP_K, SHARED = 384, 12, 1
"""Of its pilot model Ling-mini-beta: 3.4% of the experts are active (table 3)."""
WIDTH_PER_LAYER = 100
"""Width over layers, as of the pilot model (2,048 and 20)."""
ATTENTION = 2.5
"""Parameters of attention in width^2: grouped queries, four to a key (the pilot model's 16 and 4 heads of 128)."""


def activation_ratio(experts: int, top_k: int, shared: int) -> float:
    """Active experts over all of them, shared ones contained (section 2.1)."""
    return (top_k + shared) / (experts + shared)


def efficiency_leverage(ratio: float, granularity: float, compute_flops: float) -> float:
    """Compute of the dense model as good, over the mixture's (equation 13): by activation ratio, granularity and budget."""
    saturated = 1 / (1 / (ratio + 1 / (1 / A_START - 1 / A_MAX)) + 1 / A_MAX)
    log_granularity = math.log2(granularity)
    exponent = A + D * math.log10(compute_flops) + GAMMA * log_granularity**2 + BETA * log_granularity
    return saturated**exponent


def best_granularity(ratio: float, compute_flops: float) -> float:
    """Where efficiency leverage is highest; the same for all ratios and budgets: 2^(-beta / 2 gamma)."""
    return lowest(lambda granularity: -efficiency_leverage(ratio, granularity, compute_flops), 1.0, 1e3)


def best_flops_per_token(compute_flops: float) -> float:
    """M of the mixture of lowest loss, forward and backward without embeddings (table 1, appendix C)."""
    return 0.1915 * compute_flops**0.5095


def best_tokens(compute_flops: float) -> float:
    """D of the mixture of lowest loss (table 1)."""
    return 5.2232 * compute_flops**0.4905


def dense_flops_per_token(compute_flops: float) -> float:
    """M of the dense model of lowest loss (table 1)."""
    return 0.0655 * compute_flops**0.5422


def learning_rate(compute_flops: float) -> float:
    """Peak learning rate of AdamW for a mixture (equation 3)."""
    return 1.1576 * compute_flops**-0.1529


def batch_tokens(compute_flops: float) -> float:
    """Tokens of a step for a mixture (equation 3)."""
    return 0.0694 * compute_flops**0.3644


def parameters_per_layer(granularity: float) -> tuple[float, float]:
    """Active and total parameters of a layer in width^2: gated experts of 2 / granularity widths."""
    expert = 3 * 2 / granularity
    return ATTENTION + (TOP_K + SHARED) * expert, ATTENTION + (EXPERTS + SHARED) * expert


def layers(flops_per_token: float, active_per_layer: float, context: int) -> float:
    """Layers of the model that costs so much: 6 a parameter, and 12 context width for attention in a layer (appendix C)."""

    def counted(num_layers: float) -> float:
        d_model = WIDTH_PER_LAYER * num_layers
        return num_layers * (6 * active_per_layer * d_model**2 + 12 * context * d_model)

    return lowest(lambda num_layers: abs(math.log(counted(num_layers) / flops_per_token)), 1e-3, 1e5)


def recommend(compute_flops: float, *, context: int) -> Recommendation:
    """Size, tokens, granularity, learning rate and batch for rows of `context` tokens, with the pilot model's experts."""
    ratio = activation_ratio(EXPERTS, TOP_K, SHARED)
    granularity = best_granularity(ratio, compute_flops)
    active_per_layer, total_per_layer = parameters_per_layer(granularity)
    num_layers = layers(best_flops_per_token(compute_flops), active_per_layer, context)
    squares = num_layers * (WIDTH_PER_LAYER * num_layers) ** 2
    leverage = efficiency_leverage(ratio, granularity, compute_flops)
    return Recommendation(
        law="Ling efficiency leverage",
        source="arXiv 2507.17702, tables 1 and 2",
        compute_flops=compute_flops,
        active=active_per_layer * squares,
        total=total_per_layer * squares,
        experts=EXPERTS,
        top_k=TOP_K,
        granularity=granularity,
        tokens=best_tokens(compute_flops),
        learning_rate=learning_rate(compute_flops),
        batch_tokens=batch_tokens(compute_flops),
        fitted_flops=(FITTED_FLOPS[0], FITTED_RULES_FLOPS[1]),
        note=f"as good as a dense model of {leverage:.1f} times the compute; size and tokens were fitted with 4 of 64 "
        "experts active, granularity 2",
    )
