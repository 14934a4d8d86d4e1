"""Bytes of a file as they were before compression, in bounded memory and only so many as its size lets expect."""

import io
import zlib

import zstandard

from data_prep.reading.bad import InputError, Reason
from data_prep.reading.files import SliceFile, open_local
from data_prep.reading.remote import is_url, open_remote
from data_prep.reading.source import SourceConfig

MAX_EXPANSION = 200
EXPANSION_GRACE_BYTES = 64 << 20
"""What is expanded beyond this many bytes and beyond MAX_EXPANSION times its compressed size is a bomb. Text expands about 4
times, logs 50; DEFLATE reaches 1032, Zstandard 10,000 and more."""

MAX_ZSTD_WINDOW_BYTES = 1 << 27
GZIP_BYTES = 1 << 16
ZSTD_BYTES = 1 << 10
"""Compressed bytes expanded at once: at most about 44 MB come of them."""


def open_stored(file: SliceFile, config: SourceConfig) -> io.BufferedReader:
    """The bytes of a file as they are stored."""
    return open_remote(file, url=config.path) if is_url(config.path) else open_local(file)


def open_expanded(file: SliceFile, config: SourceConfig) -> io.BufferedReader:
    """The bytes of a file, decompressed where its name ends in .gz or .zst; InputError while reading when it is a bomb."""
    stored = open_stored(file, config)
    name = file.path.lower()
    if name.endswith(".gz"):
        return io.BufferedReader(_Expanded(stored, _GzipMembers(stored)), buffer_size=1 << 18)
    if name.endswith(".zst"):
        return io.BufferedReader(_Expanded(stored, _ZstdFrames(stored)), buffer_size=1 << 18)
    return stored


def check_expansion(num_expanded: int, num_stored: int) -> None:
    """InputError when so many bytes cannot have come of so few."""
    if num_expanded > EXPANSION_GRACE_BYTES and num_expanded > MAX_EXPANSION * num_stored:
        raise InputError(
            Reason.bomb, f"{num_stored} bytes expand to {num_expanded} or more, beyond {MAX_EXPANSION} times their size"
        )


class _Expanded(io.RawIOBase):
    """Decompressed bytes, counted against those that they came of."""

    def __init__(self, stored: io.BufferedReader, expanded: io.RawIOBase) -> None:
        self._stored, self._expanded, self._count = stored, expanded, 0

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._stored.close()
        super().close()

    def readinto(self, buffer: memoryview) -> int:
        count = self._expanded.readinto(buffer)
        self._count += count
        if self._count > EXPANSION_GRACE_BYTES:
            check_expansion(self._count, self._stored.tell())
        return count


class _GzipMembers(io.RawIOBase):
    """Gzip members as one stream that, unlike Python's own reader, gives all that stands before the place where it breaks."""

    def __init__(self, stored: io.BufferedReader) -> None:
        self._stored, self._data = stored, b""
        self._member: zlib._Decompress | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while True:
            self._data = self._data or self._stored.read(GZIP_BYTES)
            is_end = not self._data
            if self._member is None:
                self._data = self._data.lstrip(b"\x00")  # some writers pad with zeros
                if is_end:
                    return 0
                if not self._data:
                    continue
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            expanded = self._member.decompress(self._data, len(buffer))  # also at the end: some may wait inside
            self._data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if is_end and not expanded and not self._member.eof:
                raise EOFError("it ends in the middle of a member")
            self._member = None if self._member.eof else self._member
            if expanded:
                buffer[: len(expanded)] = expanded
                return len(expanded)


class _ZstdFrames(io.RawIOBase):
    """Zstandard frames as one stream that, unlike the library's own reader, notices when the last one is cut off."""

    def __init__(self, stored: io.BufferedReader) -> None:
        self._stored = stored
        self._frame = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES).decompressobj()
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while not self._ready and self._fill():
            pass
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _fill(self) -> bool:
        """Decompress a little more; False at the end of the last frame."""
        data = self._frame.unused_data if self._frame.eof else b""
        data = data or self._stored.read(ZSTD_BYTES)
        if self._frame.eof:
            if not data:
                return False
            self._frame = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES).decompressobj()
        if not data:
            raise EOFError("it ends in the middle of a frame")
        self._ready = memoryview(self._frame.decompress(data))
        return True
