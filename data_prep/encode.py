"""Kept texts to token shards: a sample for the tokenizer, then the ids of each document, closed by end-of-text."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from data_prep.workers import Workers
from mai1.data.shards import ShardWriter
from mai1.tokenizer.tokenizer import Tokenizer

BATCH_CHARACTERS = 1 << 20
SLICE_CHARACTERS = 16_384


@dataclass(frozen=True, slots=True)
class Part:
    """A text and the split it belongs to."""

    split: str
    text: str


@dataclass(frozen=True, slots=True)
class Encoded:
    """The ids of some texts, joined."""

    splits: list[str]
    lengths: list[int]
    bytes: list[int]
    ids: np.ndarray


def even_sample(texts: Iterable[str], *, share: float) -> Iterator[str]:
    """About this share of the texts' characters, in slices spread evenly over all of them."""
    number = 0
    for text in texts:
        for start in range(0, len(text), SLICE_CHARACTERS):
            number += 1
            if int(number * share) > int((number - 1) * share):
                yield text[start : start + SLICE_CHARACTERS]


def encode_parts(
    parts: Iterable[Part], writers: dict[str, ShardWriter], *, tokenizer_directory: Path, workers: Workers
) -> Iterator[tuple[str, int]]:
    """Encode texts in the workers and add them to the writer of their split; yields (split, bytes) per text."""
    encode = partial(encode_batch, tokenizer_directory=str(tokenizer_directory))
    for encoded in workers.map(encode, _batches(parts)):
        start = 0
        for split, length, num_bytes in zip(encoded.splits, encoded.lengths, encoded.bytes, strict=True):
            writers[split].add(encoded.ids[start : start + length])
            start += length
            yield split, num_bytes


def encode_batch(parts: list[Part], *, tokenizer_directory: str) -> Encoded:
    """Ids of some texts, end-of-text after each; runs in a worker."""
    tokenizer = _load(tokenizer_directory)
    rows = tokenizer.encode_batch([part.text for part in parts])
    ids = np.fromiter((i for row in rows for i in (*row, tokenizer.end_of_text_id)), dtype=np.int32)
    sizes = [len(part.text.encode()) for part in parts]
    return Encoded([part.split for part in parts], [len(row) + 1 for row in rows], sizes, ids)


@lru_cache(maxsize=1)
def _load(directory: str) -> Tokenizer:
    return Tokenizer.load(Path(directory))


def _batches(parts: Iterable[Part]) -> Iterator[list[Part]]:
    batch: list[Part] = []
    characters = 0
    for part in parts:
        batch.append(part)
        characters += len(part.text) + 100
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
