"""Personal data in text: found by form and checksum, replaced by a placeholder, counted. Nothing is dropped.

What is found and what is left alone stands in `pii_email.py`, `pii_numbers.py` and `pii_network.py`. Not found are names,
postal addresses, spelt-out addresses (`a at b dot org`), and national numbers other than those named there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from data_prep.document import Document, Outcome
from data_prep.stages.pii_email import find_emails
from data_prep.stages.pii_network import find_ips
from data_prep.stages.pii_numbers import find_cards, find_ibans, find_phones
from data_prep.stages.replacement import Find, finds_in, with_placeholders


class PiiKind(Enum):
    """Kinds of personal data; where finds overlap the first to begin wins, then the first kind."""

    email = "email"
    iban = "iban"
    card = "card"
    ip = "ip"
    phone = "phone"


FINDERS: dict[PiiKind, Callable[[str], Iterator[tuple[int, int]]]] = {
    PiiKind.email: find_emails,
    PiiKind.iban: find_ibans,
    PiiKind.card: find_cards,
    PiiKind.ip: find_ips,
    PiiKind.phone: find_phones,
}
"""Each gives the (start, end) of its finds in order; in time proportional to the text, whatever it is."""


@dataclass(kw_only=True, slots=True)
class PiiConfig:
    """Replacement of personal data."""

    kinds: list[PiiKind] = field(default_factory=lambda: [PiiKind.email, PiiKind.iban, PiiKind.card, PiiKind.ip])
    """What is replaced, of email, iban, card, ip and phone; empty: nothing."""

    email: str = "[EMAIL]"
    """What stands for an e-mail address."""

    iban: str = "[IBAN]"
    """What stands for a bank account number."""

    card: str = "[CARD]"
    """What stands for the number of a payment card."""

    ip: str = "[IP]"
    """What stands for a public IP address."""

    phone: str = "[PHONE]"
    """What stands for a phone number."""

    def __post_init__(self) -> None:
        for kind in PiiKind:
            text = getattr(self, kind.value)
            if not text or any(True for _ in finds_of(text, list(PiiKind))):
                raise ValueError(
                    f"pii.{kind.value}={text!r} must be some text that is not itself personal data: "
                    f"use something like [{kind.name.upper()}]"
                )


class PiiStage:
    """Replaces personal data; `edits` counts the finds of each kind, as in `pii.email`."""

    name = "pii"

    def __init__(self, config: PiiConfig) -> None:
        self.config = config

    def __call__(self, documents: list[Document]) -> list[Outcome]:
        """Documents without personal data come back as they are."""
        return [self._replace(document) for document in documents]

    def _replace(self, document: Document) -> Document:
        finds = finds_of(document.text, self.config.kinds)
        return with_placeholders(
            document, finds, placeholder_of=lambda kind: getattr(self.config, kind.value), family="pii"
        )


def finds_of(text: str, kinds: list[PiiKind]) -> Iterator[Find[PiiKind]]:
    """All personal data of these kinds, in order and without overlaps."""
    return finds_in(text, FINDERS, kinds)
