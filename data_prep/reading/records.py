"""From a record (a JSON object, a row of a table or data set) and from plain bytes to a document, or to what is wrong."""

import codecs
import re

from data_prep.document import Document
from data_prep.reading.bad import Bad, InputError, Reason
from data_prep.reading.source import SourceConfig

MAX_TEXT_BYTES = 256 << 20
"""A text file is one document and is read whole."""

MAX_RECORD_BYTES = 64 << 20
"""A line of JSON, with its line end; and the characters of one field of a table."""

REPLACED_SURROGATES = "input.surrogates"
SURROGATE = re.compile("[\ud800-\udfff]")
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks; that of UTF-32 begins like that of UTF-16, so it stands before it."""


def document_of_record(record: dict, config: SourceConfig, *, name: str) -> Document | Bad:
    """The document of a record; an absent value counts as empty text, an absent field is bad.

    Unpaired surrogates, which JSON can write and UTF-8 cannot, become U+FFFD and are counted as an edit.
    """
    if config.text_field not in record:
        return Bad(name, Reason.no_field, absent_field(config.text_field, list(record)))
    text = record[config.text_field]
    if text is not None and not isinstance(text, str):
        return Bad(name, Reason.no_field, f"field {config.text_field!r} holds {type(text).__name__} and no text")
    text, num_replaced = SURROGATE.subn("\ufffd", text or "")
    language = _side_field(record, config.language_field)
    return Document(
        text,
        _side_field(record, config.name_field) or name,
        url=_side_field(record, config.url_field),
        language=language,
        language_score=1.0 if language else 0.0,
        edits={REPLACED_SURROGATES: num_replaced} if num_replaced else {},
    )


def side_fields(config: SourceConfig) -> list[str]:
    """The fields besides the text that a document takes from its record."""
    return [field for field in (config.name_field, config.url_field, config.language_field) if field]


def absent_field(field: str, names: list[str]) -> str:
    """What to say where a field should be."""
    present = ", ".join(repr(str(name)[:40]) for name in names[:20]) or "none"
    return f"no field {field!r}, but {present}"


def decode_text(data: bytes, encoding: str = "") -> str:
    """Text of bytes: UTF-8, UTF-16 or UTF-32 with a mark, or the encoding that is given. InputError for anything else."""
    mark, known = next(((mark, name) for mark, name in MARKS if not encoding and data.startswith(mark)), (b"", "utf-8"))
    try:
        text = data[len(mark) :].decode(encoding or known)
    except UnicodeDecodeError as error:
        reason = Reason.wrong_encoding if encoding else Reason.not_utf8
        place = len(mark) + error.start
        if b"\x00" in data and not mark and not encoding:
            raise InputError(Reason.nul, f"NUL at byte {data.index(0)}") from error
        raise InputError(reason, f"byte {place} is 0x{data[place]:02x}, no {encoding or known}") from error
    if "\x00" in text:
        raise InputError(Reason.nul, f"NUL at character {text.index(chr(0))}")
    return text


def _side_field(record: dict, field: str) -> str:
    value = record.get(field) if field else None
    return "" if value is None else SURROGATE.sub("\ufffd", str(value))
