"""Many texts to ids by the fastest library that gives the same ids, which is checked on a sample of every run."""

import zlib
from collections.abc import Callable, Sequence
from enum import Enum
from importlib.util import find_spec
from itertools import chain

import numpy as np
import tiktoken

from mai1.tokenizer.byte_bpe import ByteBpeModel
from mai1.tokenizer.byte_bpe_file import to_json
from mai1.tokenizer.foreign import ForeignModel
from mai1.tokenizer.ranks import ranks_of
from mai1.tokenizer.sentencepiece_model import SPACE, SentencePieceModel
from mai1.tokenizer.tokenizer import Tokenizer, check_unicode
from mai1.tokenizer.words import EXPRESSIONS, MAX_SEGMENT_CHARACTERS

Model = SentencePieceModel | ByteBpeModel | ForeignModel
Encode = Callable[[str], Sequence[int] | np.ndarray]

CHECKED_CHARACTERS = 1 << 16
"""So much of what comes first is checked."""

CHECKED_SHARE = 256
"""After that one part of so many, chosen by a checksum of its beginning."""


class Library(Enum):
    """What encodes."""

    auto = "auto"
    own = "own"
    tiktoken = "tiktoken"
    gigatoken = "gigatoken"


class BulkEncoder:
    """`tokenizer.encode` for many texts, several times as fast.

    What a library cannot take, such as runs of a million spaces, is left to the tokenizer itself. `auto` is gigatoken
    where it is installed, else tiktoken for byte-level BPE and the tokenizer itself for SentencePiece; `library` says
    which it is.
    """

    def __init__(self, tokenizer: Tokenizer, library: Library = Library.auto, *, seed: int = 0) -> None:
        self.tokenizer = tokenizer
        self.library = _fastest(tokenizer.model) if library is Library.auto else library
        self._fast = _encode_by(self.library, tokenizer.model)
        self._seed, self._num_texts, self._num_checked = seed, 0, 0

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        """Ids of each text, int32. ValueError for a lone surrogate, and where the library gives other ids."""
        return [self._encode(text) for text in texts]

    def _encode(self, text: str) -> np.ndarray:
        check_unicode(text)
        self._num_texts += 1
        parts = [self._encode_part(part) for part in self.tokenizer.segments(text)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _encode_part(self, part: str) -> np.ndarray:
        if len(part) > MAX_SEGMENT_CHARACTERS:
            return np.asarray(self.tokenizer.model.encode(part), dtype=np.int32)
        ids = np.asarray(self._fast(part), dtype=np.int32)
        checksum = zlib.crc32(part[:1024].encode(), self._seed)
        if self._num_checked < CHECKED_CHARACTERS or checksum % CHECKED_SHARE == 0:
            self._check(part, ids)
        return ids

    def _check(self, part: str, ids: np.ndarray) -> None:
        expected = np.asarray(self.tokenizer.model.encode(part), dtype=np.int32)
        self._num_checked += len(part)
        if np.array_equal(ids, expected):
            return
        shared = min(len(ids), len(expected))
        place = next(iter(np.flatnonzero(ids[:shared] != expected[:shared])), shared)
        near = self.tokenizer.decode(expected[max(0, place - 4) : place + 4].tolist())
        raise ValueError(
            f"library={self.library.value} gives other ids than the tokenizer does, in text {self._num_texts} of this "
            f"process at token {place} of a part, near {near!r}: use library=own"
        )


def _fastest(model: Model) -> Library:
    is_byte_bpe = isinstance(model, ByteBpeModel)
    if isinstance(model, ForeignModel):
        return Library.own
    if find_spec("gigatoken") and (is_byte_bpe or model.has_merges):
        return Library.gigatoken
    return Library.tiktoken if is_byte_bpe else Library.own


def _encode_by(library: Library, model: Model) -> Encode:
    """What encodes a part; ValueError for a library that does not know this kind of model or is not installed."""
    if library is Library.own:
        return model.encode
    if library is Library.tiktoken:
        return _by_tiktoken(model)
    return _by_gigatoken(model)


def _by_tiktoken(model: Model) -> Encode:
    if not isinstance(model, ByteBpeModel):
        raise ValueError("library=tiktoken must have a byte-level BPE, but this is SentencePiece: use own or gigatoken")
    expression = EXPRESSIONS[model.digits]
    encoding = tiktoken.Encoding("mai1", pat_str=expression, mergeable_ranks=ranks_of(model), special_tokens={})
    return encoding.encode_ordinary


def _by_gigatoken(model: Model) -> Encode:
    """Without control tokens, which gigatoken would find in raw text."""
    if not find_spec("gigatoken"):
        raise ValueError("library=gigatoken must be installed: pip install gigatoken, or use own or tiktoken")
    import gigatoken

    if isinstance(model, ByteBpeModel):
        return gigatoken.Tokenizer.from_json(to_json(model, (), indent=None)).encode
    if not model.has_merges:
        raise ValueError("library=gigatoken must have pieces of several characters, but this model has none: use own")
    encode = gigatoken.Tokenizer.from_sentencepiece(model.content).encode

    def encode_around_marks(part: str) -> np.ndarray:
        """A U+2581 of the text is no space: it is cut out and written as its bytes."""
        if SPACE not in part:
            return encode(part)
        pieces = [[encode(piece), model.space_mark_ids] for piece in part.split(SPACE)]
        return np.concatenate([*chain.from_iterable(pieces)][:-1])

    return encode_around_marks
