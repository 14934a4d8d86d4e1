"""Tables: Parquet by row groups, and Arrow files and streams; a document a row.

Only the columns that are asked for are decompressed, a page or a batch at a time. What a column says of its own size is compared
with what is stored of it before anything is expanded, so a small file cannot fill the memory.
"""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow
import pyarrow.ipc
import pyarrow.parquet

from data_prep.document import Document
from data_prep.reading.bad import Bad, InputError, Reason, bad_of_error
from data_prep.reading.files import SliceFile
from data_prep.reading.records import MAX_RECORD_BYTES, absent_field, document_of_record, side_fields
from data_prep.reading.source import SourceConfig
from data_prep.reading.streams import check_expansion, open_stored

MAX_ROWS_AT_ONCE = 256
BATCH_BYTES = 128 << 20
PAGE_BUFFER_BYTES = 1 << 20

TEXT_TYPES = (pyarrow.string(), pyarrow.large_string(), pyarrow.string_view(), pyarrow.null())
AS_BYTES = {
    pyarrow.string(): pyarrow.binary(),
    pyarrow.large_string(): pyarrow.large_binary(),
    pyarrow.string_view(): pyarrow.binary_view(),
}
ARROW_MAGIC = b"ARROW1\x00\x00"
FRAME_MAGICS = (0x184D2204, 0xFD2FB528)
"""How LZ4 and Zstandard frames begin, as little-endian numbers."""

PYARROW_ERRORS = (InputError, pyarrow.ArrowException, OSError, UnicodeDecodeError, MemoryError)
"""What pyarrow raises for broken files: its own classes, and Python's. MemoryError is for lengths that no memory has."""


def read_parquet(file: SliceFile, config: SourceConfig, *, start: int, stop: int) -> Iterator[Document | Bad]:
    """The rows of row groups `start` to before `stop` (0: all), each a document. A broken row group ends only itself."""
    with open_stored(file, config) as stored:
        try:
            table = pyarrow.parquet.ParquetFile(stored, buffer_size=PAGE_BUFFER_BYTES, pre_buffer=False)
            metadata, columns = table.metadata, _columns(table.schema_arrow, config)
        except PYARROW_ERRORS as error:
            yield _broken(file.name, error, Reason.broken_parquet)
            return
        row = sum(metadata.row_group(group).num_rows for group in range(start))
        for group in range(start, stop or metadata.num_row_groups):
            try:
                batches, num_stored = _row_group(table, group, columns)
                yield from _documents(batches, config, name=file.name, row=row, num_stored=num_stored)
            except PYARROW_ERRORS as error:
                yield _broken(f"{file.name} row group {group}", error, Reason.broken_parquet)
            row += metadata.row_group(group).num_rows


def read_arrow(file: SliceFile, config: SourceConfig) -> Iterator[Document | Bad]:
    """The rows of an Arrow IPC file or stream; what stands before a broken batch is read."""
    with open_stored(file, config) as stored:
        try:
            yield from _documents(_arrow_batches(stored, config), config, name=file.name, row=0, num_stored=file.size)
        except PYARROW_ERRORS as error:
            yield _broken(file.name, error, Reason.broken_arrow)


def _row_group(
    table: pyarrow.parquet.ParquetFile, group: int, columns: list[str]
) -> tuple[Iterator[pyarrow.RecordBatch], int]:
    """Batches of one row group, and the bytes they are stored in. InputError when a column expands like no text does.

    One text of a page may stand for every row, so a batch has no more rows than may each be as large as the whole column.
    """
    metadata = table.metadata.row_group(group)
    chunks = [chunk for chunk in map(metadata.column, range(metadata.num_columns)) if chunk.path_in_schema in columns]
    for chunk in chunks:
        check_expansion(chunk.total_uncompressed_size, chunk.total_compressed_size)
    largest = max(1, *(chunk.total_uncompressed_size for chunk in chunks))
    num_rows = min(max(BATCH_BYTES // largest, 1), MAX_ROWS_AT_ONCE)
    batches = table.iter_batches(num_rows, row_groups=[group], columns=columns, use_threads=False)
    return batches, sum(chunk.total_compressed_size for chunk in chunks)


def _arrow_batches(stored: BinaryIO, config: SourceConfig) -> Iterator[pyarrow.RecordBatch]:
    """Batches of a file or stream up to the first that expands like no text does, and then an InputError."""
    first = len(ARROW_MAGIC) if stored.read(len(ARROW_MAGIC)) == ARROW_MAGIC else 0
    num_good, bomb = _count_good_batches(
        stored, first
    )  # after its magic, a file is a stream with a table of contents behind it
    stored.seek(first)
    schema = pyarrow.ipc.open_stream(stored).schema
    indices = [schema.get_field_index(column) for column in _columns(schema, config)]
    stored.seek(first)
    reader = pyarrow.ipc.open_stream(
        stored, options=pyarrow.ipc.IpcReadOptions(included_fields=indices, use_threads=False)
    )
    for batch in reader if bomb is None else (reader.read_next_batch() for _ in range(num_good)):
        for column in batch.columns:
            _check_offsets(column)
        yield batch
    if bomb is not None:
        raise bomb


def _count_good_batches(stored: BinaryIO, first: int) -> tuple[int, InputError | None]:
    """How many batches stand before the first message whose compressed buffers expand too far, and what to say of it."""
    stored.seek(first)
    count = 0
    try:
        messages = pyarrow.ipc.MessageReader.open_stream(stored)
        while True:
            message = messages.read_next_message()
            if message.body is not None:
                check_expansion(_expanded_bytes(message.body), message.body.size)
            count += message.type == "record batch"
    except InputError as error:
        return count, error
    except (StopIteration, *PYARROW_ERRORS):
        return count, None  # said when the batches are read


def _check_offsets(column: pyarrow.Array) -> None:
    """ArrowInvalid when places in a column lead out of its memory, which Arrow believes. Texts are decoded one by one."""
    column = column.view(AS_BYTES[column.type]) if column.type in AS_BYTES else column
    column.validate(full=True)


def _expanded_bytes(body: pyarrow.Buffer) -> int:
    """What the compressed buffers of a message say they expand to, in the eight bytes before each aligned frame."""
    words = np.frombuffer(body, dtype="<u4", count=body.size // 8 * 2).reshape(-1, 2)
    frames = np.flatnonzero(np.isin(words[1:, 0], FRAME_MAGICS))
    return int(words[frames].view("<i8").clip(0, 1 << 40).sum()) if len(frames) else 0


def _columns(schema: pyarrow.Schema, config: SourceConfig) -> list[str]:
    """The columns to read. InputError when there is no text among them."""
    if config.text_field not in schema.names:
        raise InputError(Reason.no_field, absent_field(config.text_field, schema.names))
    kind = schema.field(config.text_field).type
    if (kind.value_type if pyarrow.types.is_dictionary(kind) else kind) not in TEXT_TYPES:
        raise InputError(Reason.no_field, f"column {config.text_field!r} holds {kind} and no text")
    wanted = {config.text_field, *side_fields(config)}
    return [name for name in schema.names if name in wanted]


def _documents(
    batches: Iterator[pyarrow.RecordBatch], config: SourceConfig, *, name: str, row: int, num_stored: int
) -> Iterator[Document | Bad]:
    """A document a row, numbered from `row` + 1. InputError when they hold more text than so many stored bytes can."""
    num_characters = 0
    for batch in batches:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for place in range(batch.num_rows):
            row += 1
            values = {field: column[place] for field, column in columns.items()}
            outcome = _document_of_row(values, config, name=f"{name} row {row}")
            num_characters += len(outcome.text) if isinstance(outcome, Document) else 0
            check_expansion(num_characters, num_stored)
            yield outcome
        del batch, columns, values  # the next batch is made before the names are bound anew


def _document_of_row(values: dict[str, pyarrow.Scalar], config: SourceConfig, *, name: str) -> Document | Bad:
    try:
        record = {field: value.as_py() for field, value in values.items()}
    except UnicodeDecodeError as error:
        return Bad(name, Reason.not_utf8, " ".join(str(error).split()))
    if len(record[config.text_field] or "") > MAX_RECORD_BYTES:
        return Bad(name, Reason.too_large, f"more than {MAX_RECORD_BYTES} characters")
    return document_of_record(record, config, name=name)


def _broken(name: str, error: Exception, reason: Reason) -> Bad:
    """What pyarrow says in its own classes; some of its errors are also ValueErrors or OSErrors."""
    if isinstance(error, InputError):
        return bad_of_error(name, error)
    return Bad(name, reason, " ".join(str(error).split()))
