"""How much compute more experts save at the same number of active ones: Kimi K2, arXiv 2507.20534, section 2.3."""

import math

from mai1.plan.laws.recommendation import Recommendation

SAVED = {8: 1.69, 16: 1.39, 32: 1.15, 48: 1.0}
"""Sparsity, experts over active experts -> FLOPs to a validation loss of 1.5, over those with sparsity 48."""
EXPERTS, TOP_K = 384, 8


def flops_over_48(sparsity: float) -> float:
    """FLOPs to the same loss over those with sparsity 48, between the published points in logarithms.

    ValueError outside of 8 to 48, which the report does not cover.
    """
    if not min(SAVED) <= sparsity <= max(SAVED):
        raise ValueError(
            f"sparsity={sparsity} must be in {min(SAVED)} to {max(SAVED)}, where Kimi K2 published figures"
        )
    low = max(known for known in SAVED if known <= sparsity)
    high = min(known for known in SAVED if known >= sparsity)
    part = math.log(sparsity / low) / math.log(high / low) if high > low else 0.0
    return SAVED[low] ** (1 - part) * SAVED[high] ** part


def recommend(compute_flops: float) -> Recommendation:
    """Experts alone: the report says nothing of size and tokens."""
    others = ", ".join(f"{1 - 1 / flops_over_48(sparsity):.0%} to {sparsity}" for sparsity in (8, 16, 32))
    return Recommendation(
        law="Kimi K2 sparsity",
        source="arXiv 2507.20534, section 2.3",
        compute_flops=compute_flops,
        experts=EXPERTS,
        top_k=TOP_K,
        fitted_flops=None,
        note=f"experts over active ones: 48 saves {others}, at its loss of 1.5; the sweep's budgets are not published",
    )
