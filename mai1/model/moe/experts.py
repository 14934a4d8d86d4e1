"""The experts: many SwiGLU networks whose weights are stacked, each applied to the tokens that chose it.

Legend: N tokens, D width, F expert width, E experts held here (all of them without expert parallelism), K choices,
R routed rows.
"""

from collections.abc import Callable

import torch
from torch import nn

from mai1.model.lora import merged
from mai1.model.moe.expert_loop import ExpertLoop
from mai1.model.moe.few_rows import ask_for_few_rows, ask_for_one_token
from mai1.model.moe.frozen_experts import ask_frozen_experts
from mai1.model.moe.grouped_products import ExpertWeights, ask_experts_at_once
from mai1.model.moe.grouping import Grouping

FEW_ROWS = 64
"""Rows per expert below which, on a CPU, the calls of a loop cost more than what it keeps in the cache."""


class Experts(nn.Module):
    """Stacked weights `gate_up [E, 2F, D]` and `down [E, D, F]`; adapters, where there are any, stacked beside them."""

    lora_scale = 0.0
    """What the adapters' B A is multiplied by; 0 where there are none."""
    kernels: Callable[..., torch.Tensor] | None = None
    """What computes them where it is trained, if asked for (`engine.expert_kernels`)."""

    def __init__(self, d_model: int, *, width: int, num_local_experts: int, first_expert: int) -> None:
        super().__init__()
        self.first_expert = first_expert
        """Global id of the first expert held here."""
        self.gate_up = nn.Parameter(torch.empty(num_local_experts, 2 * width, d_model))
        self.down = nn.Parameter(torch.empty(num_local_experts, d_model, width))

    def forward(
        self,
        x_ND: torch.Tensor,
        weights_NK: torch.Tensor,
        grouping: Grouping | torch.Tensor,
        *,
        num_rows_is_common: bool,
    ) -> torch.Tensor:
        """`[N, D]`: for each token the sum over its choices of weight times answer; no expert needs to be chosen.

        One token's choices `[1, K]` need no grouping where `answers_few` says so.

        `num_rows_is_common` says that every rank of the run calls with as many rows. Only then may their number decide how
        to compute: ZeRO adds up gradients over ranks in the order in which they come, which must be the same on all.
        """
        if isinstance(grouping, torch.Tensor):
            return ask_for_one_token(x_ND, grouping, weights_NK, self.gate_up, self.down)
        if len(grouping.token_R) < FEW_ROWS * len(self.down) and self.answers_few(x_ND):
            return ask_for_few_rows(x_ND, weights_NK, self.gate_up, self.down, grouping)
        if self.kernels is not None and self.gate_up.requires_grad:
            return self.kernels(x_ND, weights_NK.to(x_ND.dtype), self.gate_up, self.down, grouping)
        has_few_rows = num_rows_is_common and len(grouping.token_R) < FEW_ROWS * len(self.down)
        if (x_ND.is_cuda or has_few_rows) and self._is_aligned:
            return ask_experts_at_once(x_ND, weights_NK, self._weights, grouping)
        if not self.gate_up.requires_grad:
            return ask_frozen_experts(x_ND, weights_NK, self._weights, grouping)
        return ExpertLoop.apply(x_ND, weights_NK.to(x_ND.dtype), self.gate_up, self.down, grouping)

    def answers_few(self, x_ND: torch.Tensor) -> bool:
        """Whether a few rows are answered in a way of their own: on a CPU, without gradients and without adapters."""
        return x_ND.is_cpu and not torch.is_grad_enabled() and not self.lora_scale

    def matrices_of(self, local: int) -> tuple[torch.Tensor, torch.Tensor]:
        """gate_up and down of one of the experts held here, in fp32, adapters included; no gradient flows through them."""
        matrices = (self.gate_up.detach()[local], self.down.detach()[local])
        if not self.lora_scale:
            return matrices[0].float(), matrices[1].float()
        a1, b1, a2, b2 = (factor.detach()[local] for factor in self._weights.factors)
        return merged(matrices[0], a1, b1, scale=self.lora_scale), merged(matrices[1], a2, b2, scale=self.lora_scale)

    @property
    def _weights(self) -> ExpertWeights:
        if not self.lora_scale:
            return ExpertWeights(self.gate_up, self.down)
        factors = (self.gate_up_lora_a, self.gate_up_lora_b, self.down_lora_a, self.down_lora_b)
        return ExpertWeights(self.gate_up, self.down, factors, self.lora_scale)

    @property
    def _is_aligned(self) -> bool:
        """Grouped products want rows of whole 16 bytes, which every usual width and rank is."""
        rank = self.gate_up_lora_a.shape[1] if self.lora_scale else 0
        return all(length * self.down.element_size() % 16 == 0 for length in (*self.down.shape[1:], rank))
