"""The router: which experts each token goes to, and with what weight.

Legend: N tokens, D width, E experts, K choices per token, G expert groups.
"""

from dataclasses import dataclass
from enum import Enum

import torch
import torch.nn.functional as F
from torch import nn


class Scores(Enum):
    """How logits become affinities."""

    softmax = "softmax"  # Shazeer et al. 2017, arXiv 1701.06538; Qwen3-MoE, OLMoE, Mixtral
    sigmoid = "sigmoid"  # DeepSeek-V3, arXiv 2412.19437, eq. 15; GLM-4-MoE


@dataclass(slots=True)
class Routing:
    """One MoE layer's decisions for the N tokens of a microbatch; differentiable through scores and weights."""

    logits_NE: torch.Tensor
    """fp32 router logits."""
    scores_NE: torch.Tensor
    """fp32 affinities of every token to every expert, before the selection bias."""
    experts_NK: torch.Tensor
    """int64 ids of the chosen experts."""
    weights_NK: torch.Tensor
    """fp32 weights with which the chosen experts' outputs are added."""
    tokens_per_expert_E: torch.Tensor
    """int64 count of choices over the valid tokens: padding is no load."""


class Router(nn.Module):
    """Top-k routing in fp32 whatever the model's dtype.

    The selection bias (DeepSeek-V3 eq. 16; Wang et al. 2024, arXiv 2408.15664) is added for the choice of experts only,
    never to their weights, and never receives a gradient: `balance.update_selection_bias` moves it once per step.
    """

    def __init__(
        self,
        d_model: int,
        *,
        num_experts: int,
        top_k: int,
        scores: Scores,
        normalize_weights: bool,
        scaling_factor: float,
        num_groups: int,
        top_groups: int,
    ) -> None:
        super().__init__()
        self.top_k, self.scores = top_k, scores
        self.normalize_weights, self.scaling_factor = normalize_weights, scaling_factor
        self.num_groups, self.top_groups = num_groups, top_groups
        self.weight = nn.Parameter(torch.empty(num_experts, d_model))
        if scores is Scores.sigmoid:  # softmax families of Hugging Face have no place for a bias
            self.register_buffer("selection_bias", torch.zeros(num_experts, dtype=torch.float32))

    def forward(self, x_ND: torch.Tensor, valid_N: torch.Tensor | None = None) -> Routing:
        """Route `[N, D]`; tokens where `valid_N` is false are routed but not counted."""
        logits_NE = F.linear(x_ND.float(), self.weight.float())
        scores_NE = logits_NE.softmax(-1) if self.scores is Scores.softmax else logits_NE.sigmoid()
        experts_NK = self._choose(scores_NE.detach())
        weights_NK = scores_NE.gather(1, experts_NK)
        if self.normalize_weights:
            weights_NK = weights_NK / (weights_NK.sum(-1, keepdim=True) + 1e-20)
        counts_E = _count(experts_NK, valid_N, num_experts=scores_NE.shape[1])
        return Routing(logits_NE, scores_NE, experts_NK, weights_NK * self.scaling_factor, counts_E)

    def _choose(self, scores_NE: torch.Tensor) -> torch.Tensor:
        if self.scores is Scores.sigmoid:
            scores_NE = scores_NE + self.selection_bias
        if self.num_groups > 1:
            scores_NE = scores_NE.masked_fill(~self._best_groups(scores_NE), float("-inf"))
        return scores_NE.topk(self.top_k, dim=-1).indices

    def _best_groups(self, scores_NE: torch.Tensor) -> torch.Tensor:
        """Group-limited selection (DeepSeek-V2, arXiv 2405.04434, §2.2.2): a group counts by its two best experts."""
        grouped = scores_NE.unflatten(1, (self.num_groups, -1))
        chosen_groups = grouped.topk(2, dim=-1).values.sum(-1).topk(self.top_groups, dim=-1).indices
        allowed_NG = torch.zeros(grouped.shape[:2], dtype=torch.bool, device=scores_NE.device)
        return allowed_NG.scatter_(1, chosen_groups, True)[..., None].expand_as(grouped).flatten(1)


def _count(experts_NK: torch.Tensor, valid_N: torch.Tensor | None, *, num_experts: int) -> torch.Tensor:
    chosen = experts_NK.flatten()
    counts_E = torch.zeros(num_experts, dtype=torch.int64, device=chosen.device)
    if valid_N is None:
        return counts_E.scatter_add_(0, chosen, torch.ones_like(chosen))
    return counts_E.scatter_add_(0, chosen, valid_N.long().repeat_interleave(experts_NK.shape[1]))
