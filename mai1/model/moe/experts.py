"""The experts: many SwiGLU networks whose weights are stacked, applied to rows grouped by expert.

Legend: R routed rows, D width, F expert width, E experts held here (all of them without expert parallelism).
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable


class Experts(nn.Module):
    """Stacked weights `gate_up [E, 2F, D]` and `down [E, D, F]`; row r of the input belongs to exactly one expert."""

    def __init__(self, d_model: int, *, width: int, num_local_experts: int, first_expert: int) -> None:
        super().__init__()
        self.first_expert = first_expert
        """Global id of the first expert held here."""
        self.gate_up = nn.Parameter(torch.empty(num_local_experts, 2 * width, d_model))
        self.down = nn.Parameter(torch.empty(num_local_experts, d_model, width))

    def forward(self, rows_RD: torch.Tensor, rows_per_expert_E: torch.Tensor) -> torch.Tensor:
        """Apply expert e to its `rows_per_expert_E[e]` consecutive rows; no expert needs to have any."""
        if rows_RD.is_cuda and rows_RD.dtype is torch.bfloat16:
            return self._grouped(rows_RD, rows_per_expert_E)
        return _ExpertLoop.apply(rows_RD, self.gate_up, self.down, rows_per_expert_E.tolist())

    def _grouped(self, rows_RD: torch.Tensor, rows_per_expert_E: torch.Tensor) -> torch.Tensor:
        """One grouped matrix product per projection, without a host synchronisation."""
        ends_E = rows_per_expert_E.cumsum(0, dtype=torch.int32)
        gate_RF, up_RF = torch._grouped_mm(rows_RD, self.gate_up.transpose(1, 2), offs=ends_E).chunk(2, dim=-1)
        return torch._grouped_mm(F.silu(gate_RF) * up_RF, self.down.transpose(1, 2), offs=ends_E)


class _ExpertLoop(torch.autograd.Function):
    """One expert after the other, each while its rows are in the cache: the fastest way on a CPU.

    Autograd over the same loop would copy every expert's weight gradient into the stacked one, which for large experts
    takes as long as computing it. Kept for the backward: the rows and the first products; the activation is cheap.
    """

    @staticmethod
    def forward(ctx, rows_RD, gate_up_EFD, down_EDF, rows_per_expert):
        inner_RF = rows_RD.new_empty(len(rows_RD), gate_up_EFD.shape[1])
        answers_RD = torch.empty_like(rows_RD)
        ctx.rows_per_expert = rows_per_expert
        ctx.save_for_backward(rows_RD, inner_RF, gate_up_EFD, down_EDF)
        parts = (tensor.split(rows_per_expert) for tensor in (rows_RD, inner_RF, answers_RD))
        for rows, inner, answers, gate_up, down in zip(*parts, gate_up_EFD, down_EDF, strict=True):
            gate, up = torch.mm(rows, gate_up.t(), out=inner).chunk(2, dim=-1)
            torch.mm(F.silu(gate).mul_(up), down.t(), out=answers)
        return answers_RD

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_RD):
        rows_RD, inner_RF, gate_up_EFD, down_EDF = ctx.saved_tensors
        grad_rows_RD, grad_RD = torch.empty_like(rows_RD), grad_RD.contiguous()
        grad_gate_up_EFD, grad_down_EDF = torch.empty_like(gate_up_EFD), torch.empty_like(down_EDF)
        parts = (tensor.split(ctx.rows_per_expert) for tensor in (rows_RD, inner_RF, grad_RD, grad_rows_RD))
        weights = (gate_up_EFD, down_EDF, grad_gate_up_EFD, grad_down_EDF)
        for rows, inner, grad, grad_rows, gate_up, down, grad_gate_up, grad_down in zip(*parts, *weights, strict=True):
            gate, up = inner.chunk(2, dim=-1)
            activated = F.silu(gate)
            torch.mm(grad.t(), activated * up, out=grad_down)
            grad_product = grad @ down
            grad_gate = torch.ops.aten.silu_backward(grad_product * up, gate)
            grad_inner = torch.cat((grad_gate, grad_product.mul_(activated)), dim=-1)
            torch.mm(grad_inner.t(), rows, out=grad_gate_up)
            torch.mm(grad_inner, gate_up, out=grad_rows)
        return grad_rows_RD, grad_gate_up_EFD, grad_down_EDF, None
