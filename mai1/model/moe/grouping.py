"""Grouping: bring the routed rows of tokens into the order of their experts, and add the experts' answers up again.

Both ways are gathers, forward and backward: no atomic or serial scatter-add, so results are the same every time.

Legend: N tokens, D width, E experts, K choices, R = N*K routed rows.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(slots=True)
class Grouping:
    """Which row belongs to which expert: rows of expert 0 first, then those of 1, ...; choices of no expert last."""

    token_R: torch.Tensor
    """int64 token of each row."""
    row_NK: torch.Tensor
    """int64 row of each token's choices, the inverse of `token_R`."""
    rows_per_expert_E: torch.Tensor
    """int64; they sum to R unless some choices go to no expert."""
    is_full: bool = False
    """Whether every choice is known to have an expert."""


def group_by_expert(experts_NK: torch.Tensor, *, num_experts: int, is_full: bool = False) -> Grouping:
    """Sort the choices `[N, K]` by expert; ids of `num_experts` or more go nowhere. No wait for the device."""
    expert_R, order_R = experts_NK.flatten().sort(stable=True)
    ends_E = torch.searchsorted(expert_R, torch.arange(num_experts, device=expert_R.device), right=True)
    row_R = torch.empty_like(order_R).scatter_(0, order_R, torch.arange(len(order_R), device=order_R.device))
    rows_per_expert_E = ends_E.diff(prepend=ends_E.new_zeros(1))
    return Grouping(order_R // experts_NK.shape[1], row_R.view_as(experts_NK), rows_per_expert_E, is_full)


def spread(x_ND: torch.Tensor, grouping: Grouping) -> torch.Tensor:
    """A row for every choice, in the order of the experts: `[R, D]`."""
    if not torch.is_grad_enabled():
        return x_ND.index_select(0, grouping.token_R)
    return _Spread.apply(x_ND, grouping.token_R, grouping.row_NK)


def add_answers(answers_RD: torch.Tensor, weights_NK: torch.Tensor, grouping: Grouping) -> torch.Tensor:
    """Every token's sum of its choices' answers times their weights: `[N, D]`."""
    weights_NK = weights_NK.to(answers_RD.dtype)
    if not torch.is_grad_enabled():
        return sum_choices(answers_RD, grouping.row_NK, weights_NK)
    return _WeightedSum.apply(answers_RD, weights_NK, grouping.token_R, grouping.row_NK)


def sum_choices(rows_RD: torch.Tensor, row_NK: torch.Tensor, weights_NK: torch.Tensor | None = None) -> torch.Tensor:
    """`sum_k weights[n, k] * rows[row[n, k]]`, without gradient; on a CPU in one pass, the fastest torch has."""
    if rows_RD.is_cuda:
        rows_NKD = rows_RD[row_NK].float()
        return (rows_NKD if weights_NK is None else rows_NKD * weights_NK[..., None]).sum(1).to(rows_RD.dtype)
    return F.embedding_bag(row_NK, rows_RD, per_sample_weights=weights_NK, mode="sum")


def weights_of_rows(weights_NK: torch.Tensor, row_NK: torch.Tensor) -> torch.Tensor:
    """Every row's weight in its token's sum, `[R, 1]`, without gradient."""
    return torch.empty_like(weights_NK).view(-1, 1).scatter_(0, row_NK.reshape(-1, 1), weights_NK.reshape(-1, 1))


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_ND, token_R, row_NK):
        ctx.save_for_backward(row_NK)
        return x_ND.index_select(0, token_R)

    @staticmethod
    def backward(ctx, grad_RD):
        return sum_choices(grad_RD.contiguous(), *ctx.saved_tensors), None, None


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows_RD, weights_NK, token_R, row_NK):
        ctx.save_for_backward(rows_RD, weights_NK, token_R, row_NK)
        return sum_choices(rows_RD, row_NK, weights_NK)

    @staticmethod
    def backward(ctx, grad_ND):
        rows_RD, weights_NK, token_R, row_NK = ctx.saved_tensors
        grad_RD = grad_ND.index_select(0, token_R)
        grad_weights_NK = torch.linalg.vecdot(rows_RD, grad_RD)[row_NK]
        return grad_RD.mul_(weights_of_rows(weights_NK, row_NK)), grad_weights_NK, None, None
