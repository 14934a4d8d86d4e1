"""Reading a run's files while it writes them: a bounded part of each, of plain files alone, and nothing is believed.

A metrics.jsonl may have gigabytes, its last line may be half-written, and what stands in a directory may be anybody's. So the
end is read by seeking, the middle by samples, and what is no record counts as absent.
"""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

SMALL_FILE_BYTES = 2**22
"""Beyond that a file of facts is none of ours."""
BLOCK_BYTES = 2**16
SAMPLED_BYTES = 2**26
"""That all samples of a file together may take: a file without line ends is not searched through."""
CONFIG_BYTES = 2**16


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO | None]:
    """A plain file to read, None where there is none: a pipe would wait for ever, a device never end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        yield None
        return
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        yield None
        return
    with open(descriptor, "rb", buffering=0) as file:
        yield file


def read_small(path: Path, *, max_bytes: int = SMALL_FILE_BYTES) -> bytes:
    """A whole file of facts; empty where it is absent, unreadable or larger than such a file is."""
    with opened(path) as file:
        if file is None or os.fstat(file.fileno()).st_size > max_bytes:
            return b""
        try:
            return file.read(max_bytes)
        except OSError:
            return b""


def parsed(line: bytes) -> dict[str, Any]:
    """A JSON object; empty for anything else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def read_facts(path: Path) -> dict[str, Any]:
    """A file that is one JSON object; empty for anything else."""
    return parsed(read_small(path))


def read_settings(path: Path) -> dict[str, str]:
    """Dotted keys of a run's config.yaml and their values as text: the plain `key: value` lines of two levels, no more.

    Written by this project in exactly this form; nothing is interpreted, so nothing can be smuggled in.
    """
    settings, section = {}, ""
    for line in read_small(path, max_bytes=CONFIG_BYTES).decode(errors="replace").splitlines():
        key, colon, value = line.partition(":")
        if not colon or not key.strip() or key.startswith("   ") or line.lstrip().startswith("-"):
            continue
        if not key.startswith(" "):
            section = key
        elif value.strip():
            settings[f"{section}.{key.strip()}"] = value.strip().strip("'\"")
    return settings


def last_lines(path: Path, *, max_bytes: int) -> list[bytes]:
    """The whole lines among the last so many bytes of a file, in order; a line that is still being written is left out."""
    with opened(path) as file:
        if file is None:
            return []
        size = os.fstat(file.fileno()).st_size
        start = max(0, size - max_bytes)
        lines = _read_at(file, start, size - start).split(b"\n")[:-1]  # after the last newline: nothing, or half a line
    return lines if start == 0 else lines[1:]


def sampled_lines(path: Path, *, num_samples: int) -> list[bytes]:
    """Whole lines from evenly spaced places of a file, in order, each once: the first that begins after each place."""
    with opened(path) as file:
        if file is None:
            return []
        size, longest = os.fstat(file.fileno()).st_size, SAMPLED_BYTES // num_samples
        found = {}
        for place in (size * number // num_samples for number in range(num_samples)):
            start = _line_after(file, place, longest) if place else 0
            if start is not None and start not in found:
                found[start] = _line_at(file, start, longest)
    return [line for _, line in sorted(found.items()) if line]


def _line_after(file: BinaryIO, place: int, longest: int) -> int | None:
    """Where the next line begins; None where none does within the longest that a line may be."""
    for at in range(place, place + longest, BLOCK_BYTES):
        end = _read_at(file, at, BLOCK_BYTES).find(b"\n")
        if end >= 0:
            return at + end + 1
    return None


def _line_at(file: BinaryIO, start: int, longest: int) -> bytes:
    """The line that begins there; empty where it does not end, or is too long for a record."""
    blocks = []
    for at in range(start, start + longest, BLOCK_BYTES):
        head, newline, _ = _read_at(file, at, BLOCK_BYTES).partition(b"\n")
        blocks.append(head)
        if newline:
            return b"".join(blocks)
    return b""


def _read_at(file: BinaryIO, place: int, count: int) -> bytes:
    """So many bytes from a place, fewer at the end of the file or where the disk fails."""
    blocks, left = [], count
    try:
        while left > 0 and (block := os.pread(file.fileno(), left, place + count - left)):
            blocks.append(block)
            left -= len(block)
    except OSError:
        pass
    return b"".join(blocks)
