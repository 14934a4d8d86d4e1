"""How loss falls with parameters, tokens and granularity: Krajewski, Ludziejewski et al. 2024, arXiv 2402.07871.

Models of the law have width 64 times their blocks, attention of 4 width^2 and experts without a gate of together
E * 8 width^2 parameters in a block; E is the expansion, total over active parameters of a layer of experts. Parameters are
counted without embeddings, and N of the law are all of them: (8 E + 4) / 12 = 43 times the active ones for E = 64, as the
paper's section 6.1 says. "64 x 1B" in its table 2 is a name: with 64e9 in place of 43e9 the table does not come out.
"""

from dataclasses import dataclass

from mai1.plan.laws.recommendation import Recommendation, lowest

FLOPS_PER_PARAMETER, FLOPS_PER_ROUTER_PARAMETER = 6, 14
"""c_f and c_r of equation 10; c_r contains moving tokens to experts and back (appendix E)."""
WIDTH_PER_BLOCK = 64
GRANULARITIES = tuple(2**power for power in range(10))


@dataclass(frozen=True, slots=True)
class FineGrainedLaw:
    """L = c + (g / G^gamma + a) N^-alpha + b D^-beta (equation 9); g = 0 and an expansion of 1 for dense models."""

    expansion: int
    a: float
    alpha: float
    b: float
    beta: float
    g: float
    gamma: float
    c: float
    fitted_flops: tuple[float, float]
    most_granularity: int
    """Of the models it was fitted to."""

    def loss(self, total: float, tokens: float, granularity: float) -> float:
        """Nats a token on C4, GPT-2 tokenizer."""
        capacity = self.g / granularity**self.gamma + self.a
        return self.c + capacity * total**-self.alpha + self.b * tokens**-self.beta

    def total(self, active: float) -> float:
        """Parameters of all experts, of so many active ones."""
        return active * (8 * self.expansion + 4) / 12

    def flops_per_token(self, active: float, granularity: float) -> float:
        """Forward and backward (equation 10), the router's share contained; dense models have none."""
        blocks = (active / (12 * WIDTH_PER_BLOCK**2)) ** (1 / 3)
        router = WIDTH_PER_BLOCK * blocks**2 * self.expansion * granularity if self.g else 0.0
        return FLOPS_PER_PARAMETER * active + FLOPS_PER_ROUTER_PARAMETER * router

    def best_active(self, compute_flops: float, granularity: float) -> float:
        """Active parameters of lowest loss (section 6.2)."""
        return lowest(
            lambda active: self.loss(
                self.total(active), compute_flops / self.flops_per_token(active, granularity), granularity
            ),
            compute_flops**0.5 * 1e-5,
            compute_flops**0.5 * 1e3,
        )

    def best(self, compute_flops: float) -> "Allocation":
        """What a budget is best spent on; granularity in powers of 2, as in table 2."""
        choices = []
        for granularity in GRANULARITIES if self.g else (1,):
            active = self.best_active(compute_flops, granularity)
            tokens = compute_flops / self.flops_per_token(active, granularity)
            choices.append(Allocation(self.loss(self.total(active), tokens, granularity), active, tokens, granularity))
        return min(choices, key=lambda choice: choice.loss)


@dataclass(frozen=True, slots=True)
class Allocation:
    """One way to spend a budget."""

    loss: float
    active: float
    tokens: float
    granularity: int


OF_64 = FineGrainedLaw(
    expansion=64, a=18.1, alpha=0.115, b=30.8, beta=0.147, g=2.1, gamma=0.58, c=0.47,
    fitted_flops=(3.2e17, 2.1e19), most_granularity=16,
)  # fmt: skip
"""Table 1; 64x3M on 16 B tokens to 64x49M on 66 B (table 3)."""
OF_16 = FineGrainedLaw(
    expansion=16, a=19.64, alpha=0.124, b=57.07, beta=0.169, g=1.18, gamma=0.986, c=0.472,
    fitted_flops=(1.6e17, 5.5e18), most_granularity=16,
)  # fmt: skip
"""Table 8, called preliminary there; table 7: 3M on 8 B tokens to 13M on 66 B."""
DENSE = FineGrainedLaw(
    expansion=1, a=16.3, alpha=0.126, b=26.7, beta=0.127, g=0.0, gamma=0.0, c=0.47,
    fitted_flops=(3.0e17, 1.9e19), most_granularity=1,
)  # fmt: skip
"""Table 1; 3M on 16 B tokens to 49M on 66 B (table 4)."""


def recommend(compute_flops: float, law: FineGrainedLaw = OF_64) -> Recommendation:
    """Active parameters, tokens and granularity of lowest loss."""
    best, is_dense = law.best(compute_flops), not law.g
    beyond = f", fitted up to {law.most_granularity}" if best.granularity > law.most_granularity else ""
    return Recommendation(
        law="dense (fine-grained paper)" if is_dense else f"fine-grained, {law.expansion} x",
        source="arXiv 2402.07871, table " + ("8" if law is OF_16 else "1"),
        compute_flops=compute_flops,
        active=best.active,
        total=law.total(best.active),
        experts=None if is_dense else law.expansion * best.granularity,
        top_k=None if is_dense else best.granularity,
        granularity=None if is_dense else best.granularity / 2,
        tokens=best.tokens,
        loss=best.loss,
        fitted_flops=law.fitted_flops,
        note="to compare with"
        if is_dense
        else f"its granularity (4 widths over an expert's) is {best.granularity}{beyond}; embeddings not counted",
    )
