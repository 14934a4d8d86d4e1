"""One microbatch as the model eats it, made from rows of token ids.

Every document starts with the end-of-text token of the one before: it is the context of the first word and the target
of the last, so one token separates, begins and ends. Conversations in the words of a foreign chat template begin in their own
way, and their rows say where. Legend: B rows, T positions.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from mai1.data.reference import STEPS_PER_NAT


@dataclass(slots=True)
class Row:
    """One training sequence of T+1 ids, and which of them are targets."""

    ids: np.ndarray
    """int64 `[T+1]`."""
    loss_mask: np.ndarray
    """uint8 `[T+1]`; entry t says whether predicting ids[t] counts."""
    num_valid: int
    """Ids from here on are padding."""
    sources: np.ndarray | int = 0
    """Which source each id was read from, int64 `[T+1]`, or one for all of them; numbers count through `Rows.source_names`."""
    epochs: np.ndarray | int = 0
    """How often the source had been read to its end before each id, int64 `[T+1]`, or one number for all of them."""
    reference: np.ndarray | None = None
    """What a reference model's loss on each id is, uint8 `[T+1]` in sixteenths of a nat; None where nothing was scored."""
    starts: np.ndarray | None = None
    """Which ids begin a document, bool `[T+1]`; None: the end-of-text tokens do."""
    answers: np.ndarray | None = None
    """Of rows of pairs, which answer each id belongs to, int64 `[T+1]`: 2p is the better, 2p+1 the worse one of the row's
    pair p, -1 padding. Each is a document of its own."""
    pairs: np.ndarray | None = None
    """The pairs' numbers among all, int64 `[P]`; -1 where a row has fewer than the fullest."""

    @property
    def num_valid_tokens(self) -> int:
        """Those that the model is given, padding left out."""
        return min(self.num_valid, len(self.ids) - 1)


@dataclass(slots=True)
class Batch:
    """Tokens, what follows them, where they stand in their document, and which targets count; `[B, T]` of whole rows.

    Where several ranks share the rows, all have the same tensors, and each computes the positions that are its `own`.
    """

    tokens_BT: torch.Tensor
    targets_BT: torch.Tensor
    positions_BT: torch.Tensor
    """Positions from the start of each document."""
    segments_BT: torch.Tensor
    """Document ids within the row; -1 is padding. Attention never crosses them."""
    loss_mask_BT: torch.Tensor
    """fp32, 0 or 1."""
    sources_BT: torch.Tensor
    """The source that each token was read from; figures only, nothing is learned from it."""
    samples_B: torch.Tensor
    """int64 numbers of the rows in the run's global order."""
    epochs_BT: torch.Tensor
    """How often the source of each target had been read before; figures only."""
    is_packed: bool
    """Some row holds more than one document, or padding."""
    sequence_rank: int = 0
    """Which slice of the positions is this rank's own."""
    sequence_size: int = 1
    """Equal slices into which the positions are divided."""
    reference_BT: torch.Tensor | None = None
    """fp32 nats of a reference model on each target; None where the rows were not scored."""
    answers_BT: torch.Tensor | None = None
    """int64: which answer of its row's pairs each target belongs to, as in `Row`; None where rows hold no pairs."""
    pairs_BP: torch.Tensor | None = None
    """int64 numbers of each row's pairs, -1 where there is none; None where rows hold no pairs."""

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        if device.type == "cpu":
            return self
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        tensors = {name: value for name, value in values.items() if isinstance(value, torch.Tensor)}
        return replace(self, **{name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()})

    def own(self, x_BT: torch.Tensor) -> torch.Tensor:
        """This rank's positions of one of these tensors, or of another of whole rows `[B, T, ...]`."""
        return x_BT.chunk(self.sequence_size, dim=1)[self.sequence_rank]

    @property
    def isolating_segments_BT(self) -> torch.Tensor | None:
        """The segments, or None when every row is one document and plain causal attention does the same."""
        return self.segments_BT if self.is_packed else None


def collate(
    rows: list[Row], *, end_of_text_id: int, first_sample: int = 0, sequence_rank: int = 0, sequence_size: int = 1
) -> Batch:
    """Stack consecutive rows; documents and positions follow from where the end-of-text tokens stand."""
    ids = torch.from_numpy(np.stack([row.ids for row in rows]).astype(np.int64))
    mask = torch.from_numpy(np.stack([row.loss_mask for row in rows]).astype(np.float32))
    sources, epochs = _of_ids([row.sources for row in rows], ids), _of_ids([row.epochs for row in rows], ids)
    tokens_BT = ids[:, :-1]
    index_T = torch.arange(tokens_BT.shape[1])
    starts_BT = torch.from_numpy(np.stack([_starts(row, end_of_text_id)[:-1] for row in rows]))
    starts_BT[:, 0] = True
    answers = _of_pairs([row.answers for row in rows])
    if answers is not None:
        starts_BT[:, 1:] |= answers[:, 1:-1] != answers[:, :-2]
    segments_BT = starts_BT.cumsum(1) - 1
    positions_BT = index_T - torch.where(starts_BT, index_T, 0).cummax(1).values
    num_valid_B = torch.tensor([row.num_valid for row in rows])
    segments_BT = segments_BT.masked_fill(index_T >= num_valid_B[:, None], -1)
    return Batch(
        tokens_BT=tokens_BT.contiguous(),
        targets_BT=ids[:, 1:].contiguous(),
        positions_BT=positions_BT,
        segments_BT=segments_BT,
        loss_mask_BT=mask[:, 1:].contiguous(),
        sources_BT=sources[:, :-1].contiguous(),
        samples_B=first_sample + torch.arange(len(rows)),
        epochs_BT=epochs[:, 1:].contiguous(),
        is_packed=bool((segments_BT != 0).any()),
        sequence_rank=sequence_rank,
        sequence_size=sequence_size,
        reference_BT=_reference(rows),
        answers_BT=None if answers is None else answers[:, 1:].contiguous(),
        pairs_BP=_of_pairs([row.pairs for row in rows]),
    )


def _starts(row: Row, end_of_text_id: int) -> np.ndarray:
    return row.ids == end_of_text_id if row.starts is None else row.starts


def _of_ids(values: list[np.ndarray | int], ids: torch.Tensor) -> torch.Tensor:
    """One value of each id, int64, also where a row has one for all of them."""
    return torch.from_numpy(np.stack([np.broadcast_to(value, ids.shape[1:]) for value in values]).astype(np.int64))


def _of_pairs(values: list[np.ndarray | None]) -> torch.Tensor | None:
    """What rows of pairs know of them; rows without any, which only fill up a batch, know nothing."""
    known = next((value for value in values if value is not None), None)
    if known is None:
        return None
    return torch.from_numpy(np.stack([np.full_like(known, -1) if value is None else value for value in values]))


def _reference(rows: list[Row]) -> torch.Tensor | None:
    if any(row.reference is None for row in rows):
        return None
    return torch.from_numpy(np.stack([row.reference[1:] for row in rows])).float() / STEPS_PER_NAT
