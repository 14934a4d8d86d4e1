"""Router rows of new experts that a new domain's tokens choose and the old domain's do not.

A new expert copies an expert s, and its row is that of s plus u, the same u for all new experts of a layer. For tokens x of
both domains, u x is fitted by ridge regression: a margin on the new domain; on the old one the lowest chosen logit less a
margin, less the logit of the best copied expert, so that none of them is chosen there. Where the family has a selection
bias, it takes what the regression leaves: it lowers the new experts until hardly a token of the old text chooses them.

Legend: N tokens, D width, E experts, K choices per token, C copied experts.
"""

from dataclasses import dataclass

import torch

from mai1.model.moe.router import Router, Scores

RIDGE = 1e-3
"""Share of the mean square of the inputs that is added to each of their squares."""


@dataclass(slots=True)
class Apart:
    """What is added to a layer's rows of new experts, and to their selection bias."""

    shift_D: torch.Tensor
    bias: float


@torch.no_grad()
def rows_apart(
    router: Router,
    old_ND: torch.Tensor,
    new_ND: torch.Tensor,
    *,
    copied: list[int],
    margin: float,
    allowed_share: float,
) -> Apart:
    """Fit one layer. `margin` is in logits; `allowed_share` of the old text's tokens may choose a new expert."""
    old_NE, new_NE = (_logits(router, x_ND) for x_ND in (old_ND, new_ND))
    lowest_N = _lowest_chosen(router, old_NE)
    target_old_N = (lowest_N - old_NE[:, copied].amax(-1)).clamp(max=0.0) - margin
    target_new_N = torch.full((len(new_NE),), margin)
    shift_D = _ridge(torch.cat([old_ND, new_ND]), torch.cat([target_old_N, target_new_N]), num_old=len(old_ND))
    if router.scores is Scores.softmax:
        return Apart(shift_D, 0.0)
    best_N = _selection(router, old_NE[:, copied] + (old_ND @ shift_D)[:, None], copied).amax(-1)
    excess_N = best_N - _selection(router, old_NE, slice(None)).topk(router.top_k).values[:, -1]
    return Apart(shift_D, -max(0.0, float(excess_N.quantile(1 - allowed_share))))


def _logits(router: Router, x_ND: torch.Tensor) -> torch.Tensor:
    return x_ND @ router.weight.float().T


def _selection(router: Router, logits: torch.Tensor, experts: list[int] | slice) -> torch.Tensor:
    """What decides the choice of sigmoid scores."""
    return logits.sigmoid() + router.selection_bias[experts]


def _lowest_chosen(router: Router, logits_NE: torch.Tensor) -> torch.Tensor:
    """The lowest logit that the choice by logits would take."""
    return logits_NE.topk(router.top_k).values[:, -1]


def _ridge(x_ND: torch.Tensor, targets_N: torch.Tensor, *, num_old: int) -> torch.Tensor:
    """Least squares in fp64, where both domains count alike however long their texts are."""
    x_ND, weights_N1 = x_ND.double(), torch.ones(len(x_ND), 1, dtype=torch.float64)
    weights_N1[:num_old], weights_N1[num_old:] = 1 / num_old, 1 / (len(x_ND) - num_old)
    square_DD = x_ND.T @ (x_ND * weights_N1)
    square_DD += RIDGE * square_DD.diagonal().mean() * torch.eye(len(square_DD), dtype=torch.float64)
    return torch.linalg.solve(square_DD, x_ND.T @ (weights_N1[:, 0] * targets_N.double())).float()
