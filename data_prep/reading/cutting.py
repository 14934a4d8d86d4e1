"""Files into slices: small ones are grouped, large ones cut where their format can be entered in the middle."""

import itertools
from collections.abc import Iterator

import pyarrow.parquet

from data_prep.reading.files import SliceFile
from data_prep.reading.formats import COMPRESSIONS, SliceKind, expanded_bytes, text_bytes
from data_prep.reading.slices import Slice
from data_prep.reading.source import SourceConfig
from data_prep.reading.streams import open_stored
from data_prep.reading.tables import PYARROW_ERRORS

MAX_FILES_PER_SLICE = 4096
KindAndFile = tuple[SliceKind, SliceFile]


def slices_of_files(
    files: list[KindAndFile], config: SourceConfig, *, slice_bytes: int, is_shuffled: bool
) -> Iterator[Slice]:
    """The slices of files, in their order."""
    for is_large, run in itertools.groupby(files, key=lambda entry: _size(entry) > slice_bytes):
        if is_large:
            for kind, file in run:
                yield from _cut(kind, file, config, slice_bytes=slice_bytes, is_shuffled=is_shuffled)
        else:
            yield from grouped(list(run), slice_bytes=slice_bytes, is_shuffled=is_shuffled)


def grouped(files: list[KindAndFile], *, slice_bytes: int, is_shuffled: bool) -> Iterator[Slice]:
    """Slices of whole files, as many as fit, and always of one kind."""
    for kind, run in itertools.groupby(files, key=lambda entry: entry[0]):
        group: list[SliceFile] = []
        size = 0
        for entry in run:
            if group and (size + _size(entry) > slice_bytes or len(group) == MAX_FILES_PER_SLICE):
                yield _whole(kind, group, size, is_shuffled=is_shuffled)
                group, size = [], 0
            group.append(entry[1])
            size += _size(entry)
        yield _whole(kind, group, size, is_shuffled=is_shuffled)


def _size(entry: KindAndFile) -> int:
    """About how many bytes a file has before compression."""
    return expanded_bytes(entry[1].path, entry[1].size)


def _whole(kind: SliceKind, files: list[SliceFile], size: int, *, is_shuffled: bool) -> Slice:
    return Slice(kind=kind, files=tuple(files), num_bytes=text_bytes(kind, size), is_shuffled=is_shuffled)


def _cut(
    kind: SliceKind, file: SliceFile, config: SourceConfig, *, slice_bytes: int, is_shuffled: bool
) -> Iterator[Slice]:
    """The slices of one large file: one, where it cannot be entered in the middle."""
    spans: list[tuple[int, int, int]] = []
    if kind is SliceKind.jsonl and not file.path.lower().endswith(COMPRESSIONS):
        spans = _byte_spans(file.size, slice_bytes)
    elif kind is SliceKind.parquet:
        spans = _row_group_spans(file, config, slice_bytes)
    if len(spans) < 2:
        yield _whole(kind, [file], _size((kind, file)), is_shuffled=is_shuffled)
        return
    for start, stop, num_bytes in spans:
        yield Slice(kind=kind, files=(file,), start=start, stop=stop, num_bytes=num_bytes, is_shuffled=is_shuffled)


def _byte_spans(size: int, most: int) -> list[tuple[int, int, int]]:
    """Start, stop and size of equal parts of at most `most` bytes."""
    number = -(-size // most)
    cuts = [size * place // number for place in range(number + 1)]
    return [(start, stop, stop - start) for start, stop in itertools.pairwise(cuts)]


def _row_group_spans(file: SliceFile, config: SourceConfig, most: int) -> list[tuple[int, int, int]]:
    """First, last + 1 and bytes of text of runs of row groups of about `most` bytes; none when the file cannot be opened."""
    try:
        with open_stored(file, config) as stored:
            metadata = pyarrow.parquet.ParquetFile(stored).metadata
    except PYARROW_ERRORS:
        return []  # said by the reader of the slice
    spans, first, num_bytes = [], 0, 0
    for group in range(metadata.num_row_groups):
        size = _text_bytes(metadata.row_group(group), config.text_field)
        if group > first and num_bytes + size > most:
            spans.append((first, group, num_bytes))
            first, num_bytes = group, 0
        num_bytes += size
    return [*spans, (first, metadata.num_row_groups, num_bytes)]


def _text_bytes(group: pyarrow.parquet.RowGroupMetaData, text_field: str) -> int:
    chunks = map(group.column, range(group.num_columns))
    return sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema == text_field)
