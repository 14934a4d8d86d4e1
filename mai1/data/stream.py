"""Pretraining rows: the documents of all shards, shuffled each epoch, cut into windows of T+1 ids.

The row of a sample number is a pure function of (shards, sequence length, seed): it does not depend on ranks, workers or
what was read before, so any topology sees the same global order and a resumed run continues exactly.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from mai1.data.batch import Row
from mai1.data.shards import Shard


class TokenStream:
    """Random access to the endless sequence of training rows. Memory: about 24 bytes per document and 8 per window."""

    def __init__(self, shards: list[Shard], *, sequence_length: int, seed: int) -> None:
        self.shards, self.sequence_length, self.seed = shards, sequence_length, seed
        self._lengths = np.concatenate([shard.lengths for shard in shards]).astype(np.int64)
        self._first_document = np.cumsum([0] + [shard.num_documents for shard in shards])
        self.num_tokens = int(self._lengths.sum())
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
        documents, ends, windows = self._epoch_order(epoch)
        start, count = int(windows[place]) * self.sequence_length, self.sequence_length + 1
        ids, sources = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
        reference = np.empty(count, dtype=np.uint8) if self._is_scored else None
        for part, source, first in self._spans(documents, ends, start, count):
            shard, size = self.shards[source], part.stop - part.start
            ids[part], sources[part] = shard.read(first, size), source
            if reference is not None:
                reference[part] = shard.reference.read(first, size)
        mask = np.ones(count, dtype=np.uint8)
        return Row(ids, mask, num_valid=count, sources=sources, epochs=epoch, reference=reference)

    def over(self, shards: list[Shard]) -> "TokenStream":
        """The same of other shards."""
        return TokenStream(shards, sequence_length=self.sequence_length, seed=self.seed)

    def _make_epoch_order(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Documents in this epoch's order, where each ends in the stream, and the order of the windows."""
        generator = np.random.default_rng([self.seed, epoch])
        documents = generator.permutation(len(self._lengths))
        return documents, np.cumsum(self._lengths[documents]), generator.permutation(self.rows_per_epoch)

    def _spans(
        self, documents: np.ndarray, ends: np.ndarray, start: int, count: int
    ) -> Iterator[tuple[slice, int, int]]:
        """Where `count` ids of the stream from `start` on are from: their part of the row, the shard, the first id in it."""
        filled, place = 0, int(np.searchsorted(ends, start, side="right"))
        while filled < count:
            shard, first_id = self._find(int(documents[place]))
            size = min(int(ends[place]) - (start + filled), count - filled)
            skip = start + filled - (int(ends[place]) - int(self._lengths[documents[place]]))
            yield slice(filled, filled + size), shard, first_id + skip
            filled, place = filled + size, place + 1

    def _find(self, document: int) -> tuple[int, int]:
        """The shard of a document, and where the document begins in it."""
        shard = int(np.searchsorted(self._first_document, document, side="right")) - 1
        return shard, int(self.shards[shard].starts[document - int(self._first_document[shard])])
