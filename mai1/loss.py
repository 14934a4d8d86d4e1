"""Losses: from hidden states, batch and routing to what is minimised. One path for pretraining and tuning.

All means are over the whole optimizer step: numerators are local, denominators global, so the result does not depend on
how rows are spread over ranks and microbatches. Legend: B rows, T positions, D width.
"""

import math
from dataclasses import dataclass, field
from typing import Protocol

import torch

from mai1.data.batch import Batch
from mai1.model.cross_entropy import CrossEntropy, chunked_cross_entropy, selected_cross_entropy, token_cross_entropy
from mai1.model.moe.balance import BalanceConfig, Counted, balance_loss_sum, router_z_sum
from mai1.model.multi_token import ahead
from mai1.model.sequence_parallel import whole_rows
from mai1.model.transformer import ModelOutput


@dataclass(kw_only=True, slots=True)
class LossConfig:
    mtp_weight: float = 0.3
    """Factor of the loss on further tokens (DeepSeek-V3: 0.3, towards the end 0.1); used when model.num_mtp_layers > 0."""

    def __post_init__(self) -> None:
        if not 0 <= self.mtp_weight < math.inf:
            raise ValueError(
                f"loss.mtp_weight={self.mtp_weight} must not be negative or infinite: use model.num_mtp_layers=0 "
                "for no such loss"
            )


class Selection(Protocol):
    """Which of the next tokens are learned from, decided by their losses: a pure function of one row at a time.

    It is asked for whole rows, so that no spread of rows over ranks and microbatches changes its answer, and how much
    rows add to the denominator is known before their losses are.
    """

    def count(self, mask_BT: torch.Tensor) -> torch.Tensor:
        """What each row's targets add to the denominator: fp64 `[B]`, from the loss mask alone."""

    def weigh(
        self,
        nats_BT: torch.Tensor,
        *,
        mask_BT: torch.Tensor,
        reference_BT: torch.Tensor | None,
        samples_B: torch.Tensor,
    ) -> torch.Tensor:
        """Factor of every target's loss: fp32 `[B, T]`, 0 where it is not learned from or the mask is 0."""


@dataclass(frozen=True, slots=True)
class PairTotals:
    """What the losses of preferences depend on besides the answers: of all those that a mean is over."""

    num_pairs: float
    num_desirable: float
    """Pairs with the better answer."""
    num_undesirable: float
    """Pairs with the worse one."""
    reference_point: float = 0.0
    """KTO's `z0` in nats, at least 0."""

    @property
    def num_answers(self) -> float:
        """Of both kinds."""
        return self.num_desirable + self.num_undesirable


@dataclass(slots=True)
class StepTotals:
    """What the means of one optimizer step divide by, over all ranks and microbatches."""

    num_targets: float
    """Targets whose loss counts: with a selection those that it keeps."""
    num_tokens: float
    """Tokens that are not padding."""
    num_counted: float
    """Tokens that are load and enter the router's losses."""
    further_targets: list[float] = field(default_factory=list)
    """Targets of each depth of multi-token prediction."""
    further_counted: list[float] = field(default_factory=list)
    """Tokens that are load of each depth."""
    pairs: PairTotals | None = None
    """Of pairs of answers, where preferences are learned."""


@dataclass(slots=True)
class Losses:
    """This microbatch's share of the step's mean losses; shares of all ranks and microbatches add up to the mean."""

    total: torch.Tensor
    """What to minimise: language + weighted losses of further tokens and of routers."""
    language: torch.Tensor
    """Cross-entropy in nats per target."""
    mtp: torch.Tensor
    """Cross-entropy of further tokens in nats per target, mean over depths, unweighted; 0 without multi-token prediction."""
    router_z: torch.Tensor
    """Router z-loss, mean over MoE layers and counted tokens, unweighted."""
    balance: torch.Tensor
    """Balancing loss, mean over MoE layers and counted tokens, unweighted; 1 is even, 0 for methods without one."""
    nats_BT: torch.Tensor | None = None
    """Cross-entropy of each of this rank's targets, 0 where the mask is 0; None before the last pipeline stage."""
    weights_BT: torch.Tensor | None = None
    """The factor of each of them: the mask, or what a selection made of it."""
    figures: dict[str, torch.Tensor] = field(default_factory=dict)
    """Shares of further means that the objective reports, by name; none before the last pipeline stage."""


def compute_losses(
    output: ModelOutput,
    batch: Batch,
    *,
    loss: LossConfig,
    balance: BalanceConfig,
    totals: StepTotals,
    last_load_LE: torch.Tensor | None = None,
    selection: Selection | None = None,
) -> Losses:
    """Cross-entropy of the masked targets and of further ones, router z-loss and balancing loss, each computed in fp32.

    A `selection` weighs the next tokens; further ones and the routers' losses are over all. `last_load_LE` counts the
    choices of each MoE layer held here over the whole previous step, for the global balancing loss; None at first. A
    pipeline stage's share has the routers' losses of its own layers, and only the last one's the cross-entropy.
    """
    language, nats_BT, weights_BT = output.hidden_BTD.new_zeros((), dtype=torch.float32), None, None
    if output.unembedding_VD is not None:
        entropy = _cross_entropy(output, batch) if selection is None else _selected(output, batch, selection)
        language = entropy.total / totals.num_targets
        weights_BT = entropy.weights_N.view(output.hidden_BTD.shape[:2])
        nats_BT = entropy.nats_N.view_as(weights_BT).masked_fill(batch.own(batch.loss_mask_BT) == 0, 0)
    losses = with_side_losses(
        language, output, batch, loss=loss, balance=balance, totals=totals, last_load_LE=last_load_LE
    )
    losses.nats_BT, losses.weights_BT = nats_BT, weights_BT
    return losses


def with_side_losses(
    main: torch.Tensor,
    output: ModelOutput,
    batch: Batch,
    *,
    loss: LossConfig,
    balance: BalanceConfig,
    totals: StepTotals,
    last_load_LE: torch.Tensor | None,
) -> Losses:
    """The share of what is mainly minimised, and beside it those of the further tokens' and the routers' losses."""
    mtp = main.new_zeros(())
    for depth, num_targets in enumerate(totals.further_targets, start=1):
        further = _cross_entropy(output, batch, depth=depth).total
        mtp = mtp + further / max(num_targets, 1.0) / len(totals.further_targets)
    num_layers = len(output.routings) + output.num_layers_elsewhere - len(output.further_BTD)
    num_routed = num_layers * totals.num_counted + sum(totals.further_counted)
    per_layer_token = 1.0 / max(num_routed, 1.0)
    router_z = main.new_zeros(())
    if balance.z_loss_weight:
        router_z = sum(router_z_sum(routing) for routing in output.routings.values()) * per_layer_token
    balance_sum = balance_loss_sum(
        output.routings, method=balance.method, last_load_LE=last_load_LE, sequence_group=output.sequence_group
    )
    balance_loss = balance_sum * per_layer_token
    total = main + loss.mtp_weight * mtp + balance.z_loss_weight * router_z + balance.loss_weight * balance_loss
    return Losses(total, main.detach(), mtp.detach(), router_z.detach(), balance_loss.detach())


def _cross_entropy(output: ModelOutput, batch: Batch, *, depth: int = 0) -> CrossEntropy:
    """Of the targets of a depth; depth 0 is the next token (DeepSeek-V3, arXiv 2412.19437, eq. 24)."""
    hidden_BTD, targets_BT, weights_BT = output.hidden_BTD, batch.targets_BT, batch.loss_mask_BT
    if depth:
        hidden_BTD = output.further_BTD[depth - 1]
        targets_BT, weights_BT = (ahead(x_BT, batch.segments_BT, depth=depth) for x_BT in (targets_BT, weights_BT))
    return chunked_cross_entropy(
        hidden_BTD.flatten(0, 1),
        output.unembedding_VD,
        batch.own(targets_BT).flatten(),
        batch.own(weights_BT).flatten(),
    )


def _selected(output: ModelOutput, batch: Batch, selection: Selection) -> CrossEntropy:
    """Of the next tokens, weighed by their losses. Ranks that share rows all see them whole, and each keeps its slice."""
    shape = output.hidden_BTD.shape[:2]

    def weigh(nats_N: torch.Tensor) -> torch.Tensor:
        weights_BT = selection.weigh(
            whole_rows(nats_N.view(shape), output.sequence_group),
            mask_BT=batch.loss_mask_BT,
            reference_BT=batch.reference_BT,
            samples_B=batch.samples_B,
        )
        return batch.own(weights_BT).flatten()

    targets_N = batch.own(batch.targets_BT).flatten()
    return selected_cross_entropy(output.hidden_BTD.flatten(0, 1), output.unembedding_VD, targets_N, weigh)


def count_totals(
    batches: list[Batch], *, counted: Counted, num_mtp_layers: int, selection: Selection | None = None
) -> list[float]:
    """What this rank's positions add to the step's totals, in the order that `as_totals` reads: to be summed over ranks."""
    counts = torch.zeros(3 + 2 * num_mtp_layers, dtype=torch.float64)
    for batch in batches:
        counted_BT = counted_tokens(batch, counted)
        further = [
            ahead(x_BT, batch.segments_BT, depth=depth + 1)
            for x_BT in (batch.loss_mask_BT, counted_BT)
            for depth in range(num_mtp_layers)
        ]
        tensors = (batch.loss_mask_BT, batch.segments_BT >= 0, counted_BT, *further)
        counts += torch.stack([batch.own(x_BT).sum(dtype=torch.float64) for x_BT in tensors]).cpu()
    if selection is not None:
        kept = sum(selection.count(batch.loss_mask_BT).sum().item() / batch.sequence_size for batch in batches)
        counts[0] = kept  # of whole rows, which sequence_size ranks share
    return counts.tolist()


def as_totals(counts: list[float]) -> StepTotals:
    """The totals of a step from its counts over all ranks."""
    further = counts[3:]
    return StepTotals(*counts[:3], further[: len(further) // 2], further[len(further) // 2 :])


def counted_tokens(batch: Batch, counted: Counted) -> torch.Tensor:
    """Which tokens of the whole rows are load and enter the router's losses: bool `[B, T]`."""
    valid_BT = batch.segments_BT >= 0
    return valid_BT if counted is Counted.tokens else valid_BT & (batch.loss_mask_BT > 0)


def token_losses(output: ModelOutput, batch: Batch) -> torch.Tensor:
    """Cross-entropy of each of this rank's targets in nats, 0 where the mask is 0, for measuring only: fp32 `[B, T]`."""
    targets_BT, mask_BT = batch.own(batch.targets_BT), batch.own(batch.loss_mask_BT)
    nats_N = token_cross_entropy(output.hidden_BTD.flatten(0, 1), output.unembedding_VD, targets_BT.flatten())
    return nats_N.view_as(mask_BT) * mask_BT
