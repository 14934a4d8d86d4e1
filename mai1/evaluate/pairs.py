"""Log-probabilities of answers under a model that is spread over ranks: the reference of preference tuning, and its test.

Legend: P pairs, A answers of a pair: 2.
"""

from dataclasses import dataclass, replace

import torch

from mai1.data.batch import Batch, Row, collate
from mai1.data.preferences import PackedPreferences
from mai1.dist import sum_tensor_over_ranks
from mai1.evaluate.rows import Measuring
from mai1.loss import token_losses
from mai1.objective.preference import answer_sums


def answer_logps(rows: list[Row], measuring: Measuring, *, num_pairs: int, title: str = "") -> torch.Tensor:
    """Every pair's answers' log-probabilities in nats, the better one first: fp64 `[P, A]`, on every rank.

    Rows hold pairs by their numbers below `num_pairs`. Every rank must call this; the last pipeline stage counts.
    """
    measured = _Measured(measuring, num_pairs)
    measuring.pass_through(measuring.batches(rows), measured, title=title)
    return sum_tensor_over_ranks(measured.logps_PA, measuring.world)


@dataclass(kw_only=True, slots=True)
class Mismatched:
    """The mismatched answers of the rows of a step, under the model as it is: what KTO's reference point is the mean of."""

    rows: PackedPreferences
    measuring: Measuring
    reference_PA: torch.Tensor
    """The start model's log-probabilities of them, by the pairs' numbers."""

    def log_ratios(self, batches: list[Batch]) -> float:
        """`log p / reference` of their mismatched answers, summed: this rank's part, which all ranks' parts add up to.

        Every rank must call this; ranks of all pipeline stages get a part of what the last one measures.
        """
        measured = _Measured(self.measuring, len(self.rows.pairs))
        mismatched = [self._batch(batch) for batch in batches]
        silently = replace(self.measuring, on_batch=lambda: None)  # it is a part of a step, not an evaluation
        silently.pass_through(mismatched, measured)
        places_P = torch.cat([batch.pairs_BP.flatten() for batch in mismatched])
        expected = self.reference_PA[places_P[places_P >= 0].to(self.reference_PA.device)].sum()
        share = expected / self.measuring.num_stages / batches[0].sequence_size
        return float(measured.logps_PA.sum() - share) * self.measuring.num_stages

    def _batch(self, batch: Batch) -> Batch:
        """The microbatch of the same rows' mismatched answers."""
        return collate(
            [self.rows.read_mismatched(sample) for sample in batch.samples_B.tolist()],
            end_of_text_id=self.measuring.end_of_text_id,
            sequence_rank=batch.sequence_rank,
            sequence_size=batch.sequence_size,
        )


class _Measured:
    """Adds up the answers of the microbatches that it passes through the model."""

    def __init__(self, measuring: Measuring, num_pairs: int) -> None:
        self._model, self._device = measuring.model, measuring.world.device
        self.logps_PA = torch.zeros(num_pairs, 2, dtype=torch.float64, device=self._device)

    def __call__(self, batch: Batch, x_BTD: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        batch = batch.to(self._device)
        segments_BT = batch.isolating_segments_BT
        output = self._model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=segments_BT, x_BTD=x_BTD)
        if output.unembedding_VD is not None and batch.pairs_BP is not None:
            own = token_losses(output, batch).double()
            width = own.shape[1]
            nats_BT = own.new_zeros(batch.targets_BT.shape)
            nats_BT[:, batch.sequence_rank * width :][:, :width] = own  # ranks that share rows add up their parts
            sums_PA = answer_sums(nats_BT, batch).view(-1, 2)
            places_P = batch.pairs_BP.flatten()
            self.logps_PA.index_add_(0, places_P[places_P >= 0], -sums_PA[places_P >= 0])
        return output.hidden_BTD, self.logps_PA.sum()
