"""Example sets that scorers are trained on: one text a line, as JSON lines with a `text` or as plain text."""

import gzip
import hashlib
import heapq
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

MAX_LINE_BYTES = 16 * 2**20


def examples_of(path: Path, *, key: str) -> Iterator[str]:
    """The texts of a .jsonl or .txt file, also packed as .gz; `key` names the setting in errors."""
    path = path.expanduser()
    plain = path.name.removesuffix(".gz")
    if not plain.endswith((".jsonl", ".txt")):
        raise ValueError(f"{key}={path} must be a .jsonl or .txt file with one text a line, or such a file as .gz")
    if not path.is_file():
        raise ValueError(f"{key}={path} must be a file that exists: check the path")
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(MAX_LINE_BYTES + 1), b""), start=1):
                text = _text_of(line, is_json=plain.endswith(".jsonl"), place=f"{key}={path}, line {number}")
                if text.strip():
                    yield text
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{key}={path} cannot be unpacked: {error}") from error


def choose_examples(path: Path, *, key: str, at_most: int, characters: int) -> list[str]:
    """The beginnings of at most so many examples, chosen and ordered by a hash of the text."""
    beginnings = (text[:characters] for text in examples_of(path, key=key))
    hashed = ((hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest(), text) for text in beginnings)
    chosen = [text for _, text in heapq.nsmallest(at_most, hashed)]
    if not chosen:
        raise ValueError(f"{key}={path} must hold at least one text")
    return chosen


def _text_of(line: bytes, *, is_json: bool, place: str) -> str:
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"{place} must be at most 16 MiB long: cut long examples")
    if not line.strip() or not is_json:
        return line.decode("utf-8", "replace")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place} must be JSON: {error}") from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise ValueError(f'{place} must be an object with a string "text"')
    return row["text"]
