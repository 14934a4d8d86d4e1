"""The objective of preference tuning: a loss of every pair of answers, its mean over the pairs of the whole step.

A pair's loss is a function of sums over its answers' tokens, so the gradient of the logits is that of a cross-entropy whose
weights follow from the losses: first all answers' losses, then, with the weights known, what is learned from each token.
KTO's losses depend on one number of the whole step besides, its reference point, which is measured before the first microbatch.

Legend: B rows, T positions, N tokens, K those of answers, P pairs of a row, A answers of a pair: 2, V vocabulary, D width.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from mai1.data.batch import Batch
from mai1.loss import LossConfig, Losses, PairTotals, StepTotals, as_totals, count_totals, with_side_losses
from mai1.model.cross_entropy import selected_cross_entropy
from mai1.model.moe.balance import BalanceConfig
from mai1.model.sequence_parallel import whole_rows
from mai1.model.transformer import ModelOutput
from mai1.objective.pair_losses import Answers, PairLosses, PreferenceConfig, pair_losses


@dataclass(kw_only=True, slots=True)
class Preference:
    """A loss of pairs, and the routers' losses; layers for further tokens learn from the better answers."""

    balance: BalanceConfig
    preference: PreferenceConfig
    loss: LossConfig = field(default_factory=LossConfig)
    num_mtp_layers: int = 0
    """Depths of multi-token prediction that the model has."""
    reference_PA: torch.Tensor | None = None
    """The start model's log-probabilities of all pairs by their numbers; None where the method needs none."""
    log_ratios: Callable[[list[Batch]], float] = lambda batches: 0.0
    """Of the mismatched answers of these rows, `log p / reference` summed: this rank's part of it, for KTO. Every rank calls."""

    @property
    def figures(self) -> tuple[str, ...]:
        """See `Objective`."""
        return self.preference.figures

    def count(self, batches: list[Batch], *, step: int) -> list[float]:
        """See `Objective`. Ranks that share rows count a share of their pairs each."""
        of_pairs = torch.stack([_count_pairs(batch) / batch.sequence_size for batch in batches]).sum(0)
        settings = {"counted": self.balance.counted, "num_mtp_layers": self.num_mtp_layers}
        of_tokens = count_totals(batches, **settings)
        of_better = count_totals([_of_better_answers(batch) for batch in batches], **settings)
        first, last = 3, 3 + self.num_mtp_layers
        pairs = [*of_pairs.tolist(), self.log_ratios(batches)]
        return [*pairs, *of_tokens[:first], *of_better[first:last], *of_tokens[last:]]

    def totals(self, counts: list[float]) -> StepTotals:
        """See `Objective`."""
        num_pairs, num_desirable, num_undesirable, log_ratios, *of_tokens = counts
        reference_point = reference_point_of(log_ratios, num_answers=num_desirable + num_undesirable)
        pairs = PairTotals(num_pairs, num_desirable, num_undesirable, reference_point)
        return replace(as_totals(of_tokens), pairs=pairs)

    def losses(
        self,
        output: ModelOutput,
        batch: Batch,
        *,
        step: int,
        totals: StepTotals,
        last_load_LE: torch.Tensor | None = None,
    ) -> Losses:
        """See `Objective`."""
        share, nats_BT, means = output.hidden_BTD.new_zeros((), dtype=torch.float32), None, {}
        if output.unembedding_VD is not None:
            share, nats_BT, means = self._of_pairs(output, batch, pairs=totals.pairs)
        side = {"loss": self.loss, "balance": self.balance, "totals": totals, "last_load_LE": last_load_LE}
        losses = with_side_losses(share, output, _of_better_answers(batch), **side)
        if nats_BT is not None:
            losses.language, losses.figures = means["nats_chosen"], means
            losses.nats_BT, losses.weights_BT = nats_BT, batch.own(batch.loss_mask_BT)
        return losses

    def _of_pairs(
        self, output: ModelOutput, batch: Batch, *, pairs: PairTotals
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        """The share of the mean loss with its gradient, the nats of this rank's targets, and shares of the figures."""
        shape, group = output.hidden_BTD.shape[:2], output.sequence_group
        kept_K = batch.own(batch.loss_mask_BT).flatten().nonzero().squeeze(1)
        found: list[PairLosses] = []

        def weigh(nats_K: torch.Tensor) -> torch.Tensor:
            """The gradient of the loss by the nats of this rank's targets; ranks that share rows all know whole ones."""
            nats_BT = whole_rows(_in_place(nats_K, kept_K, shape), group).double().requires_grad_()
            with torch.enable_grad():
                found.append(pair_losses(self._answers(nats_BT, batch, pairs), self.preference))
                [weights_BT] = torch.autograd.grad(found[0].loss_P.sum() / pairs.num_pairs, nats_BT)
            return batch.own(weights_BT).flatten()[kept_K].float()

        targets_N = batch.own(batch.targets_BT).flatten()
        hidden_KD = output.hidden_BTD.flatten(0, 1).index_select(0, kept_K)
        entropy = selected_cross_entropy(hidden_KD, output.unembedding_VD, targets_N[kept_K], weigh)
        divisor = pairs.num_pairs * batch.sequence_size
        share = (found[0].loss_P.detach().sum() / divisor).float() + entropy.total - entropy.total.detach()
        means = {name: (value_P.sum() / divisor).float() for name, value_P in found[0].figures.items()}
        return share, _in_place(entropy.nats_N, kept_K, shape), means

    def _answers(self, nats_BT: torch.Tensor, batch: Batch, pairs: PairTotals) -> Answers:
        """The answers of the rows' pairs, of which there is at least one a step, in fp64."""
        places_P = batch.pairs_BP.flatten()
        logps_PA, lengths_PA = (
            x_BA.view(-1, 2)[places_P >= 0] for x_BA in (-answer_sums(nats_BT, batch), answer_lengths(batch))
        )
        reference_PA = None
        if self.reference_PA is not None:
            reference_PA = self.reference_PA.to(nats_BT.device)[places_P[places_P >= 0]]
        return Answers(logps_PA, lengths_PA, reference_PA, pairs)


def reference_point_of(log_ratios: float, *, num_answers: float) -> float:
    """KTO's z0: the mean `log p / reference` of mismatched answers, no less than 0 (arXiv 2402.01306)."""
    return max(0.0, log_ratios / num_answers)


def answer_sums(nats_BT: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Nats of whole rows' targets summed over each answer: `[B, 2P]`, of the dtype of what is given."""
    num_answers, answers_BT = 2 * batch.pairs_BP.shape[1], batch.answers_BT
    masked_BT = nats_BT * batch.loss_mask_BT * (answers_BT >= 0)
    sums_BA = masked_BT.new_zeros(len(answers_BT), num_answers)
    return sums_BA.scatter_add(1, answers_BT.clamp(min=0), masked_BT)


def answer_lengths(batch: Batch) -> torch.Tensor:
    """Targets of each answer of whole rows: fp64 `[B, 2P]`."""
    return answer_sums(torch.ones_like(batch.loss_mask_BT, dtype=torch.float64), batch)


def _count_pairs(batch: Batch) -> torch.Tensor:
    """Pairs of whole rows, those with the better answer and those with the worse one: fp64 `[3]`."""
    is_pair_BP, is_there_BPA = batch.pairs_BP >= 0, answer_lengths(batch).view(*batch.pairs_BP.shape, 2) > 0
    return torch.stack([is_pair_BP.sum(), *is_there_BPA.flatten(0, 1).sum(0)]).double().cpu()


def _in_place(nats_K: torch.Tensor, kept_K: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """`[B, T]` of the values of some positions, 0 elsewhere."""
    return nats_K.new_zeros(shape.numel()).index_copy_(0, kept_K, nats_K).view(shape)


def _of_better_answers(batch: Batch) -> Batch:
    """The same rows with the better answers alone as targets."""
    is_better_BT = (batch.answers_BT >= 0) & (batch.answers_BT % 2 == 0)
    return replace(batch, loss_mask_BT=batch.loss_mask_BT * is_better_BT)
