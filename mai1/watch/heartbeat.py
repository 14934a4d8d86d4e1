"""A rank's sign of life: a few bytes of a memory-mapped file, which its monitor reads without asking anybody."""

import mmap
import struct
import time
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

_LAYOUT = struct.Struct("<qqqd")


class Phase(IntEnum):
    """What a rank is at; each has its own patience."""

    start = 0  # until the first step is done, compilation included
    train = 1
    evaluate = 2
    save = 3
    finish = 4
    over = 5  # the run is; the process may do other things


@dataclass(frozen=True, slots=True)
class Beat:
    """The last sign of life."""

    number: int
    """Counts the signs."""
    phase: Phase
    step: int
    """Optimizer steps done."""
    time: float
    """Seconds on the machine's monotonic clock."""


class Heartbeat:
    """Writes and reads the signs of one rank; without a file they go nowhere."""

    def __init__(self, path: Path | None = None, *, is_new: bool = False) -> None:
        if is_new:
            path.write_bytes(_LAYOUT.pack(0, Phase.start, 0, time.monotonic()))
        if path is None:
            self._memory = mmap.mmap(-1, _LAYOUT.size)
        else:
            with open(path, "r+b") as file:
                self._memory = mmap.mmap(file.fileno(), _LAYOUT.size)

    def beat(self, phase: Phase, step: int) -> None:
        """Alive, in this phase, with so many steps done. Costs a microsecond."""
        number = self.read().number + 1
        self._memory[:] = _LAYOUT.pack(number, phase, step, time.monotonic())

    def read(self) -> Beat:
        """The last sign."""
        number, phase, step, at = _LAYOUT.unpack(self._memory[:])
        return Beat(number, Phase(phase), step, at)
