"""Which documents are held out, and which are taken when there are too many: decided by hashes, never by order."""

import hashlib
from enum import Enum


class HeldoutKind(Enum):
    """What is held out of training."""

    documents = "documents"
    """Whole documents, chosen by a hash of their content."""

    tail = "tail"
    """The last part of every document: for corpora that are one long text."""


def uniform(key: bytes, *, seed: int, purpose: str) -> float:
    """A number in [0, 1) that depends on nothing but the arguments; purposes are independent of each other."""
    digest = hashlib.blake2b(key, digest_size=8, key=f"{seed}:{purpose}".encode()).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def choose_heldout(families: list[bytes], *, fraction: float, seed: int) -> set[bytes]:
    """The families to hold out: those whose number is below `fraction`, at least one of two or more, never all."""
    if fraction == 0.0:
        return set()
    numbers = {family: uniform(family, seed=seed, purpose="heldout") for family in families}
    if len(numbers) < 2:
        return set()
    chosen = {family for family, number in numbers.items() if number < fraction}
    ordered = sorted(numbers, key=lambda family: (numbers[family], family))
    if not chosen:
        chosen = {ordered[0]}
    if len(chosen) == len(numbers):
        chosen.remove(ordered[-1])
    return chosen


def split_tail(text: str, *, fraction: float) -> tuple[str, str]:
    """The first and the last part of a text, cut at the character."""
    cut = int(len(text) * (1.0 - fraction))
    return text[:cut], text[cut:]
