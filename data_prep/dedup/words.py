"""Words of texts as hashes and places, without making a string of any word: what all near-copy stages start from."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from data_prep.dedup.characters import ALONE, IN_WORD, MARK, PLAIN_ASCII, characters

CHUNK_CHARACTERS = 1 << 17
"""Text worked on at a time: the arrays stay in the processor's cache and memory does not grow with a document."""

MAX_WORD_CHARACTERS = 32
"""Longer runs, such as base64, count as several words."""

LANE = 8
"""Bytes of a word hashed at a time."""

MASKS = np.array([(1 << (8 * length)) - 1 for length in range(LANE + 1)], np.uint64)
ODD = tuple(np.uint64(odd) for odd in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
"""Multipliers of SplitMix64 (Steele et al. 2014)."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of several texts, one text after the other."""

    hashes_W: np.ndarray
    """uint64: equal for words that differ in case and accents alone."""

    starts_W: np.ndarray
    """int64: number of each word's first character in its text."""

    ends_W: np.ndarray
    """int64: number of the character after its last."""

    first_D: np.ndarray
    """int64 [texts + 1]: each text's first word."""


def words_of(texts: list[str]) -> Words:
    """All words: runs of letters and digits of any script; each character where scripts put no spaces (Han, Kana, Thai)."""
    lengths_D = np.zeros(len(texts), np.int64)
    parts = [_Chunk.of(pieces) for pieces in _chunks(texts)]
    for part in parts:
        np.add.at(lengths_D, part.texts_P, part.num_words_P)
    return Words(
        np.concatenate([np.empty(0, np.uint64), *(part.hashes_W for part in parts)]),
        np.concatenate([np.empty(0, np.int64), *(part.starts_W for part in parts)]),
        np.concatenate([np.empty(0, np.int64), *(part.ends_W for part in parts)]),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths_D)]),
    )


def ngram_hashes(hashes_W: np.ndarray, num_words: int, *, seed: int = 0) -> np.ndarray:
    """A hash of every `num_words` neighbours, uint64 [W - num_words + 1], by doubling: 2 log2(n) passes instead of n.

    A polynomial modulo 2^64 in an odd base, mixed. Those that reach over the border of two texts are the caller's to leave out.
    """
    if len(hashes_W) < num_words:
        return np.empty(0, np.uint64)
    bits = f"{num_words:b}"
    base = np.uint64((int(ODD[0]) + 2 * seed * int(ODD[1])) % 2**64)
    done, power, total_W = 1, base, hashes_W  # total_W: hash of `done` words; power: base ** done
    for bit in bits[1:]:
        total_W = total_W[:-done] * power + total_W[done:]
        done, power = 2 * done, _product(power, power)
        if bit == "1":
            total_W = total_W[:-1] * base + hashes_W[done:]
            done, power = done + 1, _product(power, base)
    return mixed(total_W)


def ngram_owners(first_D: np.ndarray, num_words: int) -> tuple[np.ndarray, np.ndarray]:
    """Which n-grams lie within one text: their numbers, int64 [S], and how many each text has, int64 [D]."""
    counts_D = np.maximum(np.diff(first_D) - num_words + 1, 0)
    skipped_D = first_D[:-1] - (np.cumsum(counts_D) - counts_D)
    return np.arange(int(counts_D.sum())) + np.repeat(skipped_D, counts_D), counts_D


def mixed(values: np.ndarray) -> np.ndarray:
    """The output function of SplitMix64: a bijection after which every bit depends on every bit."""
    values = (values ^ (values >> np.uint64(30))) * ODD[1]
    values = (values ^ (values >> np.uint64(27))) * ODD[2]
    return values ^ (values >> np.uint64(31))


def _product(left: np.uint64, right: np.uint64) -> np.uint64:
    return np.uint64(int(left) * int(right) % 2**64)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A text, or a part of a long one."""

    text: str
    number: int
    offset: int


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The words of some pieces."""

    hashes_W: np.ndarray
    starts_W: np.ndarray
    ends_W: np.ndarray
    texts_P: np.ndarray
    num_words_P: np.ndarray

    @classmethod
    def of(cls, pieces: list[_Piece]) -> "_Chunk":
        joined = "\n".join(piece.text for piece in pieces)
        find = _find_ascii if joined.isascii() else _find_any
        hashes_W, starts_W, ends_W = find(joined)
        lengths_P = np.array([len(piece.text) + 1 for piece in pieces])
        bounds_P = np.concatenate([[0], np.cumsum(lengths_P)])
        num_words_P = np.diff(np.searchsorted(starts_W, bounds_P))
        shift_W = np.repeat(bounds_P[:-1] - [piece.offset for piece in pieces], num_words_P)
        texts_P = np.array([piece.number for piece in pieces])
        return cls(hashes_W, starts_W - shift_W, ends_W - shift_W, texts_P, num_words_P)


def _chunks(texts: list[str]) -> Iterator[list[_Piece]]:
    """Neighbouring pieces of together about CHUNK_CHARACTERS."""
    pieces, room = [], CHUNK_CHARACTERS
    for piece in (piece for number, text in enumerate(texts) for piece in _pieces(text, number)):
        if pieces and len(piece.text) > room:
            yield pieces
            pieces, room = [], CHUNK_CHARACTERS
        pieces.append(piece)
        room -= len(piece.text) + 1
    if pieces:
        yield pieces


def _pieces(text: str, number: int) -> Iterator[_Piece]:
    """The text in parts that end at a blank where there is one; where depends on the text alone."""
    start = 0
    while len(text) - start > CHUNK_CHARACTERS:
        end = 1 + max(text.rfind(blank, start, start + CHUNK_CHARACTERS) for blank in " \n")
        end = end if end > start else start + CHUNK_CHARACTERS
        yield _Piece(text[start:end], number, start)
        start = end
    yield _Piece(text[start:] if start else text, number, start)


def _find_ascii(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hashes, starts and ends of the words of ASCII text."""
    plain = text.encode().translate(PLAIN_ASCII)
    is_word = np.zeros(len(plain) + 2, bool)
    np.not_equal(np.frombuffer(plain, np.uint8), 0, out=is_word[1:-1])
    edges = np.flatnonzero(is_word[1:] != is_word[:-1])
    starts_W, ends_W = _cut_long(edges[0::2], edges[1::2])
    return _hash(plain, starts_W, ends_W), starts_W, ends_W


def _find_any(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same for any text."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    tables = characters()
    kinds, places = tables.kinds[codes], None
    if (is_mark := kinds == MARK).any():
        places = np.flatnonzero(~is_mark)
        codes, kinds = codes[places], kinds[places]
    starts_W, ends_W = _cut_long(*_edges(kinds))
    plain = tables.plain[codes]
    if plain.max(initial=0) < 0x80:
        hashes_W = _hash(plain.astype(np.uint8).tobytes(), starts_W, ends_W)
    else:
        offsets = _utf8_offsets(plain)
        hashes_W = _hash(plain.tobytes().decode("utf-32-le").encode(), offsets[starts_W], offsets[ends_W])
    if places is not None:
        starts_W, ends_W = places[starts_W], places[ends_W - 1] + 1
    return hashes_W, starts_W, ends_W


def _edges(kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    is_alone = kinds == ALONE
    is_word = np.zeros(len(kinds) + 2, bool)
    np.equal(kinds, IN_WORD, out=is_word[1:-1])
    inside = is_word[1:-1]
    starts = np.flatnonzero((inside & ~is_word[:-2]) | is_alone)
    return starts, np.flatnonzero((inside & ~is_word[2:]) | is_alone) + 1


def _cut_long(starts_W: np.ndarray, ends_W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of more than MAX_WORD_CHARACTERS as several words."""
    lengths_W = ends_W - starts_W
    if lengths_W.max(initial=0) <= MAX_WORD_CHARACTERS:
        return starts_W, ends_W
    counts_W = -(-lengths_W // MAX_WORD_CHARACTERS)
    within = np.arange(int(counts_W.sum())) - np.repeat(np.cumsum(counts_W) - counts_W, counts_W)
    starts = np.repeat(starts_W, counts_W) + MAX_WORD_CHARACTERS * within
    return starts, np.minimum(starts + MAX_WORD_CHARACTERS, np.repeat(ends_W, counts_W))


def _utf8_offsets(codes: np.ndarray) -> np.ndarray:
    """Where in UTF-8 each character begins, and where all end: int64 [characters + 1]."""
    lengths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def _hash(data: bytes, starts_W: np.ndarray, ends_W: np.ndarray) -> np.ndarray:
    """A hash of each range of bytes; of ranges of up to 8 bytes no two different ones collide."""
    lanes = np.frombuffer(data + bytes(2 * LANE - len(data) % LANE), "<u8")
    hashes_W = mixed(_lanes_at(lanes, starts_W, ends_W))
    rest, starts = np.flatnonzero(ends_W - starts_W > LANE), starts_W + LANE
    while len(rest):
        hashes_W[rest] = mixed(hashes_W[rest] * ODD[0] + _lanes_at(lanes, starts[rest], ends_W[rest]))
        starts[rest] += LANE
        rest = rest[starts[rest] < ends_W[rest]]
    return hashes_W


def _lanes_at(lanes: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Up to 8 bytes from each start, never beyond its end, as numbers."""
    places, shifts = starts >> 3, ((starts & 7) << 3).astype(np.uint64)
    low, high = lanes[places] >> shifts, lanes[places + 1] << (np.uint64(64) - shifts)  # a shift by 64 gives 0
    return (low | high) & MASKS[np.minimum(ends - starts, LANE)]
