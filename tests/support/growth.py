"""Whether a function's time grows as its text does, on a machine that does other things besides."""

import time
from collections.abc import Callable

SHARE = 8
NOISE_S = 0.5


def is_about_linear(function: Callable[[str], object], text: str) -> bool:
    """A quadratic step would make 64 times the time of an eighth; it may take 30. The quickest of three counts."""
    part = min(_seconds(function, text[: len(text) // SHARE]) for _ in range(3))
    bound = max(30 * part, NOISE_S)
    return any(_seconds(function, text) < bound for _ in range(3))


def _seconds(function: Callable[[str], object], text: str) -> float:
    before = time.process_time()
    function(text)
    return time.process_time() - before
