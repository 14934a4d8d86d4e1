"""Which documents are not worth training on. Each rule is one figure, has one key, and gives its name as the reason."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(kw_only=True, slots=True)
class FilterConfig:
    """Limits of the rules; a limit of 0 turns its rule off."""

    min_characters: int = 80
    """Shortest document, in characters; shorter: `too_short`."""

    max_characters: int = 0
    """Longest document, in characters; longer: `too_long`."""

    max_line_characters: int = 20_000
    """Longest line, in characters; longer: `long_line` (data or minified code)."""

    min_letter_fraction: float = 0.3
    """Least share of letters of any script among the characters that are not white space; less: `few_letters`."""

    max_digit_fraction: float = 0.3
    """Largest share of digits among the characters that are not white space; more: `many_digits`."""

    max_repeated_line_fraction: float = 0.6
    """Largest share of characters in lines (of four or more) that already stood above; more: `repeated_lines`."""

    def __post_init__(self) -> None:
        for key in ("min_characters", "max_characters", "max_line_characters"):
            if getattr(self, key) < 0:
                raise ValueError(f"prepare.filters.{key}={getattr(self, key)} must be at least 0: use 0 to turn it off")
        for key in ("min_letter_fraction", "max_digit_fraction", "max_repeated_line_fraction"):
            if not 0.0 <= getattr(self, key) <= 1.0:
                raise ValueError(f"prepare.filters.{key}={getattr(self, key)} must be from 0 to 1: 0 turns it off")
        if self.max_characters and self.max_characters < self.min_characters:
            raise ValueError(
                f"prepare.filters.max_characters={self.max_characters} must be at least "
                f"min_characters={self.min_characters}: raise it or use 0"
            )


def reason_to_drop(text: str, config: FilterConfig) -> str:
    """The name of the first rule the text breaks; empty when it may stay."""
    if not text.strip():
        return "empty"
    return next((reason for reason, breaks in RULES.items() if breaks(text, config)), "")


def letter_fraction(text: str) -> float:
    """Share of letters among the characters that are not white space."""
    return _fraction(text, str.isalpha)


def digit_fraction(text: str) -> float:
    """Share of digits among the characters that are not white space."""
    return _fraction(text, str.isdigit)


def repeated_line_fraction(text: str) -> float:
    """Share of characters in lines that already stood above; lines under four characters are not counted."""
    lines = [line for line in map(str.strip, text.splitlines()) if len(line) >= 4]
    total = sum(map(len, lines))
    return 1.0 - sum(map(len, set(lines))) / total if total else 0.0


def _fraction(text: str, is_wanted: Callable[[str], bool]) -> float:
    wanted = visible = 0
    for line in text.splitlines():  # line by line: the words of a long text at once take ten times its memory
        dense = "".join(line.split())
        wanted += sum(map(is_wanted, dense))
        visible += len(dense)
    return wanted / visible if visible else 0.0


RULES: dict[str, Callable[[str, FilterConfig], bool]] = {
    "too_short": lambda text, c: len(text) < c.min_characters,
    "too_long": lambda text, c: 0 < c.max_characters < len(text),
    "long_line": lambda text, c: 0 < c.max_line_characters < max(map(len, text.splitlines())),
    "few_letters": lambda text, c: c.min_letter_fraction > 0 and letter_fraction(text) < c.min_letter_fraction,
    "many_digits": lambda text, c: c.max_digit_fraction > 0 and digit_fraction(text) > c.max_digit_fraction,
    "repeated_lines": lambda text, c: 0 < c.max_repeated_line_fraction < repeated_line_fraction(text),
}
"""Reason to rule, in the order they are asked."""
