"""Texts of files for `mai1 tokenizer`: JSON lines hold a text each, any other UTF-8 file is one text."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_TEXT_BYTES = 256 << 20
"""Longest file that is one text, and longest line."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A text and where it is from."""

    text: str
    source: str
    """The file; in a directory the entry of it that the file is or lies in."""

    language: str
    """What the record says under `language`; empty where it says nothing."""


def read_samples(inputs: list[str], *, text_field: str) -> Iterator[Sample]:
    """The texts of files and directories in the order of their names; ValueError names what cannot be read."""
    for name in inputs:
        root = Path(name).expanduser()
        if not root.exists():
            raise ValueError(f"input={name} must be a file or directory that exists: check the path")
        found = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
        for path in (path for path in found if path == root or not _is_hidden(path, root)):
            source = str(path) if path == root else str(root / path.relative_to(root).parts[0])
            yield from _read(path, source, text_field)


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _read(path: Path, source: str, text_field: str) -> Iterator[Sample]:
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        yield from _read_lines(path, source, text_field)
        return
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise ValueError(f"{path} has more than the {MAX_TEXT_BYTES} bytes of one text: split it or use JSON lines")
    yield Sample(_decode(path.read_bytes(), str(path)), source, "")


def _read_lines(path: Path, source: str, text_field: str) -> Iterator[Sample]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_TEXT_BYTES + 1), b""), start=1):
                if len(line) > MAX_TEXT_BYTES:
                    raise ValueError(f"{path}:{number} has more than {MAX_TEXT_BYTES} bytes: split the text")
                if line.strip():
                    yield _sample_of(_decode(line, f"{path}:{number}"), f"{path}:{number}", source, text_field)
    except (EOFError, OSError) as error:
        raise ValueError(f"{path} must be a complete file ({error}): fetch or write it again") from None


def _sample_of(line: str, where: str, source: str, text_field: str) -> Sample:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} must be one JSON object a line ({error}): correct the line") from None
    text = record.get(text_field) if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise ValueError(f"{where} must be an object with text in {text_field!r}: set text_field to its name")
    language = record.get("language")
    return Sample(text, source, language if isinstance(language, str) else "")


def _decode(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where} must be UTF-8, but is not at byte {error.start}: convert it or leave it out"
        ) from None
