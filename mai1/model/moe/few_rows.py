"""Experts for a few tokens on a CPU without gradients, as in generation: each chosen expert's matrices are read once.

At this size calls cost as much as products, so everything is done in as few of them as can be.

Legend: N tokens, D width, F expert width, E experts held here, K choices, R = N*K routed rows.
"""

import torch
import torch.nn.functional as F

from mai1.model.moe.grouping import Grouping, sum_choices


def ask_for_one_token(
    x_1D: torch.Tensor,
    experts_1K: torch.Tensor,
    weights_1K: torch.Tensor,
    gate_up_EFD: torch.Tensor,
    down_EDF: torch.Tensor,
) -> torch.Tensor:
    """The sum over one token's choices of weight times answer, `[1, D]`; every choice is an expert held here."""
    chosen, width = experts_1K[0].tolist(), down_EDF.shape[2]
    inner_KF, answers_KD = x_1D.new_empty(len(chosen), 2 * width), x_1D.new_empty(len(chosen), x_1D.shape[1])
    x_D = x_1D[0]
    for expert, inner_F in zip(chosen, inner_KF.unbind(), strict=True):
        torch.mv(gate_up_EFD.select(0, expert), x_D, out=inner_F)
    gate_KF, up_KF = inner_KF.split(width, dim=1)
    product_KF = F.silu(gate_KF).mul_(up_KF)
    for expert, product_F, answer_D in zip(chosen, product_KF.unbind(), answers_KD.unbind(), strict=True):
        torch.mv(down_EDF.select(0, expert), product_F, out=answer_D)
    return weights_1K.to(answers_KD.dtype).mm(answers_KD)


def ask_for_few_rows(
    x_ND: torch.Tensor, weights_NK: torch.Tensor, gate_up_EFD: torch.Tensor, down_EDF: torch.Tensor, grouping: Grouping
) -> torch.Tensor:
    """The sum over each token's choices of weight times answer, `[N, D]`; choices of no expert answer 0."""
    rows_per_expert = grouping.rows_per_expert_E.tolist()
    rows_RD = x_ND.index_select(0, grouping.token_R)
    num_unused = len(rows_RD) - sum(rows_per_expert)
    inner_RF = x_ND.new_empty(len(rows_RD), gate_up_EFD.shape[1])
    _products(rows_RD, gate_up_EFD, inner_RF, [*rows_per_expert, num_unused])
    gate_RF, up_RF = inner_RF.split(down_EDF.shape[2], dim=1)
    answers_RD = torch.empty_like(rows_RD)
    _products(F.silu(gate_RF).mul_(up_RF), down_EDF, answers_RD, [*rows_per_expert, num_unused])
    if num_unused:
        answers_RD[-num_unused:].zero_()
    return sum_choices(answers_RD, grouping.row_NK, weights_NK.to(answers_RD.dtype))


def _products(
    rows_RX: torch.Tensor, weight_EYX: torch.Tensor, out_RY: torch.Tensor, rows_per_expert: list[int]
) -> None:
    """Each expert's rows times its matrix, into `out`; the last part of the rows is of no expert."""
    parts = zip(rows_RX.split(rows_per_expert), out_RY.split(rows_per_expert), rows_per_expert[:-1], strict=False)
    for expert, (rows, out, num_rows) in enumerate(parts):
        if num_rows:
            torch.mm(rows, weight_EYX.select(0, expert).t(), out=out)
