"""Whether a text is code or full of markup, and what the rules made for prose then let pass."""

import dataclasses
from dataclasses import dataclass, field
from enum import Enum

from data_prep.document import Document, Outcome
from data_prep.stages.rule import share
from data_prep.stages.view import TextView

SYMBOLS = "{}()[]<>=;_#/\\|*&@$+~^`"
"""Characters that make up 0 to 4% of prose and 5 to 25% of code."""


SKIP = ("gopher.hashes", "gopher.few_stop_words", "c4.few_sentences", "c4.curly_brackets", "fineweb")
"""Rules that ask for sentences, or against what every program has."""

LIMITS = {
    "gopher.few_words": 20,
    "gopher.short_words": 2,
    "gopher.long_words": 40,
    "gopher.few_letter_words": 0.3,
    "repetition.lines": 0.5,
    "repetition.line_characters": 0.4,
    "repetition.duplicate_5_grams": 0.35,
    "repetition.duplicate_6_grams": 0.34,
    "repetition.duplicate_7_grams": 0.33,
    "repetition.duplicate_8_grams": 0.32,
    "repetition.duplicate_9_grams": 0.31,
    "repetition.duplicate_10_grams": 0.30,
}
"""Programs repeat lines and calls, `f(x,y)` is one long word, and an operator is a word without a letter."""


MIN_SYMBOL_FRACTION = 0.04


KIND = "kind"
"""The label that tells code from prose."""


class Kind(Enum):
    """What a text mostly is; the label `kind` of a document."""

    code = "code"
    prose = "prose"


@dataclass(kw_only=True, slots=True)
class CodeConfig:
    """Code, and technical text full of markup, is told from prose and judged by limits of its own."""

    enabled: bool = True
    """Whether the two are told apart and labelled; if not, everything is judged as prose."""

    min_symbol_fraction: float = MIN_SYMBOL_FRACTION
    """From this share of brackets, operators and other symbols among the visible characters on, a text is code."""

    skip: list[str] = field(default_factory=lambda: list(SKIP))
    """Rules that code is not asked, by name or family."""

    limits: dict[str, float] = field(default_factory=lambda: dict(LIMITS))
    """Rules that have another limit for code, by name; 0 turns one off."""

    def __post_init__(self) -> None:
        if not 0.0 < self.min_symbol_fraction <= 1.0:
            raise ValueError(
                f"rules.code.min_symbol_fraction={self.min_symbol_fraction} must be above 0 and at most 1: "
                "use enabled=false to treat everything as prose"
            )


def symbol_fraction(view: TextView) -> float:
    """Share of symbols of code and markup among the characters that are not white space."""
    return share(sum(map(view.text.count, SYMBOLS)), view.character_counts[2])


def kind_of(view: TextView, *, min_symbol_fraction: float) -> Kind:
    """Code from that share of symbols on."""
    return Kind.code if symbol_fraction(view) >= min_symbol_fraction else Kind.prose


class KindStage:
    """Labels every document `kind: code` or `kind: prose`, for the stages after it."""

    name = "kind"

    def __init__(self, config: CodeConfig) -> None:
        self.config = config

    def __call__(self, documents: list[Document]) -> list[Outcome]:
        return [self._label(document) if self.config.enabled else document for document in documents]

    def _label(self, document: Document) -> Document:
        return labelled(document, kind_of(TextView(document.text), min_symbol_fraction=self.config.min_symbol_fraction))


def labelled(document: Document, kind: Kind) -> Document:
    """The same document with its kind."""
    return dataclasses.replace(document, labels={**document.labels, KIND: kind.value})
