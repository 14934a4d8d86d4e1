"""Learn a byte-level BPE: the commonest pair of neighbours within words becomes a piece, again and again.

Of pairs that are equally common the one of the lower ids is taken, so neither threads nor order change what is learned.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

import tokenizers
from tokenizers import models, trainers

from mai1.tokenizer.byte_bpe import ALPHABET, BYTE_OF, NUM_BYTES, ByteBpeModel
from mai1.tokenizer.words import Digits, segments, splitter

LONG_RUN = re.compile(r"\S{1024}|\s{1024}")
"""Is cut behind, though it may be within a word: a merge in a word takes time by the whole word's length."""


def learn_byte_bpe(texts: Iterable[str], *, vocab_size: int, max_piece_bytes: int, digits: Digits) -> ByteBpeModel:
    """A model of the texts; ValueError where they do not support so many pieces."""
    learned = tokenizers.Tokenizer(models.BPE())
    learned.pre_tokenizer = splitter(digits)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        max_token_length=max_piece_bytes + 1,  # the first length that is too long
        initial_alphabet=list(ALPHABET),
        show_progress=False,
    )
    learned.train_from_iterator((part for text in texts for part in _parts(text)), trainer)
    pairs = json.loads(learned.to_str())["model"]["merges"]
    merges = [tuple(bytes(BYTE_OF[character] for character in part) for part in pair) for pair in pairs]
    if NUM_BYTES + len(merges) < vocab_size:
        raise ValueError(
            f"tokenizer.vocab_size={vocab_size} is more than this text supports: "
            f"use at most {NUM_BYTES + len(merges)}, or more text"
        )
    return ByteBpeModel(merges, digits)


def _parts(text: str) -> Iterator[str]:
    """The text in pieces of bounded length and with bounded words."""
    for segment in segments(text):
        ends = [found.end() for found in LONG_RUN.finditer(segment)]
        yield from (segment[start:end] for start, end in pairwise([0, *ends, len(segment)]))
