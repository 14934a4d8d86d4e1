"""What became of each source: its counts for the manifest, and which of its documents are shown."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_prep.config import ErrorConfig
from data_prep.engine.task import Result
from data_prep.reading.bad import Reason
from data_prep.reading.slices import Slice
from data_prep.reading.source import SourceConfig
from data_prep.selection import Selection
from data_prep.store import Columns
from data_prep.tally import SAMPLES_PER_REASON, Tally

KEPT = "kept"
"""The reason under which samples of kept documents stand."""

SECTIONS = {
    **{stage: stage for stage in ("extraction", "language", "contamination", "scores")},
    "url": "urls",
    "c4": "rules.c4",
    "basic": "rules.basic",
    **{stage: f"rules.{stage}" for stage in ("gopher", "repetition", "fineweb")},
}
"""The part of the settings that each family of reasons comes from."""


@dataclass(slots=True)
class Curated:
    """A source after curation."""

    name: str
    config: SourceConfig
    slices: list[Slice]
    results: list[Result] = field(default_factory=list)
    """One a slice that was read, in their order."""

    tally: Tally = field(default_factory=Tally)
    shown: dict[str, list[int]] = field(default_factory=dict)
    """Documents that the page shows, by the reason that selection dropped them for, or `kept`: numbers over all sources."""

    @property
    def folders(self) -> list[Path]:
        """Where the curated slices stand."""
        return [result.folder for result in self.results]

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes of the documents that came through the stages."""
        return sum(result.summary["bytes"] for result in self.results)

    @property
    def num_documents(self) -> int:
        """Documents that came through the stages."""
        return sum(result.summary["documents"] for result in self.results)

    def next_slices(self, wanted_bytes: float) -> list[Slice]:
        """What to read now: everything, or of slices in a hashed order what the bytes still wanted probably take."""
        left = self.slices[len(self.results) :]
        if not wanted_bytes or not all(piece.is_shuffled for piece in left):
            return left
        chosen, missing = 0, wanted_bytes - self.num_bytes
        while chosen < len(left) and missing > 0:
            missing -= left[chosen].num_bytes
            chosen += 1
        return left[:chosen]

    def add(self, result: Result) -> None:
        """The next slice is done."""
        self.results.append(result)
        self.tally.add(Tally.from_json(json.loads((result.folder / "tally.json").read_text(encoding="utf-8"))))

    def check(self, errors: ErrorConfig) -> None:
        """ValueError when too much is broken or nothing is left."""
        bad, key = self.tally.table("bad"), f"sources.{self.name}.path={self.config.path}"
        num_bad, num_read = bad.total(), self.tally.table("read")["documents"]
        if num_bad > errors.max_fraction * (num_bad + num_read):
            reason = bad.most_common(1)[0][0]
            sample = self.tally.samples[reason][0]
            mend = "set its text_field" if reason == Reason.no_field else "mend them"
            counts = ", ".join(f"{count} {reason}" for reason, count in sorted(bad.items()))
            raise ValueError(
                f"{key}: {num_bad} of {num_bad + num_read} documents cannot be read ({counts}), such as {sample['name']}: "
                f"{sample['detail']}; {mend} or raise errors.max_fraction={errors.max_fraction}"
            )
        if not num_read:
            raise ValueError(f"{key} must hold at least one document: name a source with text")
        self.check_kept()

    def check_kept(self) -> None:
        """ValueError when everything was dropped."""
        num_read, dropped = self.tally.table("read")["documents"], self.tally.table("dropped.documents")
        if dropped.total() < num_read:
            return
        key = f"sources.{self.name}.path={self.config.path}"
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
        if "limit.max_bytes" in dropped:
            raise ValueError(f"{key} has no document within max_bytes ({reasons}): raise max_bytes")
        raise ValueError(f"{key} must keep at least one of its {num_read} documents ({reasons}): {_mend(dropped)}")


def _mend(dropped: Counter) -> str:
    """What to change where nothing is left, by the most frequent reason."""
    stage = dropped.most_common(1)[0][0].partition(".")[0]
    if stage == "dedup":
        return "it holds what other sources hold, so remove it or name it before them"
    return f"relax {SECTIONS.get(stage, 'rules')}"


def select_tallies(sources: list[Curated], selection: Selection, columns: Columns) -> None:
    """Add what selection dropped to the sources' tallies, and choose which documents are shown of each reason and of the kept."""
    first = 0
    for source in sources:
        own = slice(first, first + source.num_documents)
        first = own.stop
        for number, reason in enumerate(("", *selection.reasons)):
            struck = np.flatnonzero(selection.reason_N[own] == number) + own.start
            if len(struck):
                source.shown[reason or KEPT] = chosen_by_hash(struck, columns)
            if len(struck) and number:
                source.tally.count("dropped.documents", reason, len(struck))
                source.tally.count("dropped.bytes", reason, int(columns.num_bytes_N[struck].sum()))


def chosen_by_hash(places: np.ndarray, columns: Columns) -> list[int]:
    """A few of these documents with different texts, by their content keys: an even choice that no order changes."""
    _, where = np.unique(columns.keys_N2[places, 0], return_index=True)
    return places[where[:SAMPLES_PER_REASON]].tolist()


def count_cuts(source: Curated, cuts: list[dict[str, int]]) -> None:
    """Add what the encoding of its slices says of passages that were cut; a document of which nothing is left is dropped."""
    for cut in cuts:
        if cut["documents"]:
            source.tally.count("edits", "dedup.passages.characters", cut["characters"])
            source.tally.count("edited_documents", "dedup.passages", cut["documents"])
        if cut["emptied"]:
            source.tally.count("dropped.documents", "dedup.passages", cut["emptied"])
            source.tally.count("dropped.bytes", "dedup.passages", 0)


def dropped_of(source: Curated) -> dict[str, dict[str, int]]:
    """Documents and bytes by the reason for which they were dropped."""
    documents, sizes = source.tally.table("dropped.documents"), source.tally.table("dropped.bytes")
    return {reason: {"documents": documents[reason], "bytes": sizes[reason]} for reason in sorted(documents)}


def source_facts(source: Curated, sums: dict[str, dict[str, int]]) -> dict:
    """A source's entry in the manifest."""
    tally = source.tally
    num_bytes, num_tokens = (sum(split[key] for split in sums.values()) for key in ("bytes", "tokens"))
    inputs = inputs_of(source)
    return {
        "path": source.config.path,
        "read": tally.table("read")["documents"],
        "bytes_read": tally.table("read")["bytes"],
        "kept": tally.table("read")["documents"] - tally.table("dropped.documents").total(),
        **sums,
        "bytes_per_token": num_bytes / max(num_tokens, 1),
        "dropped": dropped_of(source),
        "bad": dict(sorted(tally.table("bad").items())),
        "edits": dict(sorted(tally.table("edits").items())),
        "languages": dict(sorted(tally.table("languages").items())),
        "licence": source.config.licence,
        "origin": source.config.origin,
        "inputs": {"count": len(inputs), "sha256": hashlib.sha256("\n".join(inputs).encode()).hexdigest()},
    }


def inputs_of(source: Curated) -> list[str]:
    """A line for everything that was there to read: name, size, and time of change or checksum."""
    return [line for piece in source.slices for line in piece.identity]
