"""Web archives: the pages of WARC files and the texts of WET files, record by record.

Requests, metadata and revisits are no documents. A response that is no HTML page is dropped, with what it was. What servers
compressed or sent in chunks is undone here, because the library gives up a whole archive for one broken body.
"""

import contextlib
import io
import zlib
from collections.abc import Iterator

from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from data_prep.document import Document, Dropped
from data_prep.reading.bad import Bad, InputError, Reason, bad_of_error, is_panic
from data_prep.reading.files import SliceFile
from data_prep.reading.pages import CHARSET, MAX_PAGE_BYTES
from data_prep.reading.records import MAX_RECORD_BYTES, decode_text
from data_prep.reading.source import SourceConfig
from data_prep.reading.streams import open_expanded

PAGE_TYPES = ("text/html", "application/xhtml+xml")
DOCUMENT_RECORDS = WarcRecordType.response | WarcRecordType.conversion
URL_HEADER, PAYLOAD_TYPE_HEADER = "WARC-Target-URI", "WARC-Identified-Payload-Type"
GZIP_MAGIC = b"\x1f\x8b"


def read_archive(file: SliceFile, config: SourceConfig) -> Iterator[Document | Dropped | Bad]:
    """The documents of an archive, named by where their records begin in the decompressed file."""
    with open_expanded(file, config) as stream:
        records = ArchiveIterator(
            _Forward(stream), record_types=DOCUMENT_RECORDS, parse_http=False, stream_detect=False
        )
        while (record := _next_record(records)) is not None:
            yield _outcome(record, name=f"{file.name}@{record.stream_pos}")


class _Forward:
    """A stream that is only read forwards, with as much of the interface of files as the library asks for."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream, self._position = stream, 0

    def read(self, size: int) -> bytes:
        data = self._stream.read1(size)  # as `read`, but what stands before a broken place is not lost with it
        self._position += len(data)
        return data

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if (offset, whence) not in ((self._position, io.SEEK_SET), (0, io.SEEK_CUR)):
            raise io.UnsupportedOperation("seek")
        return self._position


def _next_record(records: ArchiveIterator) -> WarcRecord | None:
    with _library_errors():
        return next(records, None)


@contextlib.contextmanager
def _library_errors() -> Iterator[None]:
    """What the library says of broken records is an OSError without a number, or the panic of its Rust."""
    try:
        yield
    except BaseException as error:
        if is_panic(error) or (isinstance(error, OSError) and error.errno is None):
            raise InputError(Reason.broken_warc, str(error)) from error
        raise


def _outcome(record: WarcRecord, *, name: str) -> Document | Dropped | Bad:
    try:
        with _library_errors():
            is_page = record.record_type == WarcRecordType.response
            url = record.headers.get(URL_HEADER) or ""
            return _page(record, name, url) if is_page else Document(_text(record), name, url=url)
    except (InputError, zlib.error) as error:
        return bad_of_error(name, error)


def _text(record: WarcRecord) -> str:
    return decode_text(_content(record, most=MAX_RECORD_BYTES))


def _page(record: WarcRecord, name: str, url: str) -> Document | Dropped:
    record.parse_http()
    media_type = (record.http_content_type or record.headers.get(PAYLOAD_TYPE_HEADER) or "no type").lower()
    status = record.http_headers.status_code if record.http_headers else None
    if status != 200 or media_type not in PAGE_TYPES:
        return Dropped(
            Document("", name, url=url), Reason.not_html, f"status {status}, {' '.join(media_type.split())[:80]}"
        )
    headers = {key.lower(): value.strip().lower() for key, value in record.http_headers.items()}
    body = _content(record, most=MAX_PAGE_BYTES)
    if headers.get("transfer-encoding") == "chunked":
        body = _without_chunks(body)
    body = _decompressed(body, headers.get("content-encoding", ""))
    return Document(
        "", name, url=url, markup=body, labels={CHARSET: record.http_charset} if record.http_charset else {}
    )


def _content(record: WarcRecord, *, most: int) -> bytes:
    """The rest of a record. InputError when it is too large, or cut off."""
    if record.content_length > most:
        raise InputError(Reason.too_large, f"{record.content_length} bytes, more than {most}")
    body = record.reader.read(most)
    if len(body) < record.content_length:
        raise InputError(Reason.truncated, f"{len(body)} of {record.content_length} bytes")
    return body


def _without_chunks(body: bytes) -> bytes:
    """A body sent in chunks (RFC 9112, section 7.1); the body as it is where it is not, as some archives store it."""
    parts, place = [], 0
    while True:
        line, found, _ = body[place : place + 100].partition(b"\r\n")
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            return body
        place += len(line) + len(found)
        if not found or size < 0 or place + size > len(body):
            return body
        if size == 0:
            return b"".join(parts)
        parts.append(body[place : place + size])
        place += size + 2


def _decompressed(body: bytes, coding: str) -> bytes:
    """A body without its content coding; one that only claims to be compressed as it is. InputError when it is too large."""
    if coding in ("gzip", "x-gzip"):
        return _inflated(body, zlib.MAX_WBITS | 16) if body.startswith(GZIP_MAGIC) else body
    if coding == "deflate":
        is_zlib = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
        return _inflated(body, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
    if coding in ("", "identity", "none"):
        return body
    raise InputError(Reason.unreadable, f"content encoding {coding[:40]!r} is not known")


def _inflated(body: bytes, window_bits: int) -> bytes:
    expanded = zlib.decompressobj(window_bits).decompress(body, MAX_PAGE_BYTES + 1)
    if len(expanded) > MAX_PAGE_BYTES:
        raise InputError(Reason.bomb, f"{len(body)} bytes expand to more than {MAX_PAGE_BYTES}")
    return expanded
