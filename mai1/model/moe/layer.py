"""The mixture-of-experts layer: route, carry tokens to their experts, add the answers and the shared experts'.

Legend: B batch, T positions, N = B*T tokens, D width, E experts, K choices, R = N*K routed rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.utils.checkpoint import checkpoint

from mai1.model.ffn import SwiGLU
from mai1.model.moe.dispatch import Trip, arrive, depart, in_order, plan_trips, send_back
from mai1.model.moe.experts import Experts
from mai1.model.moe.grouping import add_answers, group_by_expert, spread
from mai1.model.moe.router import Router, Routing, Scores, TokenMarks, all_count


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
        if not self.scaling_factor > 0:
            raise ValueError(f"model.moe.scaling_factor={self.scaling_factor} must be above 0: use 1 for none")
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
    """A sparse feed-forward layer: no token is dropped, whatever the imbalance, unless routing.capacity_factor asks for it."""

    def __init__(self, config: MoEConfig, *, d_model: int, expert_group: dist.ProcessGroup | None) -> None:
        super().__init__()
        group_size = dist.get_world_size(expert_group) if expert_group is not None else 1
        group_rank = dist.get_rank(expert_group) if expert_group is not None else 0
        num_local = config.num_experts // group_size
        self.expert_group, self.num_experts = expert_group, config.num_experts
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

    def forward(self, x_BTD: torch.Tensor, marks: TokenMarks | None = None) -> tuple[torch.Tensor, Routing]:
        """`[B, T, D]` to `[B, T, D]` and the routing; without marks nothing is padding and every token counts."""
        x_ND = x_BTD.flatten(0, 1)
        routing = self.router(x_ND, marks or all_count(*x_BTD.shape[:2], device=x_BTD.device))
        apply_experts = self._apply_here if self.expert_group is None else self._apply_across_ranks
        return apply_experts(x_ND, routing).view_as(x_BTD), routing

    def _apply_here(self, x_ND: torch.Tensor, routing: Routing) -> torch.Tensor:
        """All experts are here. Tokens beyond `max_rows` form further chunks, whose activations are computed twice."""
        max_rows, num_choices = self.router.policy.max_rows, routing.experts_NK.shape[1]
        tokens_at_once = max(1, max_rows // num_choices) if max_rows else len(x_ND)
        inputs = (x_ND, routing.experts_NK, routing.weights_NK)
        if len(x_ND) <= tokens_at_once:
            y_ND = self._ask_experts(*inputs)
        else:
            chunks = zip(*(tensor.split(tokens_at_once) for tensor in inputs), strict=True)
            y_ND = torch.cat([_checkpoint(self._ask_experts, *chunk) for chunk in chunks])
        return y_ND if self.shared is None else y_ND + self.shared(x_ND)

    def _ask_experts(self, x_ND: torch.Tensor, experts_NK: torch.Tensor, weights_NK: torch.Tensor) -> torch.Tensor:
        if len(x_ND) == 1 and self.experts.answers_few(x_ND):
            return self.experts(x_ND, weights_NK, experts_NK, num_rows_is_common=True)
        is_full = not self.training or not self.router.policy.leaves_choices_out
        grouping = group_by_expert(experts_NK, num_experts=self.num_experts, is_full=is_full)
        return self.experts(x_ND, weights_NK, grouping, num_rows_is_common=True)

    def _apply_across_ranks(self, x_ND: torch.Tensor, routing: Routing) -> torch.Tensor:
        """Experts are spread over the group; shared experts work while rows travel, in the backward too."""
        grouping = group_by_expert(routing.experts_NK, num_experts=self.num_experts)
        rows_RD = spread(x_ND, grouping)
        trips = plan_trips(grouping.rows_per_expert_E, group=self.expert_group, max_rows=self.router.policy.max_rows)
        if len(trips) == 1:
            travelling = depart(rows_RD, trips[0])
            shared_ND = None if self.shared is None else self.shared(x_ND)
            answers = [self._answer(travelling, trips[0])]
        else:
            shared_ND = None if self.shared is None else self.shared(x_ND)
            answers = [_checkpoint(self._travel, rows_RD, trip) for trip in trips]
        y_ND = add_answers(in_order(answers, trips, num_rows=len(rows_RD)), routing.weights_NK, grouping)
        return y_ND if shared_ND is None else y_ND + shared_ND

    def _travel(self, rows_RD: torch.Tensor, trip: Trip) -> torch.Tensor:
        return self._answer(depart(rows_RD, trip), trip)

    def _answer(self, travelling_MD: torch.Tensor, trip: Trip) -> torch.Tensor:
        arrived_MD = arrive(travelling_MD, trip)
        weights_M1 = arrived_MD.new_ones(len(arrived_MD), 1)  # a token's weights stay at home, where its answers meet
        answers_MD = self.experts(arrived_MD, weights_M1, trip.grouping, num_rows_is_common=False)
        return send_back(answers_MD, trip)


def _checkpoint(function: Callable[..., torch.Tensor], *inputs: object) -> torch.Tensor:
    return checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
