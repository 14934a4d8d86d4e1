"""The mixture-of-experts layer: route, dispatch, apply experts, combine, add the shared experts.

Legend: B batch, T positions, N = B*T tokens, D width, K choices, R routed rows.
"""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from mai1.model.ffn import SwiGLU
from mai1.model.moe.dispatch import combine, dispatch
from mai1.model.moe.experts import Experts
from mai1.model.moe.router import Router, Routing, Scores


@dataclass(kw_only=True, slots=True)
class MoEConfig:
    num_experts: int = 16
    """Routed experts of one layer."""
    top_k: int = 4
    """Experts each token goes to."""
    expert_width: int = 256
    """Inner width of one expert; a multiple of 128 runs best on GPUs."""
    num_shared_experts: int = 1
    """Experts every token goes to, besides the routed ones; needs scores=sigmoid when above 0."""
    scores: Scores = Scores.sigmoid
    """sigmoid (GLM-4-MoE checkpoints) | softmax (Qwen3-MoE, OLMoE or Mixtral checkpoints)."""
    normalize_weights: bool = True
    """Divide the chosen experts' weights by their sum."""
    scaling_factor: float = 1.0
    """Factor on the routed experts' weights."""
    num_groups: int = 1
    """Groups of experts for group-limited selection; 1 is off."""
    top_groups: int = 1
    """Groups a token may choose from."""

    def __post_init__(self) -> None:
        for key in ("num_experts", "top_k", "expert_width", "num_groups", "top_groups"):
            if getattr(self, key) < 1:
                raise ValueError(f"model.moe.{key}={getattr(self, key)} must be at least 1")
        if self.num_shared_experts < 0:
            raise ValueError(f"model.moe.num_shared_experts={self.num_shared_experts} must not be negative: use 0")
        if self.num_experts % self.num_groups or (self.num_groups > 1 and self.num_experts < 2 * self.num_groups):
            raise ValueError(
                f"model.moe.num_groups={self.num_groups} must split num_experts={self.num_experts} "
                "into equal groups of two or more: use 1 to turn groups off"
            )
        if self.top_groups > self.num_groups:
            raise ValueError(f"model.moe.top_groups={self.top_groups} must not exceed num_groups={self.num_groups}")
        selectable = self.num_experts // self.num_groups * self.top_groups
        if self.top_k > selectable:
            raise ValueError(
                f"model.moe.top_k={self.top_k} must not exceed the {selectable} experts a token can choose from "
                f"(num_experts={self.num_experts}): use {selectable} or fewer"
            )


class MoELayer(nn.Module):
    """A sparse feed-forward layer: no token is dropped, whatever the imbalance."""

    def __init__(self, config: MoEConfig, *, d_model: int, expert_group: dist.ProcessGroup | None) -> None:
        super().__init__()
        group_size = dist.get_world_size(expert_group) if expert_group is not None else 1
        group_rank = dist.get_rank(expert_group) if expert_group is not None else 0
        num_local = config.num_experts // group_size
        self.expert_group = expert_group
        self.router = Router(
            d_model,
            num_experts=config.num_experts,
            top_k=config.top_k,
            scores=config.scores,
            normalize_weights=config.normalize_weights,
            scaling_factor=config.scaling_factor,
            num_groups=config.num_groups,
            top_groups=config.top_groups,
        )
        self.experts = Experts(
            d_model, width=config.expert_width, num_local_experts=num_local, first_expert=group_rank * num_local
        )
        self.shared = (
            SwiGLU(d_model, width=config.expert_width * config.num_shared_experts)
            if config.num_shared_experts
            else None
        )

    def forward(self, x_BTD: torch.Tensor, valid_BT: torch.Tensor | None = None) -> tuple[torch.Tensor, Routing]:
        """`[B, T, D]` to `[B, T, D]` and the routing; `valid_BT` false marks padding, which is not counted as load."""
        x_ND = x_BTD.flatten(0, 1)
        routing = self.router(x_ND, None if valid_BT is None else valid_BT.flatten())
        sent_RD, rows_per_expert_E, trip = dispatch(x_ND, routing, expert_group=self.expert_group)
        done_RD = self.experts(sent_RD, rows_per_expert_E)
        y_ND = combine(done_RD, trip, routing.weights_NK)
        if self.shared is not None:
            y_ND = y_ND + self.shared(x_ND)
        return y_ND.view_as(x_BTD), routing
