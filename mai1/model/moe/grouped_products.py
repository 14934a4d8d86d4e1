"""All experts at once: one grouped matrix product per matrix, without a wait for the device; with adapters or without.

Legend: N tokens, D width, F expert width, E experts held here, K choices, M routed rows, R rank of the adapters.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from mai1.model.moe.grouping import Grouping, add_answers, spread


@dataclass(frozen=True, slots=True)
class ExpertWeights:
    """The stacked weights of a layer, and their adapters' factors where there are any."""

    gate_up: torch.Tensor
    """`[E, 2F, D]`"""
    down: torch.Tensor
    """`[E, D, F]`"""
    factors: tuple[torch.Tensor, ...] = ()
    """A `[E, R, D]` and B `[E, 2F, R]` of gate_up, A `[E, R, F]` and B `[E, D, R]` of down; empty without adapters."""
    scale: float = 0.0
    """What B A is multiplied by."""


def ask_experts_at_once(
    x_ND: torch.Tensor, weights_NK: torch.Tensor, weights: ExpertWeights, grouping: Grouping
) -> torch.Tensor:
    """`[N, D]`: one grouped matrix product per matrix and factor, without a host synchronisation.

    The products leave rows beyond the last expert's as they find them, in the gradient too: they are set to 0.
    """
    ends_E = grouping.rows_per_expert_E.cumsum(0, dtype=torch.int32)
    rows_MD = spread(x_ND, grouping)
    if not grouping.is_full:
        is_used_M1 = (torch.arange(len(grouping.token_R), device=x_ND.device) < ends_E[-1])[:, None]
        rows_MD = torch.where(is_used_M1, rows_MD, 0.0)
    of_gate_up, of_down = weights.factors[:2], weights.factors[2:]
    gate_MF, up_MF = _grouped(rows_MD, weights.gate_up, of_gate_up, weights.scale, ends_E).chunk(2, dim=-1)
    answers_MD = _grouped(F.silu(gate_MF) * up_MF, weights.down, of_down, weights.scale, ends_E)
    if not grouping.is_full:
        answers_MD = torch.where(is_used_M1, answers_MD, 0.0)
    return add_answers(answers_MD, weights_NK, grouping)


def _grouped(
    rows: torch.Tensor, weight: torch.Tensor, factors: tuple[torch.Tensor, ...], scale: float, ends_E: torch.Tensor
) -> torch.Tensor:
    y = torch._grouped_mm(rows, weight.transpose(1, 2), offs=ends_E)
    if not factors:
        return y
    a, b = factors
    low_MR = torch._grouped_mm(rows, a.transpose(1, 2), offs=ends_E) * scale
    return y + torch._grouped_mm(low_MR, b.transpose(1, 2), offs=ends_E)
