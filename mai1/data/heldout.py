"""Held-out rows: every token of the held-out shards is a target once (or an even sample is), and baselines to beat.

Windows do not overlap, so a document cut by a window's end loses its earlier context there: the loss is an upper bound.
"""

from dataclasses import dataclass

import numpy as np

from mai1.data.batch import Row
from mai1.data.shards import Shard


@dataclass(slots=True)
class HeldoutSource:
    """The held-out rows of one source."""

    name: str
    rows: list[Row]
    num_tokens: int
    bytes_per_token: float
    """UTF-8 bytes of text per target; turns nats per token into bits per byte."""


def heldout_source(shard: Shard, *, sequence_length: int, max_rows: int, end_of_text_id: int) -> HeldoutSource:
    """Cut a shard into windows of T targets, evenly thinned to `max_rows` (0: all); the last one is padded."""
    ids = np.concatenate(([end_of_text_id], shard.tokens)).astype(np.int64)
    starts = list(range(0, len(ids) - 1, sequence_length))
    if max_rows and len(starts) > max_rows:
        starts = [starts[i * len(starts) // max_rows] for i in range(max_rows)]
    rows = [_window(ids[start : start + sequence_length + 1], sequence_length, end_of_text_id) for start in starts]
    return HeldoutSource(
        name=shard.stem.name,
        rows=rows,
        num_tokens=sum(row.num_valid - 1 for row in rows),
        bytes_per_token=shard.manifest["bytes"] / shard.num_tokens,
    )


def empty_row(sequence_length: int, *, pad_id: int) -> Row:
    """A row of padding without targets: keeps ranks in step when rows do not divide evenly."""
    return Row(np.full(sequence_length + 1, pad_id), np.zeros(sequence_length + 1, dtype=np.uint8), num_valid=0)


def _window(ids: np.ndarray, sequence_length: int, pad_id: int) -> Row:
    row, mask = np.full(sequence_length + 1, pad_id, dtype=np.int64), np.zeros(sequence_length + 1, dtype=np.uint8)
    row[: len(ids)], mask[1 : len(ids)] = ids, 1
    return Row(row, mask, num_valid=len(ids))


@dataclass(slots=True)
class Baselines:
    """Held-out loss in nats per token of models that only count."""

    unigram: float
    bigram: float


def count_baselines(train: list[Shard], heldout: list[HeldoutSource], *, vocab_size: int, max_tokens: int) -> Baselines:
    """Unigram with add-one counts, and bigram with Witten-Bell interpolation (1991), from up to `max_tokens`."""
    share = min(1.0, max_tokens / sum(shard.num_tokens for shard in train))
    parts = [shard.read(0, int(shard.num_tokens * share)).astype(np.int64) for shard in train]
    unigram_V = np.bincount(np.concatenate(parts), minlength=vocab_size) + 1.0
    unigram_V /= unigram_V.sum()
    pairs, pair_counts = np.unique(
        np.concatenate([part[:-1] * vocab_size + part[1:] for part in parts]), return_counts=True
    )
    context_counts = np.bincount(pairs // vocab_size, weights=pair_counts, minlength=vocab_size)
    followers = np.bincount(pairs // vocab_size, minlength=vocab_size)
    previous, target = _heldout_pairs(heldout)
    wanted = previous * vocab_size + target
    place = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    seen = np.where(pairs[place] == wanted, pair_counts[place], 0)
    total = context_counts[previous] + followers[previous]
    bigram = np.where(
        total > 0, (seen + followers[previous] * unigram_V[target]) / np.maximum(total, 1), unigram_V[target]
    )
    return Baselines(unigram=float(-np.log(unigram_V[target]).mean()), bigram=float(-np.log(bigram).mean()))


def _heldout_pairs(heldout: list[HeldoutSource]) -> tuple[np.ndarray, np.ndarray]:
    rows = [row.ids[: row.num_valid] for source in heldout for row in source.rows]
    return np.concatenate([row[:-1] for row in rows]), np.concatenate([row[1:] for row in rows])
