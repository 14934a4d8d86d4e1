"""Kept documents on their way from reading to tokenizing: a file of length-prefixed UTF-8 texts, read once or twice."""

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

LENGTH = struct.Struct("<Q")


class SpoolWriter:
    """Appends texts to a spool."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "wb")  # noqa: SIM115 (closed in __exit__)

    def __enter__(self) -> "SpoolWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, data: bytes) -> None:
        """Append one text, already UTF-8."""
        self._file.write(LENGTH.pack(len(data)) + data)


def read_spool(path: Path) -> Iterator[str]:
    """The texts in the order they were added."""
    with open(path, "rb") as file:
        while prefix := file.read(LENGTH.size):
            yield file.read(LENGTH.unpack(prefix)[0]).decode()
