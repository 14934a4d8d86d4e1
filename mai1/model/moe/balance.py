"""Balancing: keep every expert in use. The default moves a selection bias; the alternative adds a loss.

Legend: B sequences, T positions, N = B*T tokens, E experts, K choices.
"""

import math
from dataclasses import dataclass
from enum import Enum

import torch

from mai1.model.moe.router import Router, Routing


class BalanceMethod(Enum):
    """How the load of the experts is evened out."""

    bias = "bias"  # selection bias, no loss: Wang et al. 2024, arXiv 2408.15664; needs scores=sigmoid
    sequence_loss = "sequence_loss"  # sequence-wise auxiliary loss: DeepSeek-V3, arXiv 2412.19437, eq. 17-20
    none = "none"


@dataclass(kw_only=True, slots=True)
class BalanceConfig:
    method: BalanceMethod = BalanceMethod.bias
    """bias | sequence_loss | none. bias needs model.moe.scores=sigmoid."""
    bias_rate: float = 1e-3
    """Step of the selection bias per optimizer step, in units of the score (0..1); used by method=bias."""
    loss_weight: float = 1e-2
    """Factor of the auxiliary loss; used by method=sequence_loss."""
    z_loss_weight: float = 1e-4
    """Factor of the router z-loss (Zoph et al. 2022, arXiv 2202.08906, eq. 5); 0 turns it off."""

    def __post_init__(self) -> None:
        for key in ("bias_rate", "loss_weight", "z_loss_weight"):
            if not getattr(self, key) >= 0:
                raise ValueError(f"balance.{key}={getattr(self, key)} must not be negative: use 0 to turn it off")


@torch.no_grad()
def update_selection_bias(router: Router, tokens_per_expert_E: torch.Tensor, *, rate: float) -> None:
    """Raise the bias of experts below the mean load, lower the others (arXiv 2408.15664, algorithm 1).

    `tokens_per_expert_E` counts a whole optimizer step over the whole data-parallel world: every rank moves alike.
    The mean is taken out of the step, since a common shift changes no choice and would only drift.
    """
    load_E = tokens_per_expert_E.float()
    step_E = (load_E.mean() - load_E).sign() * rate
    router.selection_bias.add_(step_E - step_E.mean())


def sequence_balance_sum(routing: Routing, valid_BT: torch.Tensor) -> torch.Tensor:
    """Sum over sequences of `tokens * sum_e f_e * P_e` (DeepSeek-V3 eq. 17-20); divide by all tokens for the mean.

    f_e is the share of choices that fell on e times E/K, P_e the mean normalised score; both within one sequence, so
    the value does not depend on how sequences are spread over ranks and microbatches. Even load gives 1.
    """
    num_sequences = valid_BT.shape[0]
    num_experts, num_choices = routing.scores_NE.shape[1], routing.experts_NK.shape[1]
    valid_BT1 = valid_BT[..., None].float()
    tokens_B1 = valid_BT1.sum(1).clamp(min=1)
    shares_BTE = (routing.scores_NE / routing.scores_NE.sum(-1, keepdim=True)).unflatten(0, (num_sequences, -1))
    chosen_NE = torch.zeros_like(routing.scores_NE).scatter_(1, routing.experts_NK, 1.0)
    chosen_BTE = chosen_NE.unflatten(0, (num_sequences, -1))
    load_BE = (chosen_BTE * valid_BT1).sum(1) * (num_experts / num_choices) / tokens_B1
    score_BE = (shares_BTE * valid_BT1).sum(1) / tokens_B1
    return ((load_BE.detach() * score_BE).sum(1, keepdim=True) * valid_BT1.sum(1)).sum()


def router_z_sum(routing: Routing, valid_BT: torch.Tensor) -> torch.Tensor:
    """Sum over valid tokens of `logsumexp(logits)^2` (arXiv 2202.08906, eq. 5)."""
    return (routing.logits_NE.logsumexp(-1).square() * valid_BT.flatten()).sum()


@dataclass(slots=True)
class LoadFigures:
    """How evenly one layer used its experts in a step."""

    load: list[float]
    """Each expert's share of the choices; sums to 1."""
    entropy: float
    """Entropy of the shares in nats; log(E) is even."""
    max_violation: float
    """Largest share over the even share, minus 1 (arXiv 2408.15664, eq. 4); 0 is even."""
    dead_experts: int
    """Experts that got no token."""


def load_figures(tokens_per_expert_E: torch.Tensor) -> LoadFigures:
    """Figures of one layer from its counts over a whole step."""
    counts = tokens_per_expert_E.tolist()
    total = max(sum(counts), 1)
    shares = [count / total for count in counts]
    return LoadFigures(
        load=shares,
        entropy=-sum(share * math.log(share) for share in shares if share > 0),
        max_violation=max(shares) * len(shares) - 1,
        dead_experts=sum(count == 0 for count in counts),
    )
