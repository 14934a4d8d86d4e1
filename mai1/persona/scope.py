"""What surrounds a claim in an answer: its sentence, quotation marks, code, block quotes, and lines of a script.

Everything here is one pass over the text, whatever the text is.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, field

SENTENCE_END = re.compile(r"[.!?\u2026](?=[\s\"'\u201d\u2019\u00bb)\]*]|$)|[\u3002\uff01\uff1f]|\n")
MARKS = re.compile("```|`|[\"\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019\u300c\u300d\u300e\u300f']|\n")
CLOSERS = {
    "```": ("```",),
    "`": ("`",),
    '"': ('"',),
    "\u201c": ("\u201d",),
    "\u201e": ("\u201c", "\u201d"),
    "\u00ab": ("\u00bb",),
    "\u00bb": ("\u00ab",),
    "\u2018": ("\u2019",),
    "'": ("'",),
    "\u300c": ("\u300d",),
    "\u300e": ("\u300f",),
}
"""Opening marks and what ends them."""

WITHIN_LINE = ('"', "`", "'", "\u2018")
"""Marks that say nothing when the line ends before they are closed: inches, apostrophes."""

BLOCK_QUOTE = re.compile(r"^[ \t]{0,8}>.*$", re.MULTILINE)
SPEAKER = re.compile(
    r"^[ \t]{0,8}[*_]{0,2}([A-Z][\w.'-]{0,24}(?: [A-Z][\w.'-]{0,24}){0,2})[*_]{0,2}:[*_]{0,2} .*$", re.MULTILINE
)
MIN_SPEAKERS = 2
REACH = 500
"""Characters of a sentence on either side of a claim that are looked at."""


@dataclass(slots=True)
class Scope:
    """An answer's sentences and the spans that are not its own words."""

    text: str
    sentence_starts: list[int] = field(default_factory=list)
    foreign: list[tuple[int, int]] = field(default_factory=list)
    """Spans that are quoted, code, or said by somebody else, in order and without overlaps."""

    @classmethod
    def of(cls, text: str) -> "Scope":
        """Read it off a text."""
        starts = [0] + [found.end() for found in SENTENCE_END.finditer(text)]
        return cls(text, starts, _merged([*_quoted(text), *_block_quotes(text), *_script_lines(text)]))

    def sentence(self, place: int) -> tuple[int, int]:
        """The sentence around a place: start and end, its end mark included, blanks around it left out.

        Of an endless one, what stands within REACH of the place.
        """
        number = bisect_right(self.sentence_starts, place) - 1
        start = self.sentence_starts[number]
        end = self.sentence_starts[number + 1] if number + 1 < len(self.sentence_starts) else len(self.text)
        start, end = max(start, place - REACH), min(end, place + REACH)
        piece = self.text[start:end]
        return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())

    def is_foreign(self, place: int) -> bool:
        """Whether a place is inside of what somebody else says."""
        number = bisect_right(self.foreign, (place, len(self.text) + 1)) - 1
        return number >= 0 and place < self.foreign[number][1]


def _quoted(text: str) -> list[tuple[int, int]]:
    """Spans between marks of quotation and code; a mark that is never closed in its paragraph quotes nothing."""
    spans, opener, start, last_newline = [], "", 0, -2
    for found in MARKS.finditer(text):
        mark, place = found.group(), found.start()
        if mark == "\n":
            ends_paragraph = last_newline == place - 1
            if opener and opener != "```" and (ends_paragraph or opener in WITHIN_LINE):
                opener = ""
            last_newline = place
        elif opener:
            if mark in CLOSERS[opener] and not (mark in "'\u2019" and text[place + 1 : place + 2].isalnum()):
                spans.append((start, found.end()))
                opener = ""
        elif mark in CLOSERS and not (mark in "'\u2018" and text[place - 1 : place].isalnum() and place > 0):
            opener, start = mark, place
    if opener == "```":
        spans.append((start, len(text)))
    return spans


def _block_quotes(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in BLOCK_QUOTE.finditer(text)] if ">" in text else []


def _script_lines(text: str) -> list[tuple[int, int]]:
    """Lines of two or more speakers."""
    found = list(SPEAKER.finditer(text)) if ":" in text else []
    return [each.span() for each in found] if len({each.group(1) for each in found}) >= MIN_SPEAKERS else []


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
