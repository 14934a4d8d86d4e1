"""What cannot be read: every reason by name, and which error means which."""

import zipfile
import zlib
from dataclasses import dataclass
from enum import StrEnum

import zstandard


class Reason(StrEnum):
    """Why something of the input is no document."""

    not_utf8 = "input.not_utf8"
    """Bytes that are neither UTF-8 nor begin with a byte order mark of UTF-16 or UTF-32."""

    wrong_encoding = "input.wrong_encoding"
    """Bytes that the source's `encoding` does not have."""

    nul = "input.nul"
    """A NUL byte in text or in a JSON line: binary data, or what a crash left of a file."""

    not_json = "input.not_json"
    """A line that is not one JSON object."""

    deep_json = "input.deep_json"
    """JSON nested deeper, or of more parts, than memory should be spent on."""

    too_long_line = "input.too_long_line"
    too_large = "input.too_large"
    """A text, page or field beyond its limit."""

    no_field = "input.no_field"
    """A record without text where the text should be."""

    broken_gzip = "input.broken_gzip"
    broken_zstd = "input.broken_zstd"
    broken_parquet = "input.broken_parquet"
    broken_arrow = "input.broken_arrow"
    broken_warc = "input.broken_warc"
    broken_data_set = "input.broken_data_set"
    truncated = "input.truncated"
    """A compressed file that ends too early."""

    bomb = "input.bomb"
    """Far more data than the size of the file lets expect."""

    vanished = "input.vanished"
    changed = "input.changed"
    """Another size or time of change than when the slices were made."""

    unreadable = "input.unreadable"
    """No right to read it, a failing disk, or no regular file at all."""

    outside_link = "input.outside_link"
    """A link out of the directory that was named; left out on purpose, so it is dropped and not bad."""

    not_html = "input.not_html"
    """A web response that is no page: an image, a script, an error; dropped and not bad."""


@dataclass(frozen=True, slots=True)
class Bad:
    """Something of the input that cannot be read: a record, or the rest of a file."""

    name: str
    """What a person would look for: path, path:line, path@offset."""

    reason: str
    """One of `Reason`, counted and shown under this name."""

    detail: str = ""
    """What is wrong with it, and where."""


class InputError(Exception):
    """Ends one record or one file, never more."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


CAUSES: tuple[tuple[type[Exception], Reason], ...] = (
    (FileNotFoundError, Reason.vanished),
    (NotADirectoryError, Reason.vanished),
    (zlib.error, Reason.broken_gzip),
    (zstandard.ZstdError, Reason.broken_zstd),
    (EOFError, Reason.truncated),
    (zipfile.BadZipFile, Reason.unreadable),
    (OSError, Reason.unreadable),
)
"""The first that fits; what fits none is our own mistake and is not caught."""

READ_ERRORS: tuple[type[Exception], ...] = (InputError, *(kind for kind, _ in CAUSES))


def is_panic(error: BaseException) -> bool:
    """Whether a library in Rust gave up on its input; its exception has no class to import and is no `Exception`."""
    return type(error).__name__ == "PanicException"


def bad_of_error(name: str, error: Exception) -> Bad:
    """What an error of `READ_ERRORS` says about an input."""
    detail = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, InputError):
        return Bad(name, error.reason, detail)
    return Bad(name, next(reason for kind, reason in CAUSES if isinstance(error, kind)), detail)
