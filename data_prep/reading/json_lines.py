"""JSON lines: a document a line, from a range of a plain file or a whole compressed one.

A slice has the lines that begin in its range, so any way to cut a file gives each line once. A line beyond the limit is skipped
in small pieces and never held.
"""

import json
from collections.abc import Iterator
from io import BufferedReader

from data_prep.document import Document
from data_prep.reading.bad import Bad, InputError, Reason
from data_prep.reading.files import SliceFile
from data_prep.reading.records import MAX_RECORD_BYTES, decode_text, document_of_record
from data_prep.reading.source import SourceConfig
from data_prep.reading.streams import open_expanded

MAX_JSON_PARTS = 4 << 20
"""Brackets and commas of a line. An empty list of three bytes takes 80 in memory: a line of such lists, 25 times its size."""


def read_json_lines(file: SliceFile, config: SourceConfig, *, start: int, stop: int) -> Iterator[Document | Bad]:
    """The documents of the lines that begin from byte `start` to before `stop` (0: the end); blank lines are none."""
    is_cut = stop > 0
    with open_expanded(file, config) as stream:
        for number, (offset, line) in enumerate(lines_of(stream, start=start, stop=stop), start=1):
            name = f"{file.name}@{offset}" if is_cut else f"{file.name}:{number}"
            if line is None:
                yield Bad(name, Reason.too_long_line, f"more than {MAX_RECORD_BYTES} bytes")
            elif (outcome := _document_of_line(line, config, name=name)) is not None:
                yield outcome


def lines_of(stream: BufferedReader, *, start: int = 0, stop: int = 0) -> Iterator[tuple[int, bytes | None]]:
    """Offset and bytes of each line that begins in a range; None instead of the bytes of one that is too long."""
    position = start
    if start:
        stream.seek(start - 1)
        position += _skip_line(stream, most=stop - start + 1 if stop else 0) - 1
    while not stop or position < stop:
        line = stream.readline(MAX_RECORD_BYTES + 1)
        if not line:
            return
        begin, position = position, position + len(line)
        if len(line) <= MAX_RECORD_BYTES:
            yield begin, line
            continue
        if not line.endswith(b"\n"):
            del line  # 64 MiB
            position += _skip_line(stream, most=max(stop - position, 1) if stop else 0)
        yield begin, None


def _skip_line(stream: BufferedReader, *, most: int) -> int:
    """Bytes read up to the end of the line, of the file, or of the range: no more than about `most` (0: any number)."""
    count = 0
    while not most or count < most:
        ahead = stream.peek()
        end = ahead.find(b"\n") + 1
        count += len(stream.read(end or len(ahead)))
        if end or not ahead:
            break
    return count


def _document_of_line(line: bytes, config: SourceConfig, *, name: str) -> Document | Bad | None:
    try:
        text = decode_text(line, config.encoding)
        if not text or text.isspace():
            return None
        if len(line) > MAX_JSON_PARTS and sum(map(line.count, (b"[", b"{", b","))) > MAX_JSON_PARTS:
            return Bad(name, Reason.deep_json, f"more than {MAX_JSON_PARTS} brackets and commas")
        record = json.loads(text)
    except InputError as error:
        return Bad(name, error.reason, error.detail)
    except RecursionError:
        return Bad(name, Reason.deep_json, "nested too deeply")
    except ValueError as error:
        return Bad(name, Reason.not_json, str(error))
    if not isinstance(record, dict):
        return Bad(name, Reason.not_json, f"{type(record).__name__} instead of an object")
    return document_of_record(record, config, name=name)
