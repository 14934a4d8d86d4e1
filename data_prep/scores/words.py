"""What scorers read instead of text: the words of a whole batch as 64-bit hashes, made by numpy over the characters.

A word is a run of letters and digits or a run of punctuation, in lower case; white space divides and is no word. In
scripts without spaces between words (Han, kana, Thai, Lao, Burmese, Khmer) every character is a word.
"""

import unicodedata
from dataclasses import dataclass

import numpy as np

SPACE, PUNCTUATION, WORD, ALONE = 0, 1, 2, 3
UNSPACED = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF))
"""First and last character of the scripts that put no spaces between words."""
BASE = 0xD6E8FEB86659FD93
PAIR = np.uint64(0xC2B2AE3D27D4EB4F)
SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""Odd numbers without a pattern, so each has an inverse modulo 2**64."""


def _kinds() -> np.ndarray:
    """SPACE, PUNCTUATION, WORD or ALONE of each character below U+FFFF; all others are as U+FFFF: WORD."""
    kinds = np.full(0x10000, PUNCTUATION, dtype=np.uint8)
    for point in range(0x10000):
        category = unicodedata.category(chr(point))
        if category[0] in "LMN":
            kinds[point] = WORD
        elif category[0] in "Z" or category == "Cc":
            kinds[point] = SPACE
    for first, last in UNSPACED:
        kinds[first : last + 1][kinds[first : last + 1] == WORD] = ALONE
    kinds[0xFFFF] = WORD
    return kinds


KINDS = _kinds()


@dataclass(frozen=True, slots=True)
class Words:
    """All words of a batch in order. Shapes: W words, D documents."""

    hashes: np.ndarray
    """uint64 [W]."""

    document: np.ndarray
    """The document of each word, int64 [W], rising."""

    counts: np.ndarray
    """Words of each document, int64 [D]."""

    def buckets(self, num_buckets: int) -> np.ndarray:
        """Every word as a number below `num_buckets`, int64 [W]."""
        return into_buckets(self.hashes, num_buckets)

    def with_pairs(self, num_buckets: int) -> tuple[np.ndarray, np.ndarray]:
        """Words, then every two neighbours of one document, as numbers below `num_buckets`; and their documents."""
        same = self.document[1:] == self.document[:-1]
        pairs = self.hashes[:-1][same] * PAIR + self.hashes[1:][same]
        features = into_buckets(np.concatenate([self.hashes, pairs]), num_buckets)
        return features, np.concatenate([self.document, self.document[1:][same]])


def into_buckets(hashes: np.ndarray, num_buckets: int) -> np.ndarray:
    """Hashes as numbers below `num_buckets` (at most 2**32), evenly spread, int64 of the same shape."""
    mixed = (hashes ^ (hashes >> np.uint64(29))) * SPREAD
    return (((mixed >> np.uint64(32)) * np.uint64(num_buckets)) >> np.uint64(32)).astype(np.int64)


def words_of(texts: list[str]) -> Words:
    """The words of every text; about 60 bytes of memory a character, so the caller bounds the batch."""
    lowered = [text.lower() for text in texts]
    points = np.frombuffer("\n".join([*lowered, ""]).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    starts, ends = _word_borders(points)
    document = np.searchsorted(np.cumsum([len(text) + 1 for text in lowered]), starts, side="right")
    counts = np.bincount(document, minlength=len(texts)).astype(np.int64)
    return Words(hashes=_hashes(points, starts, ends), document=document, counts=counts)


def _word_borders(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each word begins and where it has ended; `points` ends with a line end, if it is not empty."""
    kinds = KINDS[np.minimum(points, 0xFFFF)]
    is_border = np.ones(len(points) + 1, dtype=bool)
    is_border[1:-1] = (kinds[1:] != kinds[:-1]) | (kinds[1:] == ALONE)
    borders = np.flatnonzero(is_border)
    starts, ends = borders[:-1], borders[1:]
    filled = kinds[starts] != SPACE
    return starts[filled], ends[filled]


def _hashes(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Of each word the sum of `character * BASE**place` modulo 2**64, as differences of one running sum."""
    sums = np.zeros(len(points) + 1, dtype=np.uint64)
    np.cumsum(points * _powers(BASE, len(points)), out=sums[1:])
    return (sums[ends] - sums[starts]) * _powers(pow(BASE, -1, 2**64), len(points) + 1)[starts]


def _powers(base: int, count: int) -> np.ndarray:
    """`base**0 ... base**(count - 1)` modulo 2**64."""
    factors = np.full(count, base, dtype=np.uint64)
    factors[:1] = 1
    return np.multiply.accumulate(factors)
