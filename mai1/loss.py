"""Losses: from logits, batch and routing to what is minimised. One path for pretraining and instruction tuning.

All means are over the whole optimizer step: numerators are local, denominators global, so the result does not depend on
how rows are spread over ranks and microbatches. Legend: B rows, T positions, V vocabulary.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from mai1.data.batch import Batch
from mai1.model.moe.balance import BalanceConfig, BalanceMethod, router_z_sum, sequence_balance_sum
from mai1.model.transformer import ModelOutput


@dataclass(slots=True)
class StepTotals:
    """What the means of one optimizer step divide by, over all ranks and microbatches."""

    num_targets: float
    """Targets whose loss counts."""
    num_tokens: float
    """Tokens that are not padding."""


@dataclass(slots=True)
class Losses:
    """This microbatch's share of the step's mean losses; shares of all ranks and microbatches add up to the mean."""

    total: torch.Tensor
    """What to minimise: language + weighted router losses."""
    language: torch.Tensor
    """Cross-entropy in nats per target."""
    router_z: torch.Tensor
    """Router z-loss, mean over MoE layers and tokens, unweighted."""
    balance: torch.Tensor
    """Sequence-wise balancing loss, mean over MoE layers and tokens, unweighted; 1 is even."""


def compute_losses(output: ModelOutput, batch: Batch, *, balance: BalanceConfig, totals: StepTotals) -> Losses:
    """Cross-entropy of the masked targets, router z-loss and balancing loss, each computed in fp32."""
    language = token_losses(output.logits_BTV, batch).sum() / totals.num_targets
    valid_BT = batch.segments_BT >= 0
    per_layer_token = 1.0 / (len(output.routings) * totals.num_tokens)
    zero = language.new_zeros(())
    router_z, balance_loss = zero, zero
    if balance.z_loss_weight:
        router_z = sum(router_z_sum(r, valid_BT) for r in output.routings.values()) * per_layer_token
    if balance.method is BalanceMethod.sequence_loss:
        balance_loss = sum(sequence_balance_sum(r, valid_BT) for r in output.routings.values()) * per_layer_token
    total = language + balance.z_loss_weight * router_z + balance.loss_weight * balance_loss
    return Losses(total, language.detach(), router_z.detach(), balance_loss.detach())


def token_losses(logits_BTV: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross-entropy of each target in nats, 0 where the mask is 0: fp32 `[B, T]`."""
    loss = F.cross_entropy(logits_BTV.flatten(0, 1).float(), batch.targets_BT.flatten(), reduction="none")
    return loss.view_as(batch.loss_mask_BT) * batch.loss_mask_BT
