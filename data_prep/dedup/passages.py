"""Passages that stood before: lines, paragraphs, or any run of words (Lee et al. 2021, arXiv 2107.06499), and their removal.

Map, reduce, map; only keys travel:

    passages_of(texts)           a slice's keys, in the order of its text, 8 bytes a passage, are written to a file
    repeated_places(keys, part)  of the keys in one range, over all slices in order: which are repeats, which the first of several
    spans_to_cut, cut            the slice again: its passages, what the reduce said of them, the shortened text

The first occurrence in the order of documents stays whole, also where a repeat overlaps it; so no passage vanishes.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np

from data_prep.dedup.words import ODD, Words, mixed, ngram_hashes, ngram_owners, words_of

UNIQUE, FIRST, REPEAT = range(3)
"""What a passage is: alone, the first of several, or one that stood before."""


class PassageUnit(Enum):
    """What is compared."""

    off = "off"
    lines = "lines"
    paragraphs = "paragraphs"
    """Text between empty lines."""

    substrings = "substrings"
    """Every run of `min_words` words, wherever it begins."""


@dataclass(kw_only=True, slots=True)
class PassageConfig:
    """Which repeated passages are cut out of documents."""

    unit: PassageUnit = PassageUnit.off
    """off, lines, paragraphs, or substrings: every run of `min_words` words, wherever it begins."""

    min_words: int = 50
    """Shortest passage that is looked at, in words; characters in scripts without spaces."""

    def __post_init__(self) -> None:
        if self.min_words < 1:
            raise ValueError(f"dedup.passages.min_words={self.min_words} must be at least 1: use 50")


ENDS = {PassageUnit.lines: re.compile(r"\n"), PassageUnit.paragraphs: re.compile(r"\n[^\S\n]*\n\s*")}


@dataclass(frozen=True, slots=True)
class Passages:
    """The passages of several texts, in their order."""

    keys_P: np.ndarray
    """uint64: equal for passages that differ in case, accents, punctuation and white space alone."""

    starts_P: np.ndarray
    """int64: number of the first character in its text."""

    ends_P: np.ndarray
    """int64: number of the character after it, the gap to what follows included."""

    first_D: np.ndarray
    """int64 [texts + 1]: each text's first passage."""


def passages_of(texts: list[str], config: PassageConfig) -> Passages:
    """All passages of the configured unit and of at least `min_words` words; the same for each text in any company."""
    words = words_of(texts)
    if config.unit is PassageUnit.substrings:
        return _runs(texts, words, config.min_words)
    empty = (np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64))
    end, bounds = ENDS[config.unit], words.first_D.tolist()
    parts = [
        _blocks(text, end, words, slice(first, after), config.min_words)
        for text, first, after in zip(texts, bounds, bounds[1:], strict=False)
    ]
    keys_P, starts_P, ends_P = map(np.concatenate, zip(empty, *parts, strict=True))
    return Passages(keys_P, starts_P, ends_P, np.cumsum([0, *(len(keys) for keys, _, _ in parts)]))


def repeated_places(slices: Iterable[np.ndarray], *, part: int, num_parts: int) -> tuple[np.ndarray, np.ndarray]:
    """The passages with keys in one of `num_parts` equal ranges that occur more than once: places int64, roles uint8.

    `slices` are the keys of all slices in order; a place counts passages over all of them. 40 bytes of memory for each
    passage in the range. Ranges are independent, and together they find every repeat.
    """
    keys, places, done = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], 0
    for keys_P in slices:
        inside = np.flatnonzero(_range_of(keys_P, num_parts) == part)
        keys.append(keys_P[inside])
        places.append(inside + done)
        done += len(keys_P)
    roles_P = roles_of(np.concatenate(keys))
    is_told = roles_P != UNIQUE
    return np.concatenate(places)[is_told], roles_P[is_told]


def roles_of(keys_P: np.ndarray) -> np.ndarray:
    """UNIQUE, FIRST or REPEAT for each passage, uint8."""
    order_P = np.argsort(keys_P, kind="stable")
    sorted_P = keys_P[order_P]
    as_before = np.zeros(len(keys_P) + 1, bool)
    np.equal(sorted_P[1:], sorted_P[:-1], out=as_before[1:-1])
    roles_P = np.empty(len(keys_P), np.uint8)
    roles_P[order_P] = np.where(as_before[:-1], REPEAT, np.where(as_before[1:], FIRST, UNIQUE))
    return roles_P


def spans_to_cut(passages: Passages, roles_P: np.ndarray) -> Iterator[np.ndarray]:
    """For each text what to cut, int64 [spans, 2]: characters in repeats that are in no passage that is the first of several."""
    for first, after in zip(passages.first_D, passages.first_D[1:], strict=False):
        roles = roles_P[first:after]
        starts, ends = passages.starts_P[first:after], passages.ends_P[first:after]
        repeats, firsts = ((starts[roles == role], ends[roles == role]) for role in (REPEAT, FIRST))
        yield _outside(_merged(*repeats), _merged(*firsts))


def cut(text: str, spans: np.ndarray) -> str:
    """The text without the spans; where a line's end went with one, what follows still begins a line."""
    pieces, done, last = [], 0, "\n"
    for start, end in ((_before_opening(text, start), _before_opening(text, end)) for start, end in spans.tolist()):
        pieces.append(text[done:start])
        last = text[start - 1] if start > done else last
        if last != "\n" and "\n" in text[start:end]:
            pieces.append("\n")
            last = "\n"
        done = end
    return "".join(pieces) + text[done:]


def _before_opening(text: str, place: int) -> int:
    """Where the quotation marks and brackets begin that stand right before a word, if white space stands before them."""
    start = place
    while place < len(text) and start > 0 and not (text[start - 1].isspace() or text[start - 1].isalnum()):
        start -= 1
    return start if start == 0 or text[start - 1].isspace() else place


def _runs(texts: list[str], words: Words, num_words: int) -> Passages:
    """Every run of `num_words` words; it reaches to the next word, the first from the text's beginning."""
    places_P, counts_D = ngram_owners(words.first_D, num_words)
    has_words_D = np.diff(words.first_D) > 0
    starts_W, nexts_W = words.starts_W.copy(), np.append(words.starts_W[1:], 0)
    starts_W[words.first_D[:-1][has_words_D]] = 0
    nexts_W[words.first_D[1:][has_words_D] - 1] = np.array([len(text) for text in texts], np.int64)[has_words_D]
    return Passages(
        ngram_hashes(words.hashes_W, num_words)[places_P],
        starts_W[places_P],
        nexts_W[places_P + num_words - 1],
        np.concatenate([[0], np.cumsum(counts_D)]),
    )


def _blocks(
    text: str, end: re.Pattern, words: Words, inside: slice, min_words: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys, starts and ends of one text's lines or paragraphs."""
    bounds = np.array([0, *(match.end() for match in end.finditer(text)), len(text)], np.int64)
    counts_P = np.diff(np.searchsorted(words.starts_W[inside], bounds))
    if not counts_P.any():
        return np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64)
    firsts_P = np.cumsum(counts_P) - counts_P
    numbers_W = np.arange(int(counts_P.sum())) - np.repeat(firsts_P, counts_P)
    placed_W = mixed(words.hashes_W[inside] + numbers_W.astype(np.uint64) * ODD[0])
    is_long_P = counts_P >= min_words
    sums = np.add.reduceat(placed_W, firsts_P[counts_P > 0])[is_long_P[counts_P > 0]]
    return mixed(sums), bounds[:-1][is_long_P], bounds[1:][is_long_P]


def _range_of(keys_P: np.ndarray, num_parts: int) -> np.ndarray:
    """Which of `num_parts` equal ranges each key lies in."""
    return ((keys_P >> np.uint64(32)) * np.uint64(num_parts)) >> np.uint64(32)


def _merged(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Ranges that touch or overlap as one, ascending, int64 [ranges, 2]; `starts` ascend."""
    if not len(starts):
        return np.empty((0, 2), np.int64)
    reached = np.maximum.accumulate(ends)
    is_new = np.append(True, starts[1:] > reached[:-1])
    return np.stack([starts[is_new], reached[np.append(np.flatnonzero(is_new)[1:] - 1, len(starts) - 1)]], axis=1)


def _outside(ranges: np.ndarray, others: np.ndarray) -> np.ndarray:
    """What of merged ranges lies in no other of merged ranges."""
    edges = np.unique(np.concatenate([ranges, others]))
    is_left = _covers(ranges, edges[:-1]) & ~_covers(others, edges[:-1])
    return _merged(edges[:-1][is_left], edges[1:][is_left])


def _covers(ranges: np.ndarray, places: np.ndarray) -> np.ndarray:
    if not len(ranges):
        return np.zeros(len(places), bool)
    numbers = np.searchsorted(ranges[:, 0], places, side="right") - 1
    return (numbers >= 0) & (places < ranges[np.maximum(numbers, 0), 1])
