"""The answer in what was said: a number, or a text."""

import re
from enum import Enum
from fractions import Fraction

MARK = "####"
"""What stands before the final answer in GSM8K (Cobbe et al. 2021, arXiv 2110.14168)."""
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?|-?\.\d+")
MAX_CHARACTERS = 100_000
"""Of what was said, the end; no number of more digits is one."""
MAX_DIGITS = 100


class Extraction(Enum):
    """What counts as the answer."""

    auto = "auto"
    number = "number"  # the number behind ####, else the last one; 1,000, 1000.0 and 2000/2 are the same
    text = "text"  # everything, without regard to case, white space and a full stop at the end


def extract(said: str, extraction: Extraction) -> str | None:
    """The answer in a form in which equal ones are equal; None where there is none."""
    if extraction is Extraction.text:
        return " ".join(said.casefold().split()).rstrip(".") or None
    return number_in(said)


def number_in(said: str) -> str | None:
    """The number behind the last `####`, else the last number, as a whole number or a fraction in lowest terms."""
    said = said[-MAX_CHARACTERS:]
    _, mark, marked = said.rpartition(MARK)
    found = NUMBER.findall(marked) if mark else []
    chosen = found[0] if found else next(iter(reversed(NUMBER.findall(said))), None)
    if chosen is None or len(chosen) > MAX_DIGITS:
        return None
    whole, slash, below = chosen.replace(",", "").partition("/")
    if slash and not int(below):
        return None
    return str(Fraction(whole) / (int(below) if slash else 1))
