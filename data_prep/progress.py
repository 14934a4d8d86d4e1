"""How far a phase is: a bar on a terminal, and in a log file a line at a time, few of them."""

import sys
from typing import TextIO

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30.0
LINE = "{desc}: {percentage:.0f}%, {n_fmt} of {total_fmt} in {elapsed}, {rate_fmt}{postfix}"


class _Lines:
    """What tqdm draws over and over, as lines below each other."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if line := text.strip():
            self._stream.write(f"{line}\n")

    def flush(self) -> None:
        self._stream.flush()


def progress_bar(title: str, *, total: int, unit: str, is_quiet: bool, done: int = 0) -> tqdm:
    """A bar to be closed; it is drawn to stderr, and goes when it is closed unless stderr is a file."""
    settings = {"desc": title, "total": total, "initial": done, "unit": unit, "unit_scale": unit == "B"}
    if sys.stderr.isatty():
        return tqdm(**settings, smoothing=0, leave=False, disable=is_quiet)
    seldom = {"mininterval": SECONDS_BETWEEN_LINES, "maxinterval": SECONDS_BETWEEN_LINES}
    return tqdm(**settings, **seldom, smoothing=0, bar_format=LINE, file=_Lines(sys.stderr), disable=is_quiet)
