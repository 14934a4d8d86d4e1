"""The order of one epoch: which document stands where in the stream, and in which order windows are cut from it.

Both are drawn at random as a whole, so nothing can be worked out for one row alone. A small corpus's order is kept in
memory. A large one's is a file that the first rank to need it writes and all ranks read from, a few numbers a row: what a
rank keeps does not grow with the corpus.
"""

import fcntl
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

BLOCK = 2**20
"""Numbers made at a time."""
MOST_IN_MEMORY = 2**22
"""Numbers, of eight bytes each, that every rank keeps without a file."""
REMOVE = "remove it, then run the same command"


@dataclass(frozen=True, slots=True)
class EpochOrder:
    """Places are counted in ids: of the stream, and of all shards one after the other."""

    begins: Sequence[int]
    """Where each document of the stream begins among the ids of all shards."""
    ends: Sequence[int]
    """Where it ends in the stream."""
    windows: Sequence[int]
    """Which window of the stream each row is."""


@dataclass(frozen=True, slots=True)
class OrderSize:
    """How many numbers an order has."""

    num_documents: int
    num_windows: int

    @property
    def count(self) -> int:
        return 2 * self.num_documents + self.num_windows

    def split(self, numbers: Sequence[int]) -> EpochOrder:
        """An order from its numbers, which stand one after the other."""
        documents = self.num_documents
        return EpochOrder(numbers[:documents], numbers[documents : 2 * documents], numbers[2 * documents :])


def draw_order(bounds: np.ndarray, num_windows: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """An order's numbers, int64 in blocks. `bounds` says where documents begin, and the last one ends, among all ids."""
    documents = _shuffled(len(bounds) - 1, generator)
    yield from (bounds[block] for block in _cut(documents))
    end = 0
    for block in _cut(documents):
        ends = np.cumsum(bounds[block + 1] - bounds[block]) + end
        end = int(ends[-1])
        yield ends
    del documents, bounds
    yield from (block.astype(np.int64) for block in _cut(_shuffled(num_windows, generator)))


def _shuffled(count: int, generator: np.random.Generator) -> np.ndarray:
    """`generator.permutation(count)` in half the memory where that is enough."""
    numbers = np.arange(count, dtype=np.uint32 if count < 2**32 - 1 else np.int64)
    generator.shuffle(numbers)
    return numbers


def _cut(numbers: np.ndarray) -> Iterator[np.ndarray]:
    return (numbers[start : start + BLOCK] for start in range(0, len(numbers), BLOCK))


class StoredNumbers(Sequence):
    """int64 in an open file, read one by one. ValueError names the file when it has shrunk or cannot be read."""

    def __init__(self, file: BinaryIO, numbers: range) -> None:
        self._file, self._numbers = file, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, place: int | slice) -> "int | StoredNumbers":
        if isinstance(place, slice):
            return StoredNumbers(self._file, self._numbers[place])
        try:
            data = os.pread(self._file.fileno(), 8, 8 * self._numbers[place])
        except OSError as error:
            raise ValueError(f"{self._file.name} cannot be read ({error}): {REMOVE}") from error
        if len(data) != 8:
            raise ValueError(f"{self._file.name} is shorter than it was: {REMOVE}")
        return int.from_bytes(data, "little")


def stored_order(path: Path, size: OrderSize, draw: Callable[[], Iterator[np.ndarray]]) -> EpochOrder:
    """The order in the file `path`, which is written first where it is not there. ValueError when that cannot be done.

    Any number of processes may ask for it at once. They wait for the one that writes where the file system has locks; where
    it has none, several write the same content, and each file that appears is whole.
    """
    try:
        if not _is_whole(path, size):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _lock(path.parent / "lock") as is_alone:
                if not _is_whole(path, size):
                    whose = "" if is_alone else f"-{socket.gethostname()}-{os.getpid()}"
                    _write(path, path.with_suffix(f".staged{whose}"), size, draw())
        return size.split(StoredNumbers(open(path, "rb", buffering=0), range(size.count)))  # noqa: SIM115 (held by all parts)
    except OSError as error:
        raise ValueError(f"{path}: the order of the data cannot be kept there ({error}): free some space") from error


def _is_whole(path: Path, size: OrderSize) -> bool:
    return path.is_file() and path.stat().st_size == 8 * size.count


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Alone, unless the file system has no locks. A process that dies lets go."""
    with open(path, "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            is_alone = True
        except OSError:
            is_alone = False
        yield is_alone


def _write(path: Path, staged: Path, size: OrderSize, blocks: Iterator[np.ndarray]) -> None:
    bar = tqdm(desc="order of the data", total=size.count, unit="n", unit_scale=True, delay=2.0, file=sys.stderr)
    with open(staged, "wb") as file, bar:
        for block in blocks:
            file.write(block.astype("<i8", copy=False).tobytes())
            bar.update(len(block))
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, path)
