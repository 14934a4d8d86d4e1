"""Pretraining rows: the documents of all shards, shuffled each epoch, cut into windows of T+1 ids.

The row of a sample number is a pure function of (shards, sequence length, seed): it does not depend on ranks, workers or
what was read before, so any topology sees the same global order and a resumed run continues exactly.
"""

import hashlib
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
        parts = [(shard.stem.name, sorted(shard.manifest["sha256"].items())) for shard in self.shards]
        text = f"{parts} T={self.sequence_length} seed={self.seed}"
        return hashlib.sha256(text.encode()).hexdigest()

    def read(self, sample: int) -> Row:
        """The row with this number; numbers run on over the epochs. ValueError names row and file that cannot be read."""
        epoch, place = divmod(sample, self.rows_per_epoch)
        documents, ends, windows = self._epoch_order(epoch)
        start = int(windows[place]) * self.sequence_length
        try:
            ids, sources = self._read_span(documents, ends, start, self.sequence_length + 1)
        except ValueError as error:
            raise ValueError(
                f"row {sample} of the training data: {error}; the run goes on from its last checkpoint"
            ) from error
        return Row(ids, np.ones(len(ids), dtype=np.uint8), num_valid=len(ids), sources=sources)

    def _make_epoch_order(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Documents in this epoch's order, where each ends in the stream, and the order of the windows."""
        generator = np.random.default_rng([self.seed, epoch])
        documents = generator.permutation(len(self._lengths))
        return documents, np.cumsum(self._lengths[documents]), generator.permutation(self.rows_per_epoch)

    def _read_span(
        self, documents: np.ndarray, ends: np.ndarray, start: int, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """`count` ids of the stream from `start` on, and the shard each is from."""
        ids, sources = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
        filled, place = 0, int(np.searchsorted(ends, start, side="right"))
        while filled < count:
            shard, first_id = self._find(int(documents[place]))
            size = min(int(ends[place]) - (start + filled), count - filled)
            skip = start + filled - (int(ends[place]) - int(self._lengths[documents[place]]))
            ids[filled : filled + size] = self.shards[shard].read(first_id + skip, size)
            sources[filled : filled + size] = shard
            filled, place = filled + size, place + 1
        return ids, sources

    def _find(self, document: int) -> tuple[int, int]:
        """The shard of a document, and where the document begins in it."""
        shard = int(np.searchsorted(self._first_document, document, side="right")) - 1
        return shard, int(self.shards[shard].starts[document - int(self._first_document[shard])])
