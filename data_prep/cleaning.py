"""What is done to a document's text before anything looks at it; everything else stays as it was written."""

import re
from enum import Enum

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff]")
"""Control characters and byte order marks; tab, newline and carriage return are text."""

SURROGATES = re.compile("[\ud800-\udfff]")
"""Halves of pairs that JSON escapes can smuggle in; they are no valid Unicode."""


class Newlines(Enum):
    """What becomes of line ends."""

    unix = "unix"
    keep = "keep"


def clean(text: str, *, newlines: Newlines) -> str:
    """Text without control characters, its line ends as asked for, and without blank lines around it."""
    text = SURROGATES.sub("\ufffd", CONTROL.sub("", text))
    if newlines is Newlines.unix and "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.strip("\n") + "\n" if text.strip() else ""
