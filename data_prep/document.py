"""What every stage of curation passes on: documents, and documents that end here with the reason."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Document:
    """One text and where it came from. Stages make changed copies with `dataclasses.replace`, never edit."""

    text: str
    name: str
    """What a person would look for: path, path:line, or module."""

    family: str = ""
    """Documents of one family are held out together or not at all; empty: each by its content."""

    url: str = ""
    markup: bytes = b""
    """A page as it was fetched, until extraction has made text of it."""

    language: str = ""
    """ISO 639 code; empty: not known."""

    language_score: float = 0.0
    """How sure the language is, from 0 to 1."""

    edits: dict[str, int] = field(default_factory=dict)
    """What stages changed inside, by kind: `pii.email: 3`, `boilerplate.lines: 2`."""

    labels: dict[str, str] = field(default_factory=dict)
    """What stages found out without dropping: `kind: code`, `licence: MIT`, `contamination.gsm8k: 0.31`."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A document that ends here."""

    document: Document
    reason: str
    """`stage.rule`, such as `gopher.few_words`; counted and shown under this name."""

    detail: str = ""
    """What was measured and what it had to be: `words=31, at least 50`."""


Outcome = Document | Dropped


class Stage(Protocol):
    """One step of curation, the same for every batch: no state, no order, no clock."""

    name: str

    def __call__(self, documents: list[Document]) -> list[Outcome]:
        """One outcome for each document, in order."""


def apply_stages(documents: list[Document], stages: list[Stage]) -> Iterator[Outcome]:
    """Every document through all stages, each stage on the whole batch; outcomes in the order of the documents."""
    outcomes: list[Outcome] = list(documents)
    for stage in stages:
        left = [place for place, outcome in enumerate(outcomes) if isinstance(outcome, Document)]
        for place, outcome in zip(left, stage([outcomes[place] for place in left]), strict=True):
            outcomes[place] = outcome
    yield from outcomes
