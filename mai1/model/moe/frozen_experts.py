"""Experts whose own weights are frozen, with or without adapters: no gradient of a whole matrix is ever made.

The gradients of stacked weights, a third of an expert's FLOPs and as much memory as the weights, are left out. What an
adapter adds goes through its R channels; the matrix W + scale * B A never exists.

Legend: N tokens, D width, F expert width, E experts held here, K choices, M routed rows, R rank of the adapters.
"""

import torch
from torch.autograd.function import once_differentiable

from mai1.model.moe.grouped_products import ExpertWeights
from mai1.model.moe.grouping import Grouping, sum_choices, weights_of_rows


def ask_frozen_experts(
    x_ND: torch.Tensor, weights_NK: torch.Tensor, weights: ExpertWeights, grouping: Grouping
) -> torch.Tensor:
    """`[N, D]`: one expert after the other, each while its rows are in the cache: the fastest way on a CPU."""
    factors = weights.factors or (None,) * 4
    return _FrozenLoop.apply(
        x_ND, weights_NK.to(x_ND.dtype), weights.gate_up, weights.down, *factors, weights.scale, grouping
    )


class _FrozenLoop(torch.autograd.Function):
    """As `ExpertLoop`, but for what is trained.

    For rows x of one expert, with inner = x W1' + s (x A1') B1', product = silu(gate) * up and
    answer = product W2' + s (product A2') B2', and G the gradient of an answer: of B it is s G' (x A'), of A s (G B)' x,
    and G W + s (G B) A goes on to x.
    """

    @staticmethod
    def forward(ctx, x_ND, weights_NK, gate_up_EGD, down_EDF, a1_ERD, b1_EGR, a2_ERF, b2_EDR, scale, grouping):
        rows_per_expert, num_rows = grouping.rows_per_expert_E.tolist(), len(grouping.token_R)
        ctx.rows_per_expert = [*rows_per_expert, num_rows - sum(rows_per_expert)]
        ctx.scale, width = scale, down_EDF.shape[2]
        rank = 0 if a1_ERD is None else a1_ERD.shape[1]
        inner_MG, activated_MF = x_ND.new_empty(num_rows, 2 * width), x_ND.new_empty(num_rows, width)
        low1_MR, low2_MR = x_ND.new_empty(2, num_rows, rank)
        answers_MD = x_ND.new_empty(num_rows, x_ND.shape[1])
        by_row = (grouping.token_R, inner_MG, activated_MF, low1_MR, low2_MR, answers_MD)
        *experts, unused = zip(*(tensor.split(ctx.rows_per_expert) for tensor in by_row), strict=True)
        for e, (token_M, inner, activated, low1, low2, answers) in enumerate(experts):
            if not len(token_M):
                continue
            rows = x_ND.index_select(0, token_M)
            torch.mm(rows, gate_up_EGD[e].t(), out=inner)
            if rank:
                torch.mm(rows, a1_ERD[e].t(), out=low1)
                inner.addmm_(low1, b1_EGR[e].t(), alpha=scale)
            torch.ops.aten.silu.out(inner[:, :width], out=activated)
            product = activated * inner[:, width:]
            torch.mm(product, down_EDF[e].t(), out=answers)
            if rank:
                torch.mm(product, a2_ERF[e].t(), out=low2)
                answers.addmm_(low2, b2_EDR[e].t(), alpha=scale)
        unused[-1].zero_()
        ctx.save_for_backward(
            *(x_ND, weights_NK, gate_up_EGD, down_EDF, a1_ERD, b1_EGR, a2_ERF, b2_EDR),
            *(grouping.token_R, grouping.row_NK, inner_MG, activated_MF, low1_MR, low2_MR),
        )
        return sum_choices(answers_MD, grouping.row_NK, weights_NK)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_ND):
        x_ND, weights_NK, gate_up_EGD, down_EDF, a1_ERD, b1_EGR, a2_ERF, b2_EDR, token_M, row_NK, *kept = (
            ctx.saved_tensors
        )
        grad_ND, width, scale = grad_ND.contiguous(), down_EDF.shape[2], ctx.scale
        factors = (a1_ERD, b1_EGR, a2_ERF, b2_EDR)
        grads = tuple(None if factor is None else torch.zeros_like(factor) for factor in factors)
        grad_rows_MD, grad_weights_M = x_ND.new_empty(len(token_M), x_ND.shape[1]), weights_NK.new_empty(len(token_M))
        by_row = (token_M, weights_of_rows(weights_NK, row_NK), *kept, grad_weights_M, grad_rows_MD)
        *experts, unused = zip(*(tensor.split(ctx.rows_per_expert) for tensor in by_row), strict=True)
        for e, (token, weights, inner, activated, low1, low2, grad_weights, grad_rows) in enumerate(experts):
            if not len(token):
                continue
            gate, up = inner[:, :width], inner[:, width:]
            grad, product = grad_ND.index_select(0, token), activated * up
            grad_product = grad @ down_EDF[e]
            if a2_ERF is not None:
                grad_low2 = grad @ b2_EDR[e]
                grad_product.addmm_(grad_low2, a2_ERF[e], alpha=scale)
                torch.mm(grad.t(), low2 * (weights * scale), out=grads[3][e])
                torch.mm(grad_low2.mul_(weights * scale).t(), product, out=grads[2][e])
            if ctx.needs_input_grad[1]:
                torch.linalg.vecdot(product, grad_product, out=grad_weights)
            grad_inner = torch.empty_like(inner)
            torch.mul(grad_product.mul_(weights), activated, out=grad_inner[:, width:])
            torch.ops.aten.silu_backward.grad_input(grad_product.mul_(up), gate, grad_input=grad_inner[:, :width])
            torch.mm(grad_inner, gate_up_EGD[e], out=grad_rows)
            if a1_ERD is not None:
                grad_low1 = (grad_inner @ b1_EGR[e]).mul_(scale)
                grad_rows.addmm_(grad_low1, a1_ERD[e])
                torch.mm(grad_inner.t(), low1, out=grads[1][e]).mul_(scale)
                torch.mm(grad_low1.t(), x_ND.index_select(0, token), out=grads[0][e])
        for tensor in unused[-2:]:
            tensor.zero_()
        grad_weights_NK = grad_weights_M[row_NK] if ctx.needs_input_grad[1] else None
        return sum_choices(grad_rows_MD, row_NK), grad_weights_NK, None, None, *grads, None, None
