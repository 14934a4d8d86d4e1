"""Where text comes from: one config per source, and what every kind of source offers to the pipeline."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from data_prep.workers import Workers


@dataclass(kw_only=True, slots=True)
class SourceConfig:
    """One source of documents."""

    path: str
    """A file, directory or glob; `embedded:docs|docstrings|code|prose`; `datasets:NAME` (a hub name or local path)."""

    text_field: str = "text"
    """The field of a JSON line, Parquet row or data set row that holds the text."""

    max_bytes: int = 0
    """Most UTF-8 bytes of text taken from this source, an even sample of its documents; 0: no limit."""

    split: str = "train"
    """The split of a `datasets:` source."""

    subset: str = ""
    """The configuration of a `datasets:` source; empty: its only one."""

    data_files: str = ""
    """Files for a `datasets:` builder such as json or parquet; empty: what the data set names itself."""

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("prepare.sources.*.path='' must name a file, directory, glob, embedded: or datasets:")
        if self.max_bytes < 0:
            raise ValueError(f"prepare.sources.*.max_bytes={self.max_bytes} must be at least 0: use 0 for no limit")


@dataclass(slots=True)
class Document:
    """One text and where it came from."""

    text: str
    name: str
    """What a person would look for: path, path:line, or module."""

    family: str = ""
    """Documents of one family are held out together or not at all; empty: each by its content."""


class Source(Protocol):
    """What the pipeline needs to know about a source."""

    estimated_bytes: int
    """A guess at the UTF-8 bytes of text; only the order of sources and the disk check depend on it."""

    is_shuffled: bool
    """Whether documents come in a hashed order, so that any prefix is an even sample."""

    def identity(self) -> list[str]:
        """Lines that change when the input does."""

    def documents(self, workers: Workers) -> Iterator[Document]:
        """All documents, always in the same order."""
