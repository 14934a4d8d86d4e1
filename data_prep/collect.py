"""One source from its reader to a spool: clean, filter, deduplicate, limit, and decide what is held out.

Every document read ends in exactly one place: train, held out, or dropped with a reason.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from data_prep.cleaning import Newlines, clean
from data_prep.deduplication import Deduplicator, content_key
from data_prep.filters import FilterConfig, reason_to_drop
from data_prep.sources import Document, Source
from data_prep.splitting import Budget, uniform
from data_prep.spool import SpoolWriter, read_spool
from data_prep.workers import Workers, batches

SAMPLES_PER_REASON = 3
SAMPLE_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Judged:
    """A document after cleaning and filtering."""

    text: str
    reason: str
    """Why it is dropped; empty when no filter objects."""

    key: bytes
    """Equal for duplicates."""

    num_bytes: int
    """UTF-8 bytes of the cleaned text."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is remembered of a document in the spool."""

    key: bytes
    family: bytes
    num_bytes: int


@dataclass(slots=True)
class Collected:
    """A source after reading: the spool and what became of every document."""

    name: str
    spool: Path
    kept: list[Kept] = field(default_factory=list)
    """One entry a document in the spool, in its order."""

    taken: list[bool] = field(default_factory=list)
    """Whether the document fits the byte limit."""

    num_read: int = 0
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)
    """Reason to {documents, bytes}."""

    samples: list[dict[str, str]] = field(default_factory=list)
    """The beginnings of a few dropped documents."""

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes of the documents that are taken."""
        return sum(kept.num_bytes for kept, taken in zip(self.kept, self.taken, strict=True) if taken)

    def drop(self, reason: str, *, text: str, name: str, num_bytes: int) -> None:
        """Count a dropped document and keep the first few as samples."""
        count = self.dropped.setdefault(reason, {"documents": 0, "bytes": 0})
        if count["documents"] < SAMPLES_PER_REASON:
            start = text[:SAMPLE_CHARACTERS]
            self.samples.append({"source": self.name, "reason": reason, "name": name, "text": start})
        count["documents"] += 1
        count["bytes"] += num_bytes

    def families(self) -> list[bytes]:
        """The families of the documents that are taken."""
        return [kept.family for kept, taken in zip(self.kept, self.taken, strict=True) if taken]

    def texts(self) -> Iterator[tuple[Kept, str]]:
        """The documents that are taken, from the spool."""
        for kept, taken, text in zip(self.kept, self.taken, read_spool(self.spool), strict=True):
            if taken:
                yield kept, text


@dataclass(slots=True)
class Collector:
    """Reads sources one after the other; duplicates are found across all of them."""

    filters: FilterConfig
    newlines: Newlines
    seed: int
    deduplicator: Deduplicator = field(default_factory=Deduplicator)

    def collect(
        self,
        name: str,
        source: Source,
        *,
        budget: Budget,
        spool: Path,
        workers: Workers,
        advance: Callable[[int], object],
    ) -> Collected:
        """Read a source into a spool, a shuffled one only until the budget is spent; tells `advance` the bytes read."""
        collected = Collected(name, spool)
        judge = partial(judge_batch, filters=self.filters, newlines=self.newlines)
        with SpoolWriter(spool) as writer:
            for batch, judged in _with_input(workers, judge, batches(source.documents(workers))):
                for document, verdict in zip(batch, judged, strict=True):
                    advance(verdict.num_bytes)
                    self._place(document, verdict, collected, writer, budget if source.is_shuffled else None)
                    if source.is_shuffled and budget.is_spent:
                        return collected
        if not source.is_shuffled:
            self._limit(collected, budget)
        return collected

    def _place(
        self, document: Document, verdict: Judged, collected: Collected, writer: SpoolWriter, budget: Budget | None
    ) -> None:
        collected.num_read += 1
        reason = verdict.reason
        if not reason and self.deduplicator.is_duplicate(verdict.key):
            reason = "duplicate"
        if not reason and budget is not None and not budget.take(verdict.num_bytes):
            reason = "over_max_bytes"
        if reason:
            collected.drop(reason, text=verdict.text, name=document.name, num_bytes=verdict.num_bytes)
            return
        writer.add(verdict.text.encode())
        collected.kept.append(Kept(verdict.key, document.family.encode() or verdict.key, verdict.num_bytes))
        collected.taken.append(True)

    def _limit(self, collected: Collected, budget: Budget) -> None:
        """Take documents in the order of their hashes until the budget is spent."""
        keys = [kept.key for kept in collected.kept]
        for place in sorted(range(len(keys)), key=lambda i: uniform(keys[i], seed=self.seed, purpose="sample")):
            size = collected.kept[place].num_bytes
            collected.taken[place] = not budget.is_spent and budget.take(size)
            if not collected.taken[place]:
                collected.drop("over_max_bytes", text="", name="", num_bytes=size)


def judge_batch(documents: list[Document], *, filters: FilterConfig, newlines: Newlines) -> list[Judged]:
    """Clean and filter some documents; runs in a worker."""
    judged = []
    for document in documents:
        text = clean(document.text, newlines=newlines)
        reason = reason_to_drop(text, filters)
        judged.append(Judged(text, reason, b"" if reason else content_key(text), len(text.encode())))
    return judged


def _with_input(workers: Workers, judge: partial, stream: Iterator[list[Document]]) -> Iterator[tuple[list, list]]:
    """Batches beside what the workers say about them."""
    sent: list[list[Document]] = []

    def remember() -> Iterator[list[Document]]:
        for batch in stream:
            sent.append(batch)
            yield batch

    for judged in workers.map(judge, remember()):
        yield sent.pop(0), judged
