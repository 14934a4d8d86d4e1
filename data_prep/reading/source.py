"""Where text comes from: one config per source."""

import codecs
from dataclasses import dataclass
from enum import Enum


class SourceFormat(Enum):
    """How the files of a source are read."""

    auto = "auto"
    """By the ending of each file; files with other endings are left out."""

    text = "text"
    """A document a file."""

    html = "html"
    """A page a file."""

    jsonl = "jsonl"
    """A JSON object a line."""

    parquet = "parquet"
    arrow = "arrow"
    """Arrow IPC files and streams, which is also what Feather and `datasets` write."""

    warc = "warc"
    """Web archives: HTML responses of WARC, conversions of WET."""


@dataclass(kw_only=True, slots=True)
class SourceConfig:
    """One source of documents."""

    path: str
    """A file, directory, glob or fsspec URL (`s3://...`); `embedded:docs|docstrings|code|prose`; `datasets:NAME`."""

    format: SourceFormat = SourceFormat.auto
    """How files are read where their endings do not tell: then every file that `path` matches is taken."""

    text_field: str = "text"
    """The field of a JSON line, table row or data set row that holds the text."""

    name_field: str = ""
    """The field that names a record; empty, or absent from a record: file and line."""

    url_field: str = ""
    """The field with the address that a record came from; empty: none."""

    language_field: str = ""
    """The field with the ISO 639 code of the text's language, taken as certain; empty: none."""

    encoding: str = ""
    """How text and JSON lines are encoded; empty: UTF-8, and UTF-16 or UTF-32 where a text begins with its mark."""

    max_bytes: int = 0
    """Most UTF-8 bytes of text taken from this source, an even sample of its documents; 0: no limit."""

    split: str = "train"
    """The split of a `datasets:` source."""

    subset: str = ""
    """The configuration of a `datasets:` source; empty: its only one."""

    data_files: str = ""
    """Files for a `datasets:` builder such as json or parquet; empty: what the data set names itself."""

    licence: str = ""
    """Under which terms the text may be used, for the data card."""

    origin: str = ""
    """Who wrote or collected the text and where it was found, for the data card."""

    def __post_init__(self) -> None:
        key = "sources.*"
        if not self.path:
            raise ValueError(f"{key}.path='' must name a file, directory, glob, URL, embedded: or datasets:")
        if not self.text_field:
            raise ValueError(f"{key}.text_field='' must name the field with the text: use text")
        if self.max_bytes < 0:
            raise ValueError(f"{key}.max_bytes={self.max_bytes} must be at least 0: use 0 for no limit")
        if self.encoding and not _is_text_encoding(self.encoding):
            raise ValueError(f"{key}.encoding={self.encoding} must be an encoding that Python knows, such as cp1252")


def _is_text_encoding(name: str) -> bool:
    try:
        return bool(codecs.lookup(name)) and isinstance("a".encode(name), bytes)
    except (LookupError, UnicodeError):
        return False
