"""The quality rules of Gopher (Rae et al. 2021, arXiv 2112.11446, appendix A.1.1), on words between white space.

A word tokenizer that splits off punctuation counts `f(x, y)` as seven words, four of them without a letter, and takes
technical prose for spam; between white space it is two words, and the thresholds of the paper hold as they are.
"""

from dataclasses import dataclass

from data_prep.stages.rule import Bound, Rule, at_least, at_most, check_limits, check_order, share
from data_prep.stages.view import TextView, Unit

BULLETS = "•‣▪●◦·*-"
SPLIT_OFF = "\"'“”‘’«»„.,;:!?()[]{}…"
"""Punctuation that may cling to a stop word."""


@dataclass(kw_only=True, slots=True)
class GopherConfig:
    """Gopher's quality rules with the paper's thresholds; a limit of 0 turns its rule off."""

    enabled: bool = False
    """Whether these rules are asked at all."""

    min_words: int = 50
    """Fewest words with a letter or digit; fewer: `gopher.few_words`."""

    max_words: int = 100_000
    """Most words with a letter or digit; more: `gopher.many_words`."""

    min_mean_word_characters: float = 3.0
    """Least mean length of these words; less: `gopher.short_words`. Not asked where characters are counted."""

    max_mean_word_characters: float = 10.0
    """Largest mean length of these words; more: `gopher.long_words`. Not asked where characters are counted."""

    max_hashes_per_word: float = 0.1
    """Most `#` per word; more: `gopher.hashes`."""

    max_ellipses_per_word: float = 0.1
    """Most `...` and `…` per word; more: `gopher.ellipses`."""

    max_bullet_line_fraction: float = 0.9
    """Largest share of lines that begin with a bullet; more: `gopher.bullet_lines`."""

    max_ellipsis_line_fraction: float = 0.3
    """Largest share of lines that end with an ellipsis; more: `gopher.ellipsis_lines`."""

    min_letter_word_fraction: float = 0.8
    """Least share of words with a letter; less: `gopher.few_letter_words`."""

    min_stop_words: int = 2
    """Fewest different stop words of the language; fewer: `gopher.few_stop_words`. Not asked without a list for it."""

    def __post_init__(self) -> None:
        means = ("min_mean_word_characters", "max_mean_word_characters")
        ratios = ("max_hashes_per_word", "max_ellipses_per_word")
        fractions = ("max_bullet_line_fraction", "max_ellipsis_line_fraction", "min_letter_word_fraction")
        counts = ("min_words", "max_words", "min_stop_words", *means, *ratios)
        check_limits(self, "rules.gopher", counts=counts, fractions=fractions)
        check_order(self, "rules.gopher", "min_words", "max_words")
        check_order(self, "rules.gopher", *means)

    def rules(self, *, unit: Unit, stop_words: list[str]) -> list[Rule]:
        """All rules that apply to the unit and language, in the order they are asked."""
        means = [
            at_least("gopher.short_words", "mean word length", self.min_mean_word_characters, mean_word_characters),
            at_most("gopher.long_words", "mean word length", self.max_mean_word_characters, mean_word_characters),
        ]
        stops = Rule(
            "gopher.few_stop_words",
            "different stop words",
            Bound.at_least,
            self.min_stop_words,
            lambda view, limit: num_stop_words(view, stop_words, enough=limit),
        )
        bullets, trailing = self.max_bullet_line_fraction, self.max_ellipsis_line_fraction
        return [
            at_least("gopher.few_words", "words", self.min_words, num_words),
            at_most("gopher.many_words", "words", self.max_words, num_words),
            *(means if unit is Unit.words else []),
            at_most("gopher.hashes", "hashes per word", self.max_hashes_per_word, hashes_per_word),
            at_most("gopher.ellipses", "ellipses per word", self.max_ellipses_per_word, ellipses_per_word),
            at_most("gopher.bullet_lines", "share of lines", bullets, bullet_line_fraction),
            at_most("gopher.ellipsis_lines", "share of lines", trailing, ellipsis_line_fraction),
            at_least("gopher.few_letter_words", "share of words", self.min_letter_word_fraction, letter_word_fraction),
            *([stops] if stop_words else []),
        ]


def num_words(view: TextView) -> float:
    """Words with a letter or digit."""
    return (len(view.words_W) - _num_symbols(view)) / view.characters_per_word


def mean_word_characters(view: TextView) -> float:
    """Mean length of the words with a letter or digit."""
    symbol_characters = int((view.lengths_V * view.counts_V)[view.is_symbol_V].sum())
    return share(int(view.offsets_W[-1]) - symbol_characters, len(view.words_W) - _num_symbols(view))


def hashes_per_word(view: TextView) -> float:
    """Number signs per word of any kind."""
    return share(view.text.count("#"), len(view.words_W) / view.characters_per_word)


def ellipses_per_word(view: TextView) -> float:
    """Ellipses, of three dots or of one character, per word of any kind."""
    return share(view.text.count("...") + view.text.count("…"), len(view.words_W) / view.characters_per_word)


def bullet_line_fraction(view: TextView) -> float:
    """Share of lines that begin with a bullet."""
    return share(sum(map(view.line_starts.count, BULLETS)), len(view.lines))


def ellipsis_line_fraction(view: TextView) -> float:
    """Share of lines that end with an ellipsis."""
    if "..." not in view.text and "…" not in view.text:
        return 0.0
    return share(sum(line.endswith(("...", "…")) for line in view.lines), len(view.lines))


def letter_word_fraction(view: TextView) -> float:
    """Share of words of any kind that have a letter."""
    return share(int(view.counts_V[view.has_letter_V].sum()), len(view.words_W))


def num_stop_words(view: TextView, stop_words: list[str], *, enough: float) -> int:
    """How many of the stop words stand in the text, in either case; as parts of it where characters are counted."""
    if view.unit is Unit.characters:
        return sum(word in view.text for word in stop_words)
    as_written = sum(word in view.vocabulary for word in stop_words)
    if as_written >= enough:
        return as_written
    return len({word.strip(SPLIT_OFF).lower() for word in view.vocabulary}.intersection(stop_words))


def _num_symbols(view: TextView) -> int:
    return int(view.counts_V[view.is_symbol_V].sum())
