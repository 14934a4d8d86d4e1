"""Balancing: keep every expert in use. The default moves a selection bias; the alternatives add a loss.

Legend: B sequences, T positions, N = B*T tokens, E experts, L MoE layers.
"""

from dataclasses import dataclass
from enum import Enum

import torch
import torch.distributed as dist

from mai1.model.moe.router import Router, Routing
from mai1.model.sequence_parallel import sum_over_slices


class BalanceMethod(Enum):
    """How the load of the experts is evened out; the losses differ in the tokens over which the load is counted."""

    bias = "bias"  # selection bias, no loss: Wang et al. 2024, arXiv 2408.15664; needs scores=sigmoid
    switch_loss = "switch_loss"  # over a rank's microbatch: Switch, arXiv 2101.03961, eq. 4-6
    sequence_loss = "sequence_loss"  # over each sequence: DeepSeek-V3, arXiv 2412.19437, eq. 17-20
    global_loss = "global_loss"  # over the whole batch: Qiu et al. 2025, arXiv 2501.11873; here the previous step's
    none = "none"


class Counted(Enum):
    """Which tokens are load and enter the router's losses."""

    targets = "targets"  # those whose next token is learned: in tuning the answers, in pretraining all
    tokens = "tokens"  # all but padding


@dataclass(kw_only=True, slots=True)
class BalanceConfig:
    method: BalanceMethod = BalanceMethod.bias
    """bias | switch_loss (over a microbatch, so its size matters) | sequence_loss | global_loss (over the whole step) |
    none. bias needs model.moe.scores=sigmoid."""
    bias_rate: float = 1e-3
    """Step of the selection bias per optimizer step, in units of the score (0..1); used by method=bias."""
    loss_weight: float = 1e-2
    """Factor of the balancing loss; used by the methods that are losses."""
    z_loss_weight: float = 1e-4
    """Factor of the router z-loss (Zoph et al. 2022, arXiv 2202.08906, eq. 5); 0 turns it off."""
    counted: Counted = Counted.targets
    """targets | tokens: what is load and enters the router's losses; targets leaves out prompts, tokens only padding."""

    def __post_init__(self) -> None:
        for key in ("bias_rate", "loss_weight", "z_loss_weight"):
            if not getattr(self, key) >= 0:
                raise ValueError(f"balance.{key}={getattr(self, key)} must not be negative: use 0 to turn it off")


@torch.no_grad()
def update_selection_bias(router: Router, tokens_per_expert_E: torch.Tensor, *, rate: float) -> None:
    """Raise the bias of experts below the mean load, lower the others (arXiv 2408.15664, algorithm 1).

    `tokens_per_expert_E` counts a whole optimizer step over the whole data-parallel world: every rank moves alike.
    The mean is taken out of the step, since a common shift changes no choice and would only drift.
    """
    load_E = tokens_per_expert_E.float()
    step_E = (load_E.mean() - load_E).sign() * rate
    router.selection_bias.add_(step_E - step_E.mean())


def balance_loss_sum(
    routings: dict[int, Routing],
    *,
    method: BalanceMethod,
    last_load_LE: torch.Tensor | None,
    sequence_group: dist.ProcessGroup | None = None,
) -> torch.Tensor:
    """The method's loss summed over layers and counted tokens, so that shares of microbatches add up; fp32.

    Divided by both numbers it is the mean over layers of `E * sum_e f_e * P_e` (Switch, eq. 4; DeepSeek-V3, eq. 17): f_e
    is the share of choices that fell on expert e, a constant for the gradient, and P_e the mean of e's normalised score.
    Even load gives 1, all tokens on K experts up to E/K. Zero for methods without a loss.

    f_e of the global loss comes from `last_load_LE`, the counts of all ranks and microbatches of the previous optimizer
    step (None at the first: even). The paper counts the same step, which costs every layer a communication, and with
    accumulation a buffer that grows over the step; a step later, every rank knows the counts. The other losses count
    whole rows: where their positions are spread over a `sequence_group`, all its ranks must call this.
    """
    scores_NE = next(iter(routings.values())).scores_NE
    match method:
        case BalanceMethod.sequence_loss:
            load_LBE = _load_of_rows(routings, sequence_group)
        case BalanceMethod.switch_loss:
            load_LBE = _load_of_rows(routings, sequence_group).sum(1, keepdim=True)
        case BalanceMethod.global_loss:
            even_LE = scores_NE.new_ones(len(routings), scores_NE.shape[1])
            load_LBE = (even_LE if last_load_LE is None else last_load_LE)[:, None]
        case _:
            return scores_NE.new_zeros(())
    loads = zip(routings.values(), load_LBE, strict=True)
    return sum(_weighted_shares(routing, load_BE) for routing, load_BE in loads)


def _load_of_rows(routings: dict[int, Routing], sequence_group: dist.ProcessGroup | None) -> torch.Tensor:
    """int64 `[L, B, E]`: each layer's choices in each whole row."""
    load_LBE = torch.stack([routing.tokens_per_expert_BE for routing in routings.values()])
    return sum_over_slices(load_LBE, sequence_group)


def _weighted_shares(routing: Routing, load_BE: torch.Tensor) -> torch.Tensor:
    """Sum over counted tokens of `E * sum_e f_e * p_e`, for the load of each sequence, or one row for all of them."""
    load_BE = load_BE.to(routing.scores_NE.dtype)
    weight_BE = load_BE * load_BE.shape[1] / load_BE.sum(1, keepdim=True).clamp(min=1)
    share_NE = routing.scores_NE / (routing.scores_NE.sum(-1, keepdim=True) + 1e-20)
    share_BE = (share_NE.unflatten(0, routing.counted_BT.shape) * routing.counted_BT[..., None]).sum(1)
    return (weight_BE * share_BE).sum()


def router_z_sum(routing: Routing) -> torch.Tensor:
    """Sum over counted tokens of `logsumexp(logits)^2` (arXiv 2202.08906, eq. 5)."""
    return (routing.logits_NE.logsumexp(-1).square() * routing.counted_BT.flatten()).sum()
