"""The funnel of a corpus: documents, bytes and tokens that each stage took away, for which reason."""

from dataclasses import dataclass, field
from typing import Any

from mai1.report.corpus_charts import FunnelRow, funnel_chart
from mai1.report.corpus_records import CorpusRecords, counts
from mai1.report.dataset import Counts, read_counts, sum_counts
from mai1.report.markup import Markup, absent, caption, details, element, section, table
from mai1.report.records import mapping, number
from mai1.report.scales import compact, grouped, percent

TITLE = "What became of the input"
MAX_REASONS = 400
MARKUP, PASSAGES = "inside documents", "dedup.passages"
STAGES = {
    "input": "reading",
    "url": "URL rules",
    "extraction": "extraction",
    MARKUP: "markup, boilerplate",
    "language": "language",
    "basic": "basic rules",
    "gopher": "Gopher rules",
    "repetition": "repetition rules",
    "c4": "C4 rules",
    "fineweb": "FineWeb rules",
    "empty": "nothing left",
    "contamination": "contamination",
    "dedup.exact": "exact copies",
    "dedup.near": "near copies",
    "scores": "scores",
    "limit": "byte limits",
    PASSAGES: "repeated passages",
}
"""Stages in their order, by the beginning of their reasons, and what they are called."""

BEFORE_TEXT = ("input", "url", "extraction")
"""Stages whose documents are counted in bytes as they were read, markup included."""

AFTER_STAGES = ("dedup.exact", "dedup.near", "scores", "limit", PASSAGES)
"""Steps that compare documents with each other, after every document went through the stages on its own."""


@dataclass(slots=True)
class Loss:
    """What one reason took away, source by source."""

    reason: str
    by_source: dict[str, Counts] = field(default_factory=dict)

    @property
    def stage(self) -> str:
        return stage_of(self.reason)

    @property
    def total(self) -> Counts:
        return sum_counts(list(self.by_source.values()))

    @property
    def mostly_in(self) -> str:
        return max(self.by_source, key=lambda name: (self.by_source[name].documents, self.by_source[name].bytes))


@dataclass(slots=True)
class Funnel:
    """All losses in the order of the stages, and what is left."""

    losses: list[Loss]
    kept: Counts

    @property
    def found(self) -> Counts:
        return sum_counts([self.kept, *(loss.total for loss in self.losses)])

    def by_stage(self) -> dict[str, Counts]:
        """What each stage took, in order."""
        stages = dict.fromkeys(loss.stage for loss in self.losses)
        return {s: sum_counts([loss.total for loss in self.losses if loss.stage == s]) for s in stages}


def stage_of(reason: str) -> str:
    """The stage that gives a reason; one that is not known is its own."""
    if reason in STAGES:
        return reason
    return reason.partition(".")[0]


def order_of(reason: str) -> tuple[int, str]:
    """Sorts reasons in the order of the stages; unknown ones come last."""
    stages = list(STAGES)
    stage = stage_of(reason)
    return (stages.index(stage) if stage in stages else len(stages), stage)


def funnel_of(records: CorpusRecords) -> Funnel:
    """Add up what the manifest and the tallies say; tokens of what was dropped are estimated from its bytes."""
    losses: dict[str, Loss] = {}
    kept = []
    for name, entry in records.sources.items():
        final = _final(entry)
        kept.append(final)
        for reason, lost in _losses_of(records, name, entry, final).items():
            losses.setdefault(reason, Loss(reason)).by_source[name] = lost
    ordered = sorted(losses.values(), key=lambda loss: (order_of(loss.reason), -loss.total.documents, loss.reason))
    return Funnel(ordered, sum_counts(kept))


def _final(entry: dict[str, Any]) -> Counts:
    """What was written of a source; a document with a held-out tail counts once."""
    written = sum_counts([read_counts(entry.get("train")), read_counts(entry.get("heldout"))])
    return Counts(documents=max(number(entry.get("kept")) or 0.0, 0.0), bytes=written.bytes, tokens=written.tokens)


def _losses_of(records: CorpusRecords, name: str, entry: dict[str, Any], final: Counts) -> dict[str, Counts]:
    """Every reason of a source, and the bytes that were taken out of documents that stayed.

    Bytes per token of what was kept hold for what was dropped; of pages that never became text only the share that other
    pages gave.
    """
    dropped = {reason: read_counts(value) for reason, value in mapping(entry.get("dropped")).items()}
    early = sum(lost.bytes for reason, lost in dropped.items() if stage_of(reason) in BEFORE_TEXT)
    late = sum(lost.bytes for reason, lost in dropped.items() if stage_of(reason) in AFTER_STAGES)
    middle = sum(lost.bytes for lost in dropped.values()) - early - late
    size = number(entry.get("bytes_read")) or 0.0
    curated = records.table(name, "kept").get("bytes", final.bytes + late)
    markup = max(size - early - middle - curated, 0.0)
    yielded = 1.0 - markup / (size - early) if size > early else 1.0
    rate = final.tokens / final.bytes if final.bytes else _mean_rate(records)
    for reason, lost in dropped.items():
        lost.tokens = lost.bytes * rate * (yielded if stage_of(reason) in BEFORE_TEXT else 1.0)
    for reason, documents in counts(entry.get("bad")).items():
        lost = dropped.setdefault(reason, Counts(documents=0.0, bytes=0.0, tokens=0.0))
        lost.documents += documents
    if markup:
        dropped[MARKUP] = Counts(documents=0.0, bytes=markup, tokens=0.0)
    cut = max(curated - late - final.bytes, 0.0)
    if cut and records.table(name, "edits").get(f"{PASSAGES}.characters"):
        documents = dropped[PASSAGES].documents if PASSAGES in dropped else 0.0
        dropped[PASSAGES] = Counts(documents=documents, bytes=cut, tokens=cut * rate)
    return dropped


def _mean_rate(records: CorpusRecords) -> float:
    size = records.totals.get("bytes", 0.0)
    return records.totals.get("tokens", 0.0) / size if size else 0.0


def funnel(records: CorpusRecords) -> Markup:
    """The picture, a table by stage, and one by reason."""
    figures = funnel_of(records)
    if not records.sources:
        return section("funnel", TITLE, absent("The manifest names no sources."))
    if not figures.losses:
        return section("funnel", TITLE, absent("Nothing was dropped."))
    note = (
        "Documents, bytes and tokens that are left after each stage, in the order of the stages; in orange what the stage "
        "took away. Bytes are those of the files as they were read until extraction has made text of them. Tokens of what "
        "was dropped are estimated: bytes by the bytes per token of what was kept of the same source."
    )
    if any(loss.stage == "limit" for loss in figures.losses):
        note += " Of a source with a byte limit no more may have been read than the limit takes."
    return section(
        "funnel",
        TITLE,
        caption(note),
        _legend(),
        funnel_chart(_rows(figures), panels=["documents", "bytes", "tokens (estimated)"]),
        _stage_table(figures),
        details(f"Every reason ({len(figures.losses)})", _reason_table(figures)),
    )


def _legend() -> Markup:
    names = {"p0": "left", "p2": "taken away"}
    chips = (element("span", element("i", class_=shade), name) for shade, name in names.items())
    return element("div", *chips, class_="legend parts")


def _rows(figures: Funnel) -> list[FunnelRow]:
    """What is left is counted from the end, so that the last row is what was written."""
    rows, left = [], figures.kept
    for stage, lost in reversed(figures.by_stage().items()):
        rows.append(FunnelRow(STAGES.get(stage, stage), _amounts(left), _amounts(lost)))
        left = sum_counts([left, lost])
    return [FunnelRow("found", _amounts(left), [0.0, 0.0, 0.0]), *reversed(rows)]


def _amounts(each: Counts) -> list[float]:
    return [each.documents, each.bytes, each.tokens]


def _stage_table(figures: Funnel) -> Markup:
    found, left = figures.found, figures.found
    rows: list[list[object]] = [["found", "", "", grouped(left.documents), *_sizes(left)]]
    for stage, lost in figures.by_stage().items():
        left = Counts(
            documents=left.documents - lost.documents, bytes=left.bytes - lost.bytes, tokens=left.tokens - lost.tokens
        )
        share = percent(lost.documents, found.documents)
        rows.append([STAGES.get(stage, stage), grouped(lost.documents), share, grouped(left.documents), *_sizes(left)])
    kept = figures.kept
    rows.append([element("b", "kept"), "", "", grouped(kept.documents), *_sizes(kept)])
    headers = ["stage", "documents dropped", "of all", "documents left", "bytes left", "tokens left"]
    return table(headers, rows)


def _reason_table(figures: Funnel) -> Markup:
    found = figures.found.documents
    rows = [
        [
            loss.reason,
            loss.mostly_in,
            grouped(loss.total.documents),
            percent(loss.total.documents, found),
            *_sizes(loss.total),
        ]
        for loss in figures.losses[:MAX_REASONS]
    ]
    headers = ["reason", "mostly in", "documents", "of all", "bytes", "tokens (estimated)"]
    return table(headers, rows, num_text_columns=2)


def _sizes(each: Counts) -> list[str]:
    return [compact(each.bytes) + "B", compact(each.tokens)]
