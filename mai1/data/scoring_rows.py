"""Rows in which every id of a range of documents is a target once, for scoring them.

A document that fits shares a row with others, isolated as in training. A longer one is cut: each of its later windows
begins a row and repeats `overlap` ids of the one before, as context alone.
"""

from dataclasses import dataclass

import numpy as np

from mai1.data.batch import Row
from mai1.data.conversations import pack_best_fit


@dataclass(slots=True)
class ScoringRow:
    """A row and where its losses belong."""

    row: Row
    places: np.ndarray
    """int64 `[T]`: of the target at each position, its place in the range; -1 where nothing is scored."""


@dataclass(frozen=True, slots=True)
class _Piece:
    first: int
    """Place of the first target, also if it is context alone."""
    last: int
    """Behind the last one."""
    scored_from: int
    is_begin: bool
    """Its first input is the end-of-text token before the document."""

    @property
    def length(self) -> int:
        return self.last - self.first


def scoring_rows(
    ids: np.ndarray, lengths: np.ndarray, *, sequence_length: int, overlap: int, end_of_text_id: int
) -> list[ScoringRow]:
    """Rows over the ids of consecutive documents of these lengths; ValueError where one does not end with end-of-text."""
    if (ids[np.cumsum(lengths) - 1] != end_of_text_id).any():
        raise ValueError("every document must end with the end-of-text token: run `mai1 prepare` on this text")
    started, whole = [], []
    for end, length in zip(np.cumsum(lengths).tolist(), lengths.tolist(), strict=True):
        pieces = _cut(end - length, end, sequence_length, overlap)
        (started if len(pieces) > 1 else whole).extend(pieces)
    packs = pack_best_fit(
        [piece.length for piece in whole],
        capacity=sequence_length,
        begun=[piece.length for piece in started],
    )
    in_rows = [[whole[index] for index in pack] for pack in packs]
    for piece, row in zip(started, in_rows, strict=False):
        row.insert(0, piece)
    return [_row(pieces, ids, sequence_length, end_of_text_id) for pieces in in_rows]


def _cut(start: int, end: int, sequence_length: int, overlap: int) -> list[_Piece]:
    """A document as windows of at most `sequence_length` targets."""
    pieces = [_Piece(start, min(end, start + sequence_length), start, True)]
    while (done := pieces[-1].last) < end:
        first = done - overlap
        pieces.append(_Piece(first, min(end, first + sequence_length), done, False))
    return pieces


def _row(pieces: list[_Piece], ids: np.ndarray, sequence_length: int, end_of_text_id: int) -> ScoringRow:
    row, mask = np.full(sequence_length + 1, end_of_text_id), np.zeros(sequence_length + 1, dtype=np.uint8)
    places, filled = np.full(sequence_length, -1), 0
    for piece in pieces:  # where one ends, its end-of-text token is the next one's first input
        row[filled] = end_of_text_id if piece.is_begin else ids[piece.first - 1]
        span = slice(filled + 1, filled + 1 + piece.length)
        row[span] = ids[piece.first : piece.last]
        context = piece.scored_from - piece.first
        mask[span.start + context : span.stop] = 1
        places[filled + context : filled + piece.length] = np.arange(piece.scored_from, piece.last)
        filled += piece.length
    return ScoringRow(Row(row, mask, num_valid=filled + 1), places)
