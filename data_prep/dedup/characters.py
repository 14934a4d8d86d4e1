"""What each character is to the search for copies: part of a word, a word by itself, or nothing; and its plain form."""

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np

NOTHING, IN_WORD, ALONE, MARK = range(4)
"""A separator; a letter or digit; a character of a script without spaces; an accent, read as if it were not there."""

NUM_CODES = 0x110000
ACCENTS = range(0x0300, 0x0370)
WITHOUT_SPACES = (
    *(range(0x0E00, 0x0F00), range(0x1000, 0x10A0), range(0x1780, 0x1800)),  # Thai and Lao, Burmese, Khmer
    *(range(0x3040, 0x3100), range(0x31F0, 0x3200)),  # Kana
    *(range(0x3400, 0x4DC0), range(0x4E00, 0xA000), range(0xF900, 0xFB00), range(0x20000, 0x323B0)),  # Han
)
LARGE = (range(0x3400, 0x4DC0), range(0x4E00, 0xA000), range(0xAC00, 0xD7A4), range(0x20000, 0x323B0))
"""Whole blocks of letters without lower case or accents (Han, Hangul): filled at once, for speed."""

MANY = (range(0x3400), range(0xA000, 0xAC00), range(0xF900, 0x20000))
"""The blocks that are asked one by one; private use, surrogates and what Unicode does not assign stay `NOTHING`."""

PLAIN_ASCII = bytes(ord(chr(code).lower()) if chr(code).isalnum() and code < 128 else 0 for code in range(256))
"""ASCII letters and digits in lower case, everything else 0: a table for `bytes.translate`."""


@dataclass(frozen=True, slots=True)
class Characters:
    """Tables by code point."""

    kinds: np.ndarray
    """uint8 [0x110000]: NOTHING, IN_WORD, ALONE or MARK."""

    plain: np.ndarray
    """uint32 [0x110000]: the character in lower case and without accents; 0 for NOTHING."""


@cache
def characters() -> Characters:
    """The tables, made once a process (0.1 s) from Python's own Unicode data."""
    kinds, plain = np.zeros(NUM_CODES, np.uint8), np.zeros(NUM_CODES, np.uint32)
    for block in LARGE:
        kinds[block.start : block.stop] = IN_WORD
        plain[block.start : block.stop] = np.arange(block.start, block.stop)
    for code in (code for block in MANY for code in block):
        character = chr(code)
        if character.isalnum() or unicodedata.category(character)[0] == "M":
            kinds[code], plain[code] = IN_WORD, _plain(character)
    for block in WITHOUT_SPACES:
        part = kinds[block.start : block.stop]
        part[part == IN_WORD] = ALONE
    kinds[ACCENTS.start : ACCENTS.stop] = MARK
    return Characters(kinds, plain)


def _plain(character: str) -> int:
    """Lower case, one character for one; a letter with accents loses them."""
    base, *rest = unicodedata.normalize("NFD", character)
    if all(ord(mark) in ACCENTS for mark in rest):
        character = base
    lower = character.lower()
    return ord(lower[0])
