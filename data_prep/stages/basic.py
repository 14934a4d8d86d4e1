"""Rules that hold for text of any kind and language: size, letters, digits, lines that come again."""

from dataclasses import dataclass

from data_prep.stages.rule import Rule, at_least, at_most, check_limits, check_order, share
from data_prep.stages.view import TextView


@dataclass(kw_only=True, slots=True)
class BasicConfig:
    """Rules for any text; a limit of 0 turns its rule off. A document without any visible character is always dropped."""

    enabled: bool = True
    """Whether these rules are asked at all."""

    min_characters: int = 80
    """Shortest document, in characters; shorter: `basic.too_short`."""

    max_characters: int = 0
    """Longest document, in characters; longer: `basic.too_long`."""

    max_line_characters: int = 20_000
    """Longest line, in characters; longer: `basic.long_line` (data or minified code)."""

    min_letter_fraction: float = 0.3
    """Least share of letters of any script among the characters that are not white space; less: `basic.few_letters`."""

    max_digit_fraction: float = 0.3
    """Largest share of digits among the characters that are not white space; more: `basic.many_digits`."""

    max_repeated_line_fraction: float = 0.6
    """Largest share of characters in lines (of four or more) that already stood above; more: `basic.repeated_lines`."""

    def __post_init__(self) -> None:
        counts = ("min_characters", "max_characters", "max_line_characters")
        fractions = ("min_letter_fraction", "max_digit_fraction", "max_repeated_line_fraction")
        check_limits(self, "rules.basic", counts=counts, fractions=fractions)
        check_order(self, "rules.basic", "min_characters", "max_characters")

    def rules(self) -> list[Rule]:
        """All rules, in the order they are asked."""
        return [
            at_least("basic.too_short", "characters", self.min_characters, lambda view: len(view.text)),
            at_most("basic.too_long", "characters", self.max_characters, lambda view: len(view.text)),
            at_most("basic.long_line", "characters of a line", self.max_line_characters, longest_line),
            at_least("basic.few_letters", "share of letters", self.min_letter_fraction, letter_fraction),
            at_most("basic.many_digits", "share of digits", self.max_digit_fraction, digit_fraction),
            at_most(
                "basic.repeated_lines",
                "share of characters in repeated lines",
                self.max_repeated_line_fraction,
                repeated_line_fraction,
            ),
        ]


def longest_line(view: TextView) -> int:
    """Characters of the longest line, with the white space around it."""
    return max(map(len, view.text.splitlines()), default=0)


def letter_fraction(view: TextView) -> float:
    """Share of letters among the characters that are not white space."""
    letters, _, visible = view.character_counts
    return share(letters, visible)


def digit_fraction(view: TextView) -> float:
    """Share of digits among the characters that are not white space."""
    _, digits, visible = view.character_counts
    return share(digits, visible)


def repeated_line_fraction(view: TextView) -> float:
    """Share of characters in lines that already stood above; lines under four characters are not counted."""
    lines = [line for line in view.lines if len(line) >= 4]
    total = sum(map(len, lines))
    return 1.0 - share(sum(map(len, set(lines))), total) if total else 0.0
