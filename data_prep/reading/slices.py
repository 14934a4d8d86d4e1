"""Slices: parts of a source of about equal size, and how the documents of one are read.

A slice is plain data. Whatever is broken in it is yielded as `Bad` in its place, and reading goes on after it; memory is
bounded by a record, not by a file. What is left out on purpose (links out of a directory, images of a web archive) is `Dropped`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from data_prep.document import Document, Dropped
from data_prep.reading.bad import READ_ERRORS, Bad, Reason, bad_of_error
from data_prep.reading.data_sets import read_data_set
from data_prep.reading.embedded_text import read_embedded
from data_prep.reading.files import SliceFile
from data_prep.reading.formats import SliceKind
from data_prep.reading.json_lines import read_json_lines
from data_prep.reading.pages import read_page, read_text
from data_prep.reading.source import SourceConfig
from data_prep.reading.tables import read_arrow, read_parquet

REFUSALS = {
    Reason.outside_link: "it is a link out of the directory that was named: name its target as a source",
    Reason.unreadable: "it is no file that may be read: a pipe, a device, a loop of links, or without the right to read",
    Reason.vanished: "it is a link to nothing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of a source that one task reads; goes to JSON and back as it is."""

    kind: SliceKind
    files: tuple[SliceFile, ...] = ()
    """What is read, in this order; none for a data set."""

    start: int = 0
    stop: int = 0
    """Bytes of JSON lines, row groups of Parquet, rows or shards of a data set, from start to before stop; 0: everything."""

    num_bytes: int
    """About how many bytes of text it holds; only progress and the choice of what to read depend on it."""

    is_shuffled: bool = False
    """Whether the source's slices come in a hashed order, so that the first few are an even sample."""

    settings: str = ""
    """What else the input is known by: the settings and the fingerprint of a data set."""

    @property
    def identity(self) -> list[str]:
        """Lines that change when the input does: name, size and time of change or checksum of each file."""
        place = f" {self.start}:{self.stop}" if self.stop else ""
        files = [f"{file.name}{place} {file.size} {file.version}".rstrip() for file in self.files]
        return files or [f"{self.settings}{place}"]


def _read_archive(file: SliceFile, config: SourceConfig) -> Iterator[Document | Dropped | Bad]:
    from data_prep.reading.archives import read_archive  # needs fastwarc: only for sources that have web archives

    yield from read_archive(file, config)


Reader = Callable[[Slice, SliceFile, SourceConfig], Iterator[Document | Dropped | Bad]]
READERS: dict[SliceKind, Reader] = {
    SliceKind.text: lambda piece, file, config: read_text(file, config),
    SliceKind.html: lambda piece, file, config: read_page(file, config),
    SliceKind.jsonl: lambda piece, file, config: read_json_lines(file, config, start=piece.start, stop=piece.stop),
    SliceKind.parquet: lambda piece, file, config: read_parquet(file, config, start=piece.start, stop=piece.stop),
    SliceKind.arrow: lambda piece, file, config: read_arrow(file, config),
    SliceKind.warc: lambda piece, file, config: _read_archive(file, config),
    SliceKind.embedded: lambda piece, file, config: read_embedded(file, config),
}


def read_slice(piece: Slice, config: SourceConfig) -> Iterator[Document | Dropped | Bad]:
    """The documents of a slice in their order, with what cannot be read between them; nothing in a file raises."""
    if piece.kind is SliceKind.data_set:
        yield from read_data_set(config, start=piece.start, stop=piece.stop)
    for file in piece.files:
        if file.refusal == Reason.outside_link:
            yield Dropped(Document("", file.name), file.refusal, REFUSALS[Reason.outside_link])
        elif file.refusal:
            yield Bad(file.name, file.refusal, REFUSALS[Reason(file.refusal)])
        else:
            yield from _read_file(piece, file, config)


def _read_file(piece: Slice, file: SliceFile, config: SourceConfig) -> Iterator[Document | Dropped | Bad]:
    try:
        yield from READERS[piece.kind](piece, file, config)
    except READ_ERRORS as error:
        yield bad_of_error(file.name, error)
