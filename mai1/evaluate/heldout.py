"""Held-out loss per source, the same during training and afterwards."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from mai1.data.batch import Batch
from mai1.data.heldout import HeldoutSource
from mai1.dist import World, sum_over_ranks
from mai1.evaluate.rows import Forward, Measuring, one_by_one
from mai1.loss import token_losses
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
    settings = {"rows_at_once": rows_at_once, "end_of_text_id": end_of_text_id}
    measuring = Measuring(model=model, world=world, num_stages=num_stages, run=run, **settings)
    sums = []
    for source in sources:
        measured = _Measured(model, world.device)
        measuring.pass_through(measuring.batches(source.rows), measured)
        sums += measured.sums.tolist()
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
