"""Pretraining rows: the documents of all shards, shuffled each epoch, cut into windows of T+1 ids.

The row of a sample number is a pure function of (shards, sequence length, seed): it does not depend on ranks, workers or
what was read before, so any topology sees the same global order and a resumed run continues exactly.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from mai1.data.batch import Row
from mai1.data.epoch_order import MOST_IN_MEMORY, EpochOrder, OrderSize, draw_order, stored_order
from mai1.data.shards import Shard


class TokenStream:
    """Random access to the endless sequence of training rows.

    Memory: of a small corpus 16 bytes a document and 8 a window, for each of two epochs; of a larger one none that grows with
    it, but a file with as many in `folder`. Who writes that takes 12 bytes a document, or 4 a window, meanwhile.
    """

    def __init__(self, shards: list[Shard], *, sequence_length: int, seed: int, folder: Path | None = None) -> None:
        """`folder`, which all ranks see, is for the orders of large corpora; without one all stays in memory."""
        self.shards, self.sequence_length, self.seed, self.folder = shards, sequence_length, seed, folder
        self._first_id = np.cumsum([0] + [shard.num_tokens for shard in shards])
        self.num_tokens = int(self._first_id[-1])
        self.source_names = [shard.stem.name for shard in shards]
        self._is_scored = all(shard.reference is not None for shard in shards)
        self.rows_per_epoch = (self.num_tokens - 1) // sequence_length
        if self.rows_per_epoch < 1:
            raise ValueError(
                f"data.sequence_length={sequence_length} needs at least {sequence_length + 1} training tokens, but "
                f"{', '.join(str(s.stem) for s in shards)} hold {self.num_tokens}: use a shorter sequence or more text"
            )
        self._epoch_order = lru_cache(maxsize=2)(self._make_epoch_order)

    @property
    def fingerprint(self) -> str:
        """Changes when the shards, the sequence length or the seed do: then a resumed run would see other tokens."""
        parts = [(shard.stem.name, shard.identity) for shard in self.shards]
        text = f"{parts} T={self.sequence_length} seed={self.seed}"
        return hashlib.sha256(text.encode()).hexdigest()

    def read(self, sample: int) -> Row:
        """The row with this number; numbers run on over the epochs. ValueError names row and file that cannot be read."""
        try:
            return self.row(sample)
        except ValueError as error:
            raise ValueError(
                f"row {sample} of the training data: {error}; the run goes on from its last checkpoint"
            ) from error

    def row(self, number: int) -> Row:
        """The same; ValueError names the file alone."""
        epoch, place = divmod(number, self.rows_per_epoch)
        order, count = self._epoch_order(epoch), self.sequence_length + 1
        ids, sources = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
        reference = np.empty(count, dtype=np.uint8) if self._is_scored else None
        for part, source, first in self._spans(order, int(order.windows[place]) * self.sequence_length, count):
            shard, size = self.shards[source], part.stop - part.start
            ids[part], sources[part] = shard.read(first, size), source
            if reference is not None:
                reference[part] = shard.reference.read(first, size)
        mask = np.ones(count, dtype=np.uint8)
        return Row(ids, mask, num_valid=count, sources=sources, epochs=epoch, reference=reference)

    def over(self, shards: list[Shard]) -> "TokenStream":
        """The same of other shards."""
        return TokenStream(shards, sequence_length=self.sequence_length, seed=self.seed, folder=self.folder)

    def _make_epoch_order(self, epoch: int) -> EpochOrder:
        size = OrderSize(sum(shard.num_documents for shard in self.shards), self.rows_per_epoch)

        def draw() -> Iterator[np.ndarray]:
            return draw_order(self._bounds(), self.rows_per_epoch, np.random.default_rng([self.seed, epoch]))

        if self.folder is None or size.count <= MOST_IN_MEMORY:
            return size.split(np.concatenate(list(draw())))
        order = stored_order(self._file_of(epoch), size, draw)
        self._file_of(epoch - 2).unlink(missing_ok=True)
        return order

    def _bounds(self) -> np.ndarray:
        """Where each document begins among the ids of all shards, and where the last one ends."""
        bounds = np.empty(sum(shard.num_documents for shard in self.shards) + 1, dtype=np.int64)
        place = 0
        for shard, first_id in zip(self.shards, self._first_id[:-1], strict=True):
            bounds[place : place + shard.num_documents + 1] = shard.index.bounds()
            bounds[place : place + shard.num_documents + 1] += first_id
            place += shard.num_documents
        return bounds

    def _file_of(self, epoch: int) -> Path:
        return self.folder / f"{self.fingerprint[:32]}-epoch-{epoch}.order"

    def _spans(self, order: EpochOrder, start: int, count: int) -> Iterator[tuple[slice, int, int]]:
        """Where `count` ids of the stream from `start` on are from: their part of the row, the shard, the first id in it."""
        filled, place = 0, bisect_right(order.ends, start)
        begin_in_stream = int(order.ends[place - 1]) if place else 0
        while filled < count:
            end = int(order.ends[place])
            size, skip = min(end - (start + filled), count - filled), start + filled - begin_in_stream
            if size:  # documents of other programs may be empty
                yield slice(filled, filled + size), *self._find(int(order.begins[place]) + skip)
            filled, place, begin_in_stream = filled + size, place + 1, end

    def _find(self, first: int) -> tuple[int, int]:
        """The shard of an id, and its place there."""
        shard = int(np.searchsorted(self._first_id, first, side="right")) - 1
        return shard, first - int(self._first_id[shard])
