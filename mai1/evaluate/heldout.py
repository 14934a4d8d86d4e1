"""Held-out loss per source, the same during training and afterwards."""

import math
from collections.abc import Iterator
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


@torch.no_grad()
def heldout_losses(
    model: MoETransformer, sources: list[HeldoutSource], *, world: World, rows_at_once: int, end_of_text_id: int
) -> dict[str, SourceLoss]:
    """Loss of every source over all ranks; each rank takes every n-th row and all make the same number of forwards.

    Ranks that share rows take the same ones, and each its own slice of their positions.
    """
    was_training = model.training
    model.eval()
    sums = []
    for source in sources:
        loss_sum, count = 0.0, 0.0
        for batch in _batches(source, model, world, rows_at_once=rows_at_once, end_of_text_id=end_of_text_id):
            batch = batch.to(world.device)
            output = model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=batch.isolating_segments_BT)
            loss_sum += float(token_losses(output, batch).sum(dtype=torch.float64))
            count += float(batch.own(batch.loss_mask_BT).sum())
        sums += [loss_sum, count]
    model.train(was_training)
    totals = sum_over_ranks(sums, world)
    return {source.name: _source_loss(source, totals[2 * i], totals[2 * i + 1]) for i, source in enumerate(sources)}


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
    source: HeldoutSource, model: MoETransformer, world: World, *, rows_at_once: int, end_of_text_id: int
) -> Iterator[Batch]:
    """What this rank computes of a source; all ranks get equally many batches."""
    sequence_rank, sequence_size = place_in_rows(model.sequence_group)
    num_readers = world.size // sequence_size
    sequence_length = len(source.rows[0].ids) - 1
    num_batches = math.ceil(len(source.rows) / (rows_at_once * num_readers))
    mine = source.rows[world.rank // sequence_size :: num_readers]
    mine += [empty_row(sequence_length, pad_id=end_of_text_id)] * (num_batches * rows_at_once - len(mine))
    for first in range(0, len(mine), rows_at_once):
        yield collate(
            mine[first : first + rows_at_once],
            end_of_text_id=end_of_text_id,
            sequence_rank=sequence_rank,
            sequence_size=sequence_size,
        )
