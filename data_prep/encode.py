"""Kept texts to token shards: a sample for the tokenizer, then the ids of each document, closed by end-of-text."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path

import numpy as np

from data_prep.workers import Workers, batches
from mai1.data.shards import ShardWriter
from mai1.tokenizer.tokenizer import Tokenizer

SPLITS = ("train", "heldout")
SLICE_CHARACTERS = 16_384


@dataclass(frozen=True, slots=True)
class Part:
    """A text and the split it belongs to."""

    split: str
    text: str
    is_end: bool = True
    """Whether the document ends here; the segments of a long one before its last do not."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """The ids of a part, closed by end-of-text where the document ends."""

    split: str
    ids: np.ndarray
    num_bytes: int
    is_end: bool


def even_sample(texts: Iterable[str], *, share: float) -> Iterator[str]:
    """About this share of the texts' characters, in slices spread evenly over all of them."""
    number = 0
    for text in texts:
        for start in range(0, len(text), SLICE_CHARACTERS):
            number += 1
            if int(number * share) > int((number - 1) * share):
                yield text[start : start + SLICE_CHARACTERS]


def write_shards(
    parts: Iterable[Part],
    directory: Path,
    name: str,
    *,
    tokenizer: Tokenizer,
    manifest: dict,
    workers: Workers,
    advance: Callable[[int], object],
) -> dict[str, dict[str, int]]:
    """Encode parts with the tokenizer saved in `directory` and write train/NAME and heldout/NAME.

    Tells `advance` the bytes done; returns {split: {documents, bytes, tokens}}. A split without documents has no shard.
    """
    encode = partial(encode_batch, tokenizer_directory=str(directory / "tokenizer"))
    vocab_size, sums = tokenizer.vocabulary.size, {split: {"documents": 0, "bytes": 0, "tokens": 0} for split in SPLITS}
    with ExitStack() as stack:
        writers = {s: stack.enter_context(ShardWriter(directory / s / name, vocab_size=vocab_size)) for s in SPLITS}
        begun: list[np.ndarray] = []
        for encoded in chain.from_iterable(workers.map(encode, batches(_segments(parts, tokenizer)))):
            begun.append(encoded.ids)
            sums[encoded.split]["bytes"] += encoded.num_bytes
            advance(encoded.num_bytes)
            if encoded.is_end:
                writers[encoded.split].add(np.concatenate(begun))
                begun = []
        for split, writer in writers.items():
            sums[split] |= {"documents": writer.num_documents, "tokens": writer.num_tokens}
            if writer.num_documents:
                writer.close({**manifest, "split": split, "bytes": sums[split]["bytes"]})
    return sums


def encode_batch(parts: list[Part], *, tokenizer_directory: str) -> list[Encoded]:
    """Ids of some parts; runs in a worker."""
    tokenizer = _load(tokenizer_directory)
    rows = tokenizer.encode_batch([part.text for part in parts])
    return [
        Encoded(
            part.split,
            np.array([*row, tokenizer.end_of_text_id] if part.is_end else row, dtype=np.int32),
            len(part.text.encode()),
            part.is_end,
        )
        for part, row in zip(parts, rows, strict=True)
    ]


@lru_cache(maxsize=1)
def _load(directory: str) -> Tokenizer:
    return Tokenizer.load(Path(directory))


def _segments(parts: Iterable[Part], tokenizer: Tokenizer) -> Iterator[Part]:
    """Long texts cut where it changes no id, so that all workers share even a single one and memory stays bounded."""
    for part in parts:
        segments = list(tokenizer.segments(part.text))
        for number, segment in enumerate(segments, start=1):
            yield Part(part.split, segment, is_end=number == len(segments))
