"""The experts one after the other, each while its rows are in the cache: the fastest way to train them on a CPU.

Legend: N tokens, D width, F expert width, E experts held here, K choices, R routed rows.
"""

import torch
from torch.autograd.function import once_differentiable

from mai1.model.moe.grouping import Grouping, sum_choices, weights_of_rows


class ExpertLoop(torch.autograd.Function):
    """Of each token the sum over its choices of weight times answer, `[N, D]`, with the gradients written out.

    With x the rows of one expert, w their weights and G what arrives at their tokens, forward and backward are

        inner = x gate_up'                  answer = product down'
        gate, up = halves of inner          product = silu(gate) * up
        grad_w = product . (G down)         grad_product = w (G down)
        grad_up = grad_product * silu(gate) grad_gate = grad_product * up * silu'(gate)
        grad_down = G' (w product)          grad_gate_up = grad_inner' x
        grad_x = grad_inner gate_up

    Rows are gathered when an expert needs them and not kept, nor are answers: grad_w does without. Weight gradients
    are written in place: autograd over the same loop would copy each into the stacked one.
    """

    @staticmethod
    def forward(ctx, x_ND, weights_NK, gate_up_EFD, down_EDF, grouping: Grouping):
        rows_per_expert, num_rows = grouping.rows_per_expert_E.tolist(), len(grouping.token_R)
        ctx.rows_per_expert = [*rows_per_expert, num_rows - sum(rows_per_expert)]  # the last of no expert
        width = down_EDF.shape[2]
        inner_RF, activated_RF = x_ND.new_empty(num_rows, 2 * width), x_ND.new_empty(num_rows, width)
        answers_RD = x_ND.new_empty(num_rows, x_ND.shape[1])
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
        by_row = (token_R, weights_of_rows(weights_NK, row_NK), inner_RF, activated_RF, grad_weights_R, grad_rows_RD)
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
