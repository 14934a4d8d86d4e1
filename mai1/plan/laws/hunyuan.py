"""How to divide a budget between active parameters and tokens: Hunyuan-Large, arXiv 2411.02265, section 2.3.1."""

from mai1.plan.laws.recommendation import Recommendation

FITTED_FLOPS = (5e18, 9.5e19)
"""Figure 3: nine budgets, 10M to 1B active parameters."""
TOTAL_PER_ACTIVE = 389 / 52
EXPERTS = 16


def flops(active: float, tokens: float) -> float:
    """Of a training, long rows' attention contained (equation 2)."""
    return 9.59 * active * tokens + 2.3e8 * tokens


def best_active(compute_flops: float) -> float:
    """Active parameters of lowest loss (figure 3)."""
    return 5.9e-3 * compute_flops**0.5305


def best_tokens(compute_flops: float) -> float:
    """Tokens of lowest loss (figure 4)."""
    return 3.2 * compute_flops**0.50


def recommend(compute_flops: float) -> Recommendation:
    """Size and tokens; experts and the share of active parameters are those of the model the law was made for."""
    active, tokens = best_active(compute_flops), best_tokens(compute_flops)
    return Recommendation(
        law="Hunyuan-Large",
        source="arXiv 2411.02265, section 2.3.1",
        compute_flops=compute_flops,
        active=active,
        total=active * TOTAL_PER_ACTIVE,
        experts=EXPERTS,
        top_k=1,
        tokens=tokens,
        fitted_flops=FITTED_FLOPS,
        note="size and tokens are two separate fits: by its own count of FLOPs they need "
        f"{flops(active, tokens) / compute_flops:.0%} of the budget",
    )
