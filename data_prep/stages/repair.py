"""Repairs a document's text before anything looks at it: control characters, line ends, and on demand its encoding.

With `mojibake=keep` and `normalization=none` nothing else changes than control characters, halves of surrogate pairs, line
ends and blank lines around the text.
"""

import dataclasses
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import ftfy
from ftfy.badness import is_bad

from data_prep.document import Document

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff]")
"""Control characters and byte order marks; tab, newline and carriage return are text."""

SURROGATES = re.compile("[\ud800-\udfff]")
"""Halves of pairs that JSON escapes can smuggle in; they are no valid Unicode."""

CARRIAGE_RETURNS = re.compile("\r\n?")


class Newlines(Enum):
    """What becomes of line ends."""

    unix = "unix"
    keep = "keep"


class Mojibake(Enum):
    """What becomes of text that was decoded with the wrong encoding."""

    keep = "keep"
    repair = "repair"


class Normalization(Enum):
    """In which Unicode form the text leaves."""

    none = "none"
    nfc = "nfc"


@dataclass(kw_only=True, slots=True)
class RepairConfig:
    """What is repaired besides control characters and halves of surrogate pairs, which no text keeps."""

    newlines: Newlines = Newlines.unix
    """unix: CRLF and CR become LF; keep: as written."""

    mojibake: Mojibake = Mojibake.keep
    """repair: lines that ftfy recognises as decoded wrongly (`schÃ¶n`) are decoded again; keep: as written."""

    normalization: Normalization = Normalization.none
    """nfc: characters and their accents are composed (Unicode annex 15); none: as written."""


class RepairStage:
    """Gives every document back with its text repaired and counts what was changed; drops none."""

    name = "repair"

    def __init__(self, config: RepairConfig) -> None:
        self.config = config

    def __call__(self, documents: list[Document]) -> list[Document]:
        return [self._repair(document) for document in documents]

    def _repair(self, document: Document) -> Document:
        text, edits = repair(document.text, self.config)
        if text == document.text:
            return document
        return dataclasses.replace(document, text=text, edits=document.edits | edits)


def repair(text: str, config: RepairConfig) -> tuple[str, dict[str, int]]:
    """The text repaired, and how many changes of each kind were made; blank lines around it go uncounted."""
    edits = dict.fromkeys(("mojibake_lines", "control_characters", "surrogates", "line_ends", "composed_lines"), 0)
    if config.mojibake is Mojibake.repair and not text.isascii():
        text, edits["mojibake_lines"] = _map_lines(text, _decode_again)
    text, edits["control_characters"] = CONTROL.subn("", text)
    if not text.isascii():
        text, edits["surrogates"] = SURROGATES.subn("\ufffd", text)
    if config.newlines is Newlines.unix and "\r" in text:
        text, edits["line_ends"] = CARRIAGE_RETURNS.subn("\n", text)
    if config.normalization is Normalization.nfc and not unicodedata.is_normalized("NFC", text):
        text, edits["composed_lines"] = _map_lines(text, _compose)
    text = text.strip("\n") + "\n" if text and not text.isspace() else ""
    return text, {f"repair.{kind}": number for kind, number in edits.items() if number}


def _map_lines(text: str, change: Callable[[str], str]) -> tuple[str, int]:
    """Every line changed, and how many came out different; a line ends at LF alone, for NEL may be half of a character."""
    before = text.split("\n")
    after = [line if line.isascii() else change(line) for line in before]
    return "\n".join(after), sum(map(str.__ne__, before, after))


def _decode_again(line: str) -> str:
    """What ftfy makes of a line; one that does not look wrong stays as it is, which its own check says much sooner."""
    return ftfy.fix_encoding(line) if is_bad(line) else line


def _compose(line: str) -> str:
    return unicodedata.normalize("NFC", line)
