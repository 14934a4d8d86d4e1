"""Held-out loss per source, the same during training and afterwards."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from mai1.data.batch import Batch, collate
from mai1.data.heldout import HeldoutSource, empty_row
from mai1.dist import World, sum_over_ranks
from mai1.loss import token_losses
from mai1.model.sequence_parallel import place_in_rows
from mai1.model.transformer import MoETransformer


@dataclass(slots=True)
class SourceLoss:
    """Loss on one source's held-out tokens."""

    loss: float
    """Nats per token."""
    bits_per_byte: float
    tokens: int
    bytes: float
    """UTF-8 bytes of the text those tokens stand for."""


Forward = Callable[[Batch, torch.Tensor | None], tuple[torch.Tensor, torch.Tensor]]
"""From a microbatch and what the pipeline stage before handed on: what goes on, and the losses summed."""


def one_by_one(batches: list[Batch], forward: Forward) -> None:
    """Forwards of a model that is whole on this rank."""
    for batch in batches:
        forward(batch, None)


@torch.no_grad()
def heldout_losses(
    model: MoETransformer,
    sources: list[HeldoutSource],
    *,
    world: World,
    rows_at_once: int,
    end_of_text_id: int,
    num_stages: int = 1,
    run: Callable[[list[Batch], Forward], None] = one_by_one,
) -> dict[str, SourceLoss]:
    """Loss of every source over all ranks; each rank takes every n-th row and all make the same number of forwards.

    Ranks that share rows take the same ones, and each its own slice of their positions. So do the ranks of `num_stages`
    pipeline stages, through which `run` passes the microbatches: `Engine.eval_batch`. The last stage counts.
    """
    was_training = model.training
    model.eval()
    ranks_of_stage = world.size // num_stages
    readers = (world.rank % ranks_of_stage, ranks_of_stage)
    sums = []
    for source in sources:
        measured = _Measured(model, world.device)
        run(_batches(source, model, *readers, rows_at_once=rows_at_once, end_of_text_id=end_of_text_id), measured)
        sums += measured.sums.tolist()
    model.train(was_training)
    totals = sum_over_ranks(sums, world)
    return {source.name: _source_loss(source, totals[2 * i], totals[2 * i + 1]) for i, source in enumerate(sources)}


class _Measured:
    """Adds up losses and targets of the microbatches that it passes through the model."""

    def __init__(self, model: MoETransformer, device: torch.device) -> None:
        self._model, self._device = model, device
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)
        """Nats and targets; nothing before the last pipeline stage."""

    def __call__(self, batch: Batch, x_BTD: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        batch = batch.to(self._device)
        segments_BT = batch.isolating_segments_BT
        output = self._model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=segments_BT, x_BTD=x_BTD)
        if output.unembedding_VD is not None:
            counted = (token_losses(output, batch), batch.own(batch.loss_mask_BT))
            self.sums += torch.stack([x_BT.sum(dtype=torch.float64) for x_BT in counted])
        return output.hidden_BTD, self.sums[0]


def mean_loss(losses: dict[str, SourceLoss]) -> SourceLoss:
    """All sources together, each token and each byte counting once."""
    tokens = sum(source.tokens for source in losses.values())
    nats = sum(source.loss * source.tokens for source in losses.values())
    num_bytes = sum(source.bytes for source in losses.values())
    return SourceLoss(nats / tokens, nats / math.log(2) / num_bytes, tokens, num_bytes)


def _source_loss(source: HeldoutSource, nats: float, count: float) -> SourceLoss:
    num_bytes = count * source.bytes_per_token
    return SourceLoss(nats / count, nats / math.log(2) / num_bytes, int(count), num_bytes)


def _batches(
    source: HeldoutSource, model: MoETransformer, rank: int, num_ranks: int, *, rows_at_once: int, end_of_text_id: int
) -> list[Batch]:
    """What one of the ranks of a stage computes of a source; all of them get equally many batches."""
    sequence_rank, sequence_size = place_in_rows(model.sequence_group)
    num_readers = num_ranks // sequence_size
    sequence_length = len(source.rows[0].ids) - 1
    num_batches = math.ceil(len(source.rows) / (rows_at_once * num_readers))
    mine = source.rows[rank // sequence_size :: num_readers]
    mine += [empty_row(sequence_length, pad_id=end_of_text_id)] * (num_batches * rows_at_once - len(mine))
    slice_of_rows = {"sequence_rank": sequence_rank, "sequence_size": sequence_size}
    return [
        collate(mine[first : first + rows_at_once], end_of_text_id=end_of_text_id, **slice_of_rows)
        for first in range(0, len(mine), rows_at_once)
    ]
