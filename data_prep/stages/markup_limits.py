"""Pages that would hold up a parser for minutes: nested thousands deep, or with thousands of attributes in one tag.

Both make the work of parsers and extractors grow with the square of the page. What is measured here is an estimate, in a few
passes of numpy; where that is too large it is made again without scripts and comments, whose contents are no tags.
"""

import re

import numpy as np

MAX_DEPTH = 2000
MAX_SUM_OF_DEPTHS = 50_000_000
"""Of all tags. Finding the main content takes some 30 ns for each of these: the slowest page takes a few seconds."""

MAX_ATTRIBUTES = 4000
SCRIPTS = re.compile(rb"<(script|style)\b.*?(?:</\1|\Z)|<!--.*?(?:-->|\Z)", re.DOTALL | re.IGNORECASE)
TAG_NAME_BYTES = 4
NEVER_NESTED = (
    *(
        "area",
        "base",
        "body",
        "br",
        "col",
        "dd",
        "dt",
        "embe",
        "head",
        "hr",
        "html",
        "img",
        "inpu",
        "li",
        "link",
        "meta",
    ),
    *("opti", "p", "para", "rp", "rt", "sour", "tbod", "td", "tfoo", "th", "thea", "tr", "trac", "wbr"),
)
"""Beginnings of elements that have no content, or that the next of their kind ends."""

NOT_COUNTED = [0, *(int.from_bytes(name.encode(), "little") for name in NEVER_NESTED)]
LOWER = np.array([ord(chr(byte).lower()) if byte < 128 and chr(byte).isalnum() else 0 for byte in range(256)])
"""Letters and digits of ASCII, in lower case; 0 for all other bytes."""


def fault_of_markup(markup: bytes) -> str:
    """Why a page in an encoding that contains ASCII should not be parsed; empty when it may be."""
    fault = _fault(markup)
    return _fault(SCRIPTS.sub(b"", markup)) if fault else ""


def _fault(markup: bytes) -> str:
    data = np.frombuffer(markup + b"\x00" * (TAG_NAME_BYTES + 1), dtype=np.uint8)
    if most := _longest_tag(markup, data):
        return f"a tag with {most} attributes, at most {MAX_ATTRIBUTES}"
    depths = _depths(data)
    if len(depths) and depths.max() > MAX_DEPTH:
        return f"elements nested {depths.max()} deep, at most {MAX_DEPTH}"
    if (total := int(depths.sum())) > MAX_SUM_OF_DEPTHS:
        return f"depths of all tags add up to {total}, at most {MAX_SUM_OF_DEPTHS}"
    return ""


def _longest_tag(markup: bytes, data: np.ndarray) -> int:
    """Words between the `<` of a tag and the next `>` where they are too many; 0 where no tag has that many."""
    ends = np.concatenate([[-1], np.flatnonzero(data == ord(">")), [len(markup)]])
    for place in np.flatnonzero(np.diff(ends) > 2 * MAX_ATTRIBUTES):
        _, found, tag = markup[ends[place] + 1 : ends[place + 1]].partition(b"<")
        if found and tag[:1].isalpha() and (words := len(tag.split())) > MAX_ATTRIBUTES:
            return words
    return 0


def _depths(data: np.ndarray) -> np.ndarray:
    """How many elements are open at each tag, where an end tag closes only an element of its own name."""
    places = np.flatnonzero(data[: -TAG_NAME_BYTES - 1] == ord("<"))
    is_end = data[places + 1] == ord("/")
    names = _names(data, places + 1 + is_end)
    is_counted = ~np.isin(names, NOT_COUNTED)
    names, steps = names[is_counted], np.where(is_end[is_counted], -1, 1)
    order = np.argsort(names, kind="stable")
    is_first = np.diff(names[order], prepend=0) != 0
    # lowered so far with each new name that none of the names before counts in the running minimum
    levels = np.cumsum(steps[order] - is_first * (2 * len(names) + 2))
    opened = levels - np.minimum.accumulate(np.minimum(levels, levels - is_first * steps[order]))
    changes = np.empty_like(opened)
    changes[order] = opened - np.where(is_first, 0, np.roll(opened, 1))
    return np.cumsum(changes)


def _names(data: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The first letters and digits at each place, in lower case, packed into a number; 0 where there is no letter."""
    names = np.zeros(len(places), dtype=np.int64)
    is_inside = np.ones(len(places), dtype=bool)
    for number in range(TAG_NAME_BYTES):
        letters = LOWER[data[places + number]]
        is_inside &= (letters >= ord("a")) if number == 0 else (letters > 0)
        names += np.where(is_inside, letters, 0) << (8 * number)
    return names
