"""Which experts every token of some rows goes to, layer by layer, as evaluation and generation route.

Legend: N tokens, K choices per token.
"""

import sys
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from mai1.data.batch import Row, collate
from mai1.model.transformer import MoETransformer


@dataclass(slots=True)
class LayerChoices:
    """What one MoE layer decided for N tokens, in their order."""

    experts_NK: np.ndarray
    """int16 ids."""
    weights_NK: np.ndarray
    """fp32 factors of the chosen experts' outputs."""


@dataclass(slots=True)
class Choices:
    """The tokens of all rows without their padding, and what became of them."""

    tokens_N: np.ndarray
    """int64 ids."""
    layers: dict[int, LayerChoices]
    """By layer index."""


@torch.no_grad()
def expert_choices(model: MoETransformer, rows: list[Row], *, rows_at_once: int, end_of_text_id: int) -> Choices:
    """Run rows of one length through the model, which must be in evaluation mode; only choices and weights are kept.

    Memory: `6 * N * K` bytes for each MoE layer.
    """
    assert not model.training, "training may route otherwise"
    tokens, chosen = [], {}
    starts = range(0, len(rows), rows_at_once)
    for start in tqdm(starts, desc="routing", unit="batch", delay=2.0, leave=False, file=sys.stderr):
        batch = collate(rows[start : start + rows_at_once], end_of_text_id=end_of_text_id)
        batch = batch.to(model.embedding.weight.device)
        output = model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=batch.isolating_segments_BT)
        is_token_N = (batch.segments_BT >= 0).flatten()
        tokens.append(batch.tokens_BT.flatten()[is_token_N].cpu())
        for layer, routing in output.routings.items():
            kept = routing.experts_NK[is_token_N].short().cpu(), routing.weights_NK[is_token_N].float().cpu()
            chosen.setdefault(layer, []).append(kept)
    layers = {
        layer: LayerChoices(*(torch.cat(part).numpy() for part in zip(*parts, strict=True)))
        for layer, parts in chosen.items()
    }
    return Choices(torch.cat(tokens).numpy(), layers)
