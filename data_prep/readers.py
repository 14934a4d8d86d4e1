"""Documents from files: text, JSON lines and Parquet, plain or compressed; nothing in a file is ever executed.

Every broken input is a ValueError of one line that names the file, what is wrong and what to do.
"""

import glob
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow
import pyarrow.parquet
import zstandard

from data_prep.sources import Document, SourceConfig
from data_prep.splitting import uniform
from data_prep.workers import Workers

TEXT_ENDINGS = (".txt", ".md", ".rst")
RECORD_ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
MAX_TEXT_BYTES = 256 << 20
"""A text file is one document and is read whole."""

MAX_LINE_BYTES = 64 << 20
ZSTD_BYTES = 1 << 10
"""Compressed bytes expanded at once: at most about 44 MB come of them."""

EXPANSION = {".gz": 4, ".zst": 4, ".parquet": 3}
"""About how many bytes of text a compressed byte holds; for estimates only."""


@dataclass(slots=True)
class FileSource:
    """All documents of one or more files."""

    files: list[Path]
    text_field: str
    is_shuffled: bool
    estimated_bytes: int

    @classmethod
    def find(cls, name: str, config: SourceConfig, *, seed: int) -> "FileSource":
        """Resolve a file, directory or glob; ValueError when nothing is there or nothing can be read."""
        files = _find_files(f"prepare.sources.{name}.path={config.path}", config.path)
        is_shuffled = len(files) > 1 and all(path.name.lower().endswith(TEXT_ENDINGS) for path in files)
        if is_shuffled:
            files.sort(key=lambda path: uniform(str(path.name).encode(), seed=seed, purpose="order"))
        estimate = sum(path.stat().st_size * EXPANSION.get(path.suffix.lower(), 1) for path in files)
        return cls(files, config.text_field, is_shuffled, estimate)

    def identity(self) -> list[str]:
        """Path, size and time of change of every file."""
        return [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns} {self.text_field}" for path in self.files]

    def documents(self, workers: Workers) -> Iterator[Document]:
        """Documents file by file; reading is not worth more than one process."""
        for path in self.files:
            yield from read_file(path, text_field=self.text_field)


def read_file(path: Path, *, text_field: str) -> Iterator[Document]:
    """The documents of one file, by its ending."""
    name = path.name.lower()
    if name.endswith(TEXT_ENDINGS):
        yield Document(_read_text(path), str(path))
    elif name.endswith(".parquet"):
        yield from _read_parquet(path, text_field)
    else:
        yield from _read_json_lines(path, text_field)


def _find_files(key: str, pattern: str) -> list[Path]:
    endings = TEXT_ENDINGS + RECORD_ENDINGS
    path = Path(pattern).expanduser()
    if path.is_file():
        if not path.name.lower().endswith(endings):
            raise ValueError(f"{key} must end in one of {' '.join(endings)}: rename or convert it")
        if path.stat().st_size == 0:
            raise ValueError(f"{key} must not be empty: name a file with text")
        return [path]
    found = path.rglob("*") if path.is_dir() else map(Path, glob.glob(str(path), recursive=True))
    files = sorted(f for f in found if f.is_file() and f.name.lower().endswith(endings) and not _is_hidden(f, path))
    if not files:
        what = "a directory with" if path.is_dir() else "an existing file, directory or glob that matches"
        raise ValueError(f"{key} must be {what} files ending in {' '.join(endings)}: check the path")
    return files


def _is_hidden(file: Path, root: Path) -> bool:
    parts = file.relative_to(root).parts if root.is_dir() else (file.name,)
    return any(part.startswith(".") for part in parts)


def _read_text(path: Path) -> str:
    size = path.stat().st_size
    if size > MAX_TEXT_BYTES:
        raise ValueError(f"{path} has {size} bytes, but one text may have {MAX_TEXT_BYTES}: split it or use JSON lines")
    data = path.read_bytes()
    if b"\x00" in data:
        raise ValueError(f"{path} must be text, but has a NUL byte at offset {data.index(0)}: remove or convert it")
    return _decode(data, where=str(path), offset=0)


def _decode(data: bytes, *, where: str, offset: int) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where} must be UTF-8, but byte {offset + error.start} is 0x{data[error.start]:02x}: convert it"
        ) from error


def _read_json_lines(path: Path, text_field: str) -> Iterator[Document]:
    offset = 0
    try:
        with _open_bytes(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), start=1):
                where = f"{path}:{number}"
                if len(line) > MAX_LINE_BYTES:
                    raise ValueError(f"{where} must have at most {MAX_LINE_BYTES} bytes: split the document")
                text = _decode(line, where=where, offset=offset)
                offset += len(line)
                if text.strip():
                    yield Document(_text_of_line(text, text_field, where=where), where)
    except (EOFError, OSError, zlib.error, zstandard.ZstdError) as error:
        kind = path.suffix[1:]
        raise ValueError(f"{path} must be a complete {kind} file ({error}): fetch or write it again") from error


def _text_of_line(line: str, text_field: str, *, where: str) -> str:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} must be one JSON object a line ({error}): correct the line") from error
    if not isinstance(record, dict):
        raise ValueError(f"{where} must be a JSON object, but is {type(record).__name__}: correct the line")
    return text_of_record(record, text_field, where=where)


def text_of_record(record: dict, text_field: str, *, where: str) -> str:
    """The text of one record; an absent value counts as empty, an absent field is an error."""
    if text_field not in record:
        raise ValueError(_no_field(where, text_field, list(record)))
    value = record[text_field]
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{where} must have text in {text_field!r}, but has {type(value).__name__}: set text_field")
    return value or ""


def _read_parquet(path: Path, text_field: str) -> Iterator[Document]:
    row = 0
    try:
        schema = pyarrow.parquet.read_schema(path)
        if text_field not in schema.names:
            raise ValueError(_no_field(str(path), text_field, schema.names))
        # kept as a dictionary: one long text that a thousand rows name is in memory once
        is_text = schema.field(text_field).type in (pyarrow.string(), pyarrow.large_string())
        with pyarrow.parquet.ParquetFile(path, read_dictionary=[text_field] if is_text else None) as file:
            for batch in file.iter_batches(batch_size=256, columns=[text_field]):
                for value in batch.column(0):
                    row += 1
                    where = f"{path} row {row}"
                    yield Document(_text_of_value(value, text_field, where=where), where)
    except (pyarrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} must be a complete Parquet file ({reason}): fetch or write it again") from error


def _text_of_value(value: pyarrow.Scalar, text_field: str, *, where: str) -> str:
    try:
        record = {text_field: value.as_py()}
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} must be UTF-8 ({error}): convert it") from error
    text = text_of_record(record, text_field, where=where)
    if len(text) > MAX_LINE_BYTES:
        raise ValueError(f"{where} must have at most {MAX_LINE_BYTES} characters: split the document")
    return text


def _open_bytes(path: Path) -> io.BufferedIOBase:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rb")
    if path.name.lower().endswith(".zst"):
        return io.BufferedReader(_ZstdFile(path), buffer_size=1 << 20)
    return open(path, "rb")


class _ZstdFile(io.RawIOBase):
    """Zstandard frames as one stream that, unlike the library's own reader, notices when the last one is cut off."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 (closed in close)
        self._frame = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

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
        data = data or self._file.read(ZSTD_BYTES)
        if self._frame.eof:
            if not data:
                return False
            self._frame = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
        if not data:
            raise EOFError("it ends in the middle of a frame")
        self._ready = memoryview(self._frame.decompress(data))
        return True


def _no_field(where: str, text_field: str, names: list[str]) -> str:
    present = ", ".join(repr(str(name)) for name in names[:20]) or "none"
    return f"{where} must have the field {text_field!r}, but has {present}: set text_field to one of them"
