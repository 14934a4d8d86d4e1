"""One document as the rules see it: words, lines and paragraphs, each made at the first question and kept for the others.

Shape letters: W words of the document, V different words, G n-grams.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from enum import Enum
from functools import cached_property, lru_cache

import numpy as np

SPACE = re.compile(r"\s")
PARAGRAPH_BREAK = re.compile(r"\n\s*\n")
CHUNK_CHARACTERS = 1 << 20
"""Long texts are taken apart in pieces of this size, so their words never stand in memory all at once."""

LETTER, DIGIT, WHITE = 1, 2, 4
MULTIPLIERS = np.random.Generator(np.random.PCG64(20200711)).integers(0, 1 << 64, size=64, dtype=np.uint64) | np.uint64(
    1
)
"""One odd number for each place in an n-gram. PCG64 gives the same ones everywhere."""


class Unit(Enum):
    """What a language's text is counted in."""

    words = "words"
    characters = "characters"


class TextView:
    """The parts of one text. A line is what stands between line breaks, without white space around it; blank ones are none.

    With `Unit.characters`, for languages written without spaces, letters and digits take the place of words, and
    `characters_per_word` of them count as one.
    """

    def __init__(self, text: str, *, unit: Unit = Unit.words, characters_per_word: float = 1.0) -> None:
        self.text = text
        self.unit = unit
        self.characters_per_word = characters_per_word if unit is Unit.characters else 1.0
        self.repeated_characters: list[tuple[int, int]] = []
        """For sizes of n-grams, how many characters stand in repeated ones: found out once, used by larger sizes."""

    @cached_property
    def lines(self) -> list[str]:
        return [line for line in map(str.strip, self.text.splitlines()) if line]

    @cached_property
    def paragraphs(self) -> list[str]:
        """What blank lines separate."""
        return [part for part in map(str.strip, PARAGRAPH_BREAK.split(self.text)) if part]

    @cached_property
    def line_starts(self) -> str:
        """The first character of every line."""
        return "".join([line[0] for line in self.lines])

    @cached_property
    def line_ends(self) -> str:
        """The last character of every line."""
        return "".join([line[-1] for line in self.lines])

    @cached_property
    def character_counts(self) -> tuple[int, int, int]:
        """Letters, digits, and characters that are not white space, of any script (`str.isalpha`, `isdigit`, `isspace`)."""
        letters = digits = spaces = 0
        for start in range(0, len(self.text), CHUNK_CHARACTERS):
            chunk = self.text[start : start + CHUNK_CHARACTERS]
            if chunk.isascii():
                found = np.bincount(np.frombuffer(chunk.encode("ascii"), np.uint8), minlength=128) @ _ascii_classes()
                letters, digits, spaces = letters + int(found[0]), digits + int(found[1]), spaces + int(found[2])
            else:
                codes = np.frombuffer(chunk.encode("utf-32-le", "surrogatepass"), np.uint32)
                found = np.bincount(_character_classes()[codes], minlength=8)
                letters, digits, spaces = letters + int(found[1]), digits + int(found[2]), spaces + int(found[4])
        return letters, digits, len(self.text) - spaces

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Every different word and its number, in order of first appearance."""
        return self._numbered[0]

    @cached_property
    def words_W(self) -> np.ndarray:
        """The text as numbers of words, uint64."""
        return self._numbered[1]

    @cached_property
    def _numbered(self) -> tuple[dict[str, int], np.ndarray]:
        vocabulary: defaultdict[str, int] = defaultdict()
        vocabulary.default_factory = vocabulary.__len__
        parts = [
            np.fromiter(map(vocabulary.__getitem__, words), np.uint64, count=len(words))
            for words in _words_of(self.text, self.unit)
        ]
        return vocabulary, parts[0] if len(parts) == 1 else np.concatenate([*parts, np.empty(0, np.uint64)])

    @cached_property
    def counts_V(self) -> np.ndarray:
        """How often each word stands in the text."""
        return np.bincount(self.words_W.view(np.int64), minlength=len(self.vocabulary))

    @cached_property
    def lengths_V(self) -> np.ndarray:
        """Characters of each word."""
        return np.fromiter(map(len, self.vocabulary), np.int64, count=len(self.vocabulary))

    @cached_property
    def has_letter_V(self) -> np.ndarray:
        """Whether a word has a letter."""
        return np.array([word[0].isalpha() or any(map(str.isalpha, word)) for word in self.vocabulary], bool)

    @cached_property
    def is_symbol_V(self) -> np.ndarray:
        """Whether a word has neither letter nor digit."""
        return np.array([not (word[0].isalnum() or any(map(str.isalnum, word))) for word in self.vocabulary], bool)

    @cached_property
    def offsets_W(self) -> np.ndarray:
        """Characters of all words before each word, and of all words at the end: W + 1 numbers."""
        return np.concatenate([np.zeros(1, np.int64), self.lengths_V[self.words_W.view(np.int64)].cumsum()])

    def ngrams(self, n: int) -> np.ndarray:
        """A 64-bit hash of the n-gram that begins at each word but the last n - 1, uint64 [G].

        The sum of word numbers times one odd random number for each place (multilinear hashing): of a million n-grams,
        two different ones have the same hash with a probability of about 1e-6.
        """
        num = max(len(self.words_W) - n + 1, 0)
        hashes_G = self.words_W[:num] * MULTIPLIERS[0]
        for place in range(1, n):
            hashes_G += self.words_W[place : place + num] * MULTIPLIERS[place]
        return hashes_G


def _words_of(text: str, unit: Unit) -> Iterator[list[str]]:
    start = 0
    while start < len(text):
        end = len(text)
        if end - start > CHUNK_CHARACTERS and (space := SPACE.search(text, start + CHUNK_CHARACTERS)):
            end = space.start()
        part = text[start:end]
        yield part.split() if unit is Unit.words else [character for character in part if character.isalnum()]
        start = end


@lru_cache(maxsize=1)
def _ascii_classes() -> np.ndarray:
    """[128, 3]: letter, digit, white space."""
    return np.array([(c.isalpha(), c.isdigit(), c.isspace()) for c in map(chr, range(128))], np.int64)


@lru_cache(maxsize=1)
def _character_classes() -> np.ndarray:
    """LETTER, DIGIT, WHITE or 0 of every code point; no character is two of them."""
    return np.array(
        [LETTER * c.isalpha() + DIGIT * c.isdigit() + WHITE * c.isspace() for c in map(chr, range(0x110000))], np.uint8
    )
