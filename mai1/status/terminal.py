"""A terminal that is redrawn in place and listens for keys; whatever happens, it is left as it was found."""

import os
import re
import select
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"
"""The second screen without a cursor, on which a line too long is cut and not wrapped, and back."""
HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def is_a_terminal() -> bool:
    """Whether there is one to draw on and to hear keys from."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


@contextmanager
def second_screen() -> Iterator[None]:
    """Keys come one by one and unseen, drawing leaves no trace in what the terminal showed before."""
    settings = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        _write(ENTER)
        yield
    finally:
        _write(LEAVE)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)


def draw(lines: Sequence[str]) -> None:
    """Replace what is shown, in one write, so that nothing flickers and a slow connection sends little.

    Without colour where NO_COLOR is set (no-color.org).
    """
    lines = [COLOUR.sub("", line) for line in lines] if os.environ.get("NO_COLOR") else lines
    _write(HOME + f"{CLEAR_LINE}\n".join(lines) + CLEAR_LINE + CLEAR_BELOW)


def keys_within(seconds: float) -> str:
    """Keys that were pressed, as soon as one is; empty when none is in time, and `q` where a connection was cut."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return (os.read(sys.stdin.fileno(), 64).decode(errors="replace") or "q") if ready else ""


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
