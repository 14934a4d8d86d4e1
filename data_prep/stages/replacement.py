"""What the stages that replace finds share: finds of several kinds without overlaps, and a document with placeholders instead."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, TypeVar

from data_prep.document import Document

Kind = TypeVar("Kind", bound=Enum)


@dataclass(frozen=True, slots=True)
class Find(Generic[Kind]):
    """Something to replace at text[start:end]."""

    start: int
    end: int
    kind: Kind


def finds_in(
    text: str, finders: dict[Kind, Callable[[str], Iterator[tuple[int, int]]]], kinds: list[Kind]
) -> Iterator[Find[Kind]]:
    """All finds of these kinds, in order and without overlaps: the first to begin wins, then the first kind."""
    found = [Find(start, end, kind) for kind in finders if kind in kinds for start, end in finders[kind](text)]
    end = 0
    for find in sorted(found, key=lambda each: each.start):
        if find.start >= end:
            yield find
            end = find.end


def with_placeholders(
    document: Document, finds: Iterable[Find[Kind]], *, placeholder_of: Callable[[Kind], str], family: str
) -> Document:
    """The document with placeholders, and its `edits` with one more `FAMILY.KIND` each; as it is without finds."""
    pieces, end = [], 0
    counts = Counter(document.edits)
    for find in finds:
        pieces += [document.text[end : find.start], placeholder_of(find.kind)]
        end = find.end
        counts[f"{family}.{find.kind.value}"] += 1
    if not pieces:
        return document
    return replace(document, text="".join([*pieces, document.text[end:]]), edits=dict(counts))
