"""The rules that FineWeb added (Penedo et al. 2024, arXiv 2406.17557, section 3.6)."""

from dataclasses import dataclass

from data_prep.stages.repetition import repeated_characters
from data_prep.stages.rule import Rule, at_least, at_most, check_limits, share
from data_prep.stages.view import TextView

LINE_ENDS = frozenset(".!?\"'”’»」』…。！？．｡।॥؟۔።။។։")
"""What a sentence may end with: the marks of the paper, their typographic forms, and those of other scripts."""


@dataclass(kw_only=True, slots=True)
class FineWebConfig:
    """FineWeb's rules with the paper's thresholds; a limit of 0 turns its rule off."""

    enabled: bool = False
    """Whether these rules are asked at all."""

    min_punctuated_line_fraction: float = 0.12
    """Least share of lines that end in punctuation; less: `fineweb.few_line_ends`."""

    max_short_line_fraction: float = 0.67
    """Largest share of short lines; more: `fineweb.short_lines`."""

    short_line_characters: int = 30
    """Lines of so many characters and fewer are short."""

    max_duplicate_line_character_fraction: float = 0.1
    """Largest share of characters in lines that already stood above; more: `fineweb.duplicated_lines`."""

    max_line_breaks_per_word: float = 0.3
    """Most line breaks per word; more: `fineweb.list` (datatrove's recipe; the paper does not name it)."""

    def __post_init__(self) -> None:
        fractions = (
            "min_punctuated_line_fraction",
            "max_short_line_fraction",
            "max_duplicate_line_character_fraction",
        )
        counts = ("short_line_characters", "max_line_breaks_per_word")
        check_limits(self, "rules.fineweb", counts=counts, fractions=fractions)

    def rules(self) -> list[Rule]:
        """All rules, in the order they are asked."""
        longest = self.short_line_characters
        duplicates, breaks = self.max_duplicate_line_character_fraction, self.max_line_breaks_per_word
        return [
            at_least(
                "fineweb.few_line_ends", "share of lines", self.min_punctuated_line_fraction, punctuated_line_fraction
            ),
            at_most(
                "fineweb.short_lines",
                "share of lines",
                self.max_short_line_fraction,
                lambda view: short_line_fraction(view, max_characters=longest),
            ),
            at_most("fineweb.duplicated_lines", "share of characters", duplicates, duplicate_line_character_fraction),
            at_most("fineweb.list", "line breaks per word", breaks, line_breaks_per_word),
        ]


def punctuated_line_fraction(view: TextView) -> float:
    """Share of lines that end in punctuation."""
    return share(sum(map(LINE_ENDS.__contains__, view.line_ends)), len(view.lines))


def short_line_fraction(view: TextView, *, max_characters: int) -> float:
    """Share of lines that have no more characters than that."""
    return share(sum(len(line) <= max_characters for line in view.lines), len(view.lines))


def duplicate_line_character_fraction(view: TextView) -> float:
    """Share of the characters that are no line breaks in lines that already stood above."""
    return share(repeated_characters(view.lines), len(view.text) - view.text.count("\n"))


def line_breaks_per_word(view: TextView) -> float:
    """Line breaks per word of any kind."""
    return share(view.text.count("\n"), len(view.words_W) / view.characters_per_word)
