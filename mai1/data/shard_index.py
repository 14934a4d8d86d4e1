"""A shard's index, NAME.idx: where its documents begin, checked in blocks and read when it is asked for.

Nothing of it stays in memory: a corpus of a trillion tokens has hundreds of millions of documents, and a node many ranks.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

MAGIC = b"MMIDIDX\x00\x00"
HEADER = struct.Struct("<9sQBQQ")
DTYPES = {1: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}
"""Megatron's dtype codes; 6 and 7 are floats, which no token shard holds."""
BLOCK = 2**20
"""Numbers read at a time."""
RESTORE = "restore the file or run `mai1 prepare` again"


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """What an index says in all; its parts are checked to fit each other."""

    path: Path
    dtype: np.dtype
    """What an id is on disk."""
    num_sequences: int
    num_documents: int
    num_tokens: int

    @classmethod
    def open(cls, path: Path) -> "ShardIndex":
        """Check the whole file; ValueError names it, the broken rule and the mend."""
        if not path.is_file():
            raise ValueError(
                f"{path} must be a shard's index: name a shard without its ending, as `mai1 prepare` wrote it"
            )
        size = path.stat().st_size
        with open(path, "rb") as file:
            header = file.read(HEADER.size)
            if len(header) < HEADER.size or not header.startswith(MAGIC):
                raise ValueError(f"{path} must begin with the Megatron index magic: {RESTORE}")
            _, version, code, num_sequences, num_marks = HEADER.unpack(header)
            if version != 1:
                raise ValueError(f"{path} has index version {version}, but must have 1: {RESTORE}")
            if code not in DTYPES:
                raise ValueError(f"{path} has dtype code {code}, but must have one of {sorted(DTYPES)}: {RESTORE}")
            expected = HEADER.size + 12 * num_sequences + 8 * num_marks  # Python integers: no overflow
            if size != expected:
                raise ValueError(f"{path} has {size} bytes, but its header claims {expected}: {RESTORE}")
            dtype = np.dtype(DTYPES[code])
            num_tokens = _check_sequences(file, path, num_sequences, dtype.itemsize)
            _check_marks(file, path, num_sequences, num_marks)
        return cls(path, dtype, num_sequences, num_marks - 1, num_tokens)

    def bounds(self) -> np.ndarray:
        """Where each document begins among the shard's ids, and where the last one ends: int64 `[num_documents + 1]`.

        Read anew each time: 8 bytes a document, twice that while it is made. ValueError when the file is not as it was.
        """
        ends, bounds = np.zeros(self.num_sequences + 1, np.int64), np.empty(self.num_documents + 1, np.int64)
        try:
            with open(self.path, "rb") as file:
                _read_into(ends[1:], file, HEADER.size, "<i4")
                np.cumsum(ends, out=ends)
                _read_into(bounds, file, HEADER.size + 12 * self.num_sequences, "<i8")
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.path} cannot be read ({error}): {RESTORE}") from error
        for start in range(0, len(bounds), BLOCK):  # from numbers of sequences to places among the ids
            block = bounds[start : start + BLOCK]
            if block.min() < 0 or block.max() > self.num_sequences:
                raise ValueError(f"{self.path} is not as it was when it was opened: {RESTORE}")
            block[:] = ends[block]
        if bounds[0] != 0 or bounds[-1] != self.num_tokens:
            raise ValueError(f"{self.path} is not as it was when it was opened: {RESTORE}")
        return bounds


def _check_sequences(file: BinaryIO, path: Path, num_sequences: int, itemsize: int) -> int:
    """Lengths and the offsets that follow from them; returns how many ids there are."""
    num_tokens, offsets = 0, _blocks(file, HEADER.size + 4 * num_sequences, num_sequences, "<i8")
    for lengths in _blocks(file, HEADER.size, num_sequences, "<i4"):
        ends = np.cumsum(lengths, dtype=np.int64) + num_tokens
        if int(lengths.min()) < 0:
            raise ValueError(f"{path} has a negative sequence length: {RESTORE}")
        if not np.array_equal(next(offsets), (ends - lengths) * itemsize):
            raise ValueError(f"{path} has offsets that do not follow from its lengths: {RESTORE}")
        num_tokens = int(ends[-1])
    return num_tokens


def _check_marks(file: BinaryIO, path: Path, num_sequences: int, num_marks: int) -> None:
    last, is_rising = 0, num_marks > 0
    for number, marks in enumerate(_blocks(file, HEADER.size + 12 * num_sequences, num_marks, "<i8")):
        is_rising &= bool(marks[0] >= last and not np.any(marks[1:] < marks[:-1]) and (number or marks[0] == 0))
        last = int(marks[-1])
    if not is_rising or last != num_sequences:
        raise ValueError(f"{path} has document marks that do not rise from 0 to {num_sequences}: {RESTORE}")


def _blocks(file: BinaryIO, place: int, count: int, dtype: str) -> Iterator[np.ndarray]:
    """`count` numbers from byte `place` on, as they stand in the file; others may read from it in between."""
    for start in range(0, count, BLOCK):
        size = np.dtype(dtype).itemsize
        file.seek(place + start * size)
        num_bytes = min(BLOCK, count - start) * size
        block = np.frombuffer(file.read(num_bytes), dtype=dtype)
        if block.nbytes != num_bytes:
            raise ValueError(f"{file.name} ends before byte {place + start * size + num_bytes}: {RESTORE}")
        yield block


def _read_into(array: np.ndarray, file: BinaryIO, place: int, dtype: str) -> None:
    start = 0
    for block in _blocks(file, place, len(array), dtype):
        array[start : start + len(block)] = block
        start += len(block)
