"""The experts: many SwiGLU networks whose weights are stacked, each applied to the tokens that chose it.

Legend: N tokens, D width, F expert width, E experts held here (all of them without expert parallelism), K choices,
R routed rows.
"""

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from mai1.model.lora import merged
from mai1.model.moe.few_rows import ask_for_few_rows, ask_for_one_token
from mai1.model.moe.frozen_experts import ExpertWeights, ask_experts_at_once, ask_frozen_experts
from mai1.model.moe.grouping import Grouping, sum_choices

FEW_ROWS = 64
"""Rows per expert below which, on a CPU, the calls of a loop cost more than what it keeps in the cache."""


class Experts(nn.Module):
    """Stacked weights `gate_up [E, 2F, D]` and `down [E, D, F]`; adapters, where there are any, stacked beside them."""

    lora_scale = 0.0
    """What the adapters' B A is multiplied by; 0 where there are none."""

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
        has_few_rows = num_rows_is_common and len(grouping.token_R) < FEW_ROWS * len(self.down)
        if (x_ND.is_cuda or has_few_rows) and self._is_aligned:
            return ask_experts_at_once(x_ND, weights_NK, self._weights, grouping)
        if not self.gate_up.requires_grad:
            return ask_frozen_experts(x_ND, weights_NK, self._weights, grouping)
        weights_NK = weights_NK.to(x_ND.dtype)
        return _ExpertLoop.apply(x_ND, weights_NK, self.gate_up, self.down, grouping)

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


class _ExpertLoop(torch.autograd.Function):
    """One expert after the other, each while its rows are in the cache: the fastest way on a CPU.

    Rows are gathered when an expert needs them and not kept, nor are the answers: the gradient of a weight is
    `answer . grad = product . (grad @ down)`. Weight gradients are written in place: autograd over the same loop would
    copy each into the stacked one.
    """

    @staticmethod
    def forward(ctx, x_ND, weights_NK, gate_up_EFD, down_EDF, grouping):
        rows_per_expert, num_rows = grouping.rows_per_expert_E.tolist(), len(grouping.token_R)
        num_unused, width = num_rows - sum(rows_per_expert), down_EDF.shape[2]
        inner_RF, activated_RF = x_ND.new_empty(num_rows, 2 * width), x_ND.new_empty(num_rows, width)
        answers_RD = x_ND.new_empty(num_rows, x_ND.shape[1])
        ctx.rows_per_expert = [*rows_per_expert, num_unused]
        by_row = (grouping.token_R, inner_RF, activated_RF, answers_RD)
        *experts, unused = zip(*(tensor.split(ctx.rows_per_expert) for tensor in by_row), strict=True)
        for (token_R, inner, activated, answers), gate_up, down in zip(experts, gate_up_EFD, down_EDF, strict=True):
            if len(token_R):
                torch.mm(x_ND.index_select(0, token_R), gate_up.t(), out=inner)
                torch.ops.aten.silu.out(inner[:, :width], out=activated)
                torch.mm(activated * inner[:, width:], down.t(), out=answers)
        unused[-1].zero_()
        ctx.save_for_backward(
            x_ND, weights_NK, gate_up_EFD, down_EDF, grouping.token_R, grouping.row_NK, inner_RF, activated_RF
        )
        return sum_choices(answers_RD, grouping.row_NK, weights_NK)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_ND):
        x_ND, weights_NK, gate_up_EFD, down_EDF, token_R, row_NK, inner_RF, activated_RF = ctx.saved_tensors
        grad_ND, width = grad_ND.contiguous(), down_EDF.shape[2]
        grad_rows_RD, grad_weights_R = x_ND.new_empty(len(token_R), x_ND.shape[1]), weights_NK.new_empty(len(token_R))
        grad_gate_up_EFD, grad_down_EDF = torch.empty_like(gate_up_EFD), torch.empty_like(down_EDF)
        weights_R1 = weights_NK.new_empty(len(token_R), 1)
        weights_R1.view(-1).scatter_(0, row_NK.view(-1), weights_NK.reshape(-1))
        by_row = (token_R, weights_R1, inner_RF, activated_RF, grad_weights_R, grad_rows_RD)
        *experts, unused = zip(*(tensor.split(ctx.rows_per_expert) for tensor in by_row), strict=True)
        by_expert = (gate_up_EFD, down_EDF, grad_gate_up_EFD, grad_down_EDF)
        for rows, gate_up, down, grad_gate_up, grad_down in zip(experts, *by_expert, strict=True):
            token_R, weights, inner, activated, grad_weights, grad_rows = rows
            if not len(token_R):
                grad_gate_up.zero_(), grad_down.zero_()
                continue
            gate, up = inner[:, :width], inner[:, width:]
            grad, product = grad_ND.index_select(0, token_R), activated * up
            grad_product = grad @ down
            if ctx.needs_input_grad[1]:
                torch.linalg.vecdot(product, grad_product, out=grad_weights)
            torch.mm(grad.t(), product.mul_(weights), out=grad_down)
            grad_inner = torch.empty_like(inner)
            torch.mul(grad_product.mul_(weights), activated, out=grad_inner[:, width:])
            torch.ops.aten.silu_backward.grad_input(grad_product.mul_(up), gate, grad_input=grad_inner[:, :width])
            torch.mm(grad_inner.t(), x_ND.index_select(0, token_R), out=grad_gate_up)
            torch.mm(grad_inner, gate_up, out=grad_rows)
        for tensor in unused[-2:]:
            tensor.zero_()
        grad_weights_NK = grad_weights_R[row_NK] if ctx.needs_input_grad[1] else None
        return sum_choices(grad_rows_RD, row_NK), grad_weights_NK, grad_gate_up_EFD, grad_down_EDF, None
