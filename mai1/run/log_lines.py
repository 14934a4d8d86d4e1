"""What a terminal would draw over and over, as lines of a log file: a bar is written now and then, and all else as it is."""

import re
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

SECONDS_BETWEEN_BARS = 30.0
PARTS = re.compile("([\r\n])")
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class LogLines:
    """A stream to a file. A line that begins with a carriage return is a bar, which only a terminal can draw over.

    Bars of all libraries pass through here, so that none of them has to know whether it is drawn or logged.
    """

    def __init__(self, stream: TextIO, *, now: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._now = stream, now
        self._line, self._is_bar, self._last_bar = "", False, now()

    def write(self, text: str) -> int:
        """Take text; whole lines are written, and a bar where none was for a while."""
        for part in PARTS.split(text):
            if part == "\r":
                self._line, self._is_bar = "", True
            elif part == "\n":
                self._end_line()
            else:
                self._line += part
        if self._is_bar and self._line.strip() and self._now() - self._last_bar >= SECONDS_BETWEEN_BARS:
            self._last_bar = self._now()
            self._end_line(is_bar_again=True)
        return len(text)

    def flush(self) -> None:
        """Pass it on; a bar that is not due yet stays here."""
        if not self._is_bar and self._line:
            self._stream.write(CONTROLS.sub("", self._line))
            self._line = ""
        self._stream.flush()

    def fileno(self) -> int:
        """The file's own, for processes that are started and for stacks after a crash."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """A bar that asks is drawn for a file."""
        return False

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, stack: TracebackType | None) -> None:
        if self._line.strip():
            self._end_line()
        self._stream.flush()

    def _end_line(self, *, is_bar_again: bool = False) -> None:
        line = CONTROLS.sub("", self._line)
        if line.strip() or not self._is_bar:
            self._stream.write(f"{line.rstrip() if self._is_bar else line}\n")
        self._line, self._is_bar = "", is_bar_again
