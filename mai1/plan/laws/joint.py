"""How loss falls with active parameters, tokens and experts: Ludziejewski et al. 2025, arXiv 2502.05172.

Models of the law have Switch layers (one expert a token) of gated experts three widths wide, blocks of 64 widths, GPT-2's
vocabulary, and count embeddings among their parameters (appendix A). Coefficients: table 3.
"""

import math
from dataclasses import dataclass

from mai1.plan.laws.recommendation import Recommendation

A, ALPHA, DELTA, GAMMA = 35.91, -0.1889, -0.2285, 0.0098
B, BETA, OMEGA, ZETA = 35.98, -0.1775, 0.5529, -0.0259
E_START, E_MAX, C = 2.0732, 290.4521, 1.3637
FITTED_FLOPS = (2.4e17, 5.3e20)
"""79M active parameters on 0.5 B tokens to 1.1 B on 80 B (appendix E)."""
FITTED_EXPERTS = 32
VOCABULARY, WIDTH_PER_BLOCK = 50_257, 64


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """L = m N^mu + n D^nu + c: what the joint law is for a fixed number of experts (equation 5)."""

    m: float
    mu: float
    n: float
    nu: float
    c: float

    def loss(self, active: float, tokens: float) -> float:
        """Nats a token on FineWeb-Edu, GPT-2 tokenizer."""
        return self.m * active**self.mu + self.n * tokens**self.nu + self.c

    def best_active(self, compute_flops: float) -> float:
        """Active parameters of lowest loss where 6 N D is the budget (equation 7; its G is inverted in print)."""
        factor = (self.nu * self.n / (self.mu * self.m)) ** (1 / (self.mu + self.nu))
        return factor * (compute_flops / 6) ** (self.nu / (self.mu + self.nu))


def with_experts(experts: float) -> PowerLaw:
    """The law for a number of experts, through their saturating transform (equation 4)."""
    ratio = 1 / (1 / (experts - 1 + 1 / (1 / E_START - 1 / E_MAX)) + 1 / E_MAX)
    log = math.log(ratio)
    return PowerLaw(A * ratio**DELTA, ALPHA + GAMMA * log, B * ratio**OMEGA, BETA + ZETA * log, C)


def learning_rate(active: float, experts: float) -> float:
    """Peak learning rate of AdamW, by active parameters without embeddings (equation 8)."""
    return math.exp(8.39 - 0.81 * math.log(active) - 0.25 * math.log(experts))


def width(active: float) -> float:
    """Of the model with so many active parameters: 2 width vocabulary + 13 blocks width^2 (equation 10)."""
    low, high = 1.0, 1e9
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        counted = 2 * middle * VOCABULARY + 13 / WIDTH_PER_BLOCK * middle**3
        low, high = (middle, high) if counted < active else (low, middle)
    return high


def recommend(compute_flops: float, experts: int = FITTED_EXPERTS) -> Recommendation:
    """Active parameters and tokens of lowest loss for a number of experts."""
    law = with_experts(experts)
    active = law.best_active(compute_flops)
    tokens, d_model = compute_flops / (6 * active), width(active)
    in_blocks, has_blocks = d_model**3 / WIDTH_PER_BLOCK, d_model >= WIDTH_PER_BLOCK
    return Recommendation(
        law=f"joint, {experts} experts",
        source="arXiv 2502.05172, table 3",
        compute_flops=compute_flops,
        active=active,
        total=active + 9 * (experts - 1) * in_blocks,
        experts=experts,
        top_k=1,
        granularity=2 / 3,
        tokens=tokens,
        loss=law.loss(active, tokens),
        learning_rate=learning_rate(13 * in_blocks, experts) if has_blocks else None,
        fitted_flops=FITTED_FLOPS,
        note=f"more experts are always better to it, {FITTED_EXPERTS} is the most it was fitted to; embeddings counted",
    )
