"""Data of the report: what was read, what was kept, what was dropped and why."""

from dataclasses import dataclass
from typing import Any

from mai1.report.markup import Markup, absent, caption, details, element, join, passage, section, table
from mai1.report.records import DataRecords, RunRecords, mapping, number
from mai1.report.scales import compact, fixed, grouped, percent
from mai1.report.tiles import Segment, stacked_bars

NUM_REASON_SHADES = 5
MAX_BARS = 24
MAX_SAMPLES_PER_REASON = 3
TITLE = "Data kept and dropped"


@dataclass(kw_only=True, slots=True)
class Counts:
    """Documents, UTF-8 bytes and tokens of a part of a source."""

    documents: float
    bytes: float
    tokens: float


@dataclass(kw_only=True, slots=True)
class SourceCounts:
    """What became of a source: every document is trained on, held out, or dropped for a reason."""

    documents_read: float
    documents_kept: float
    train: Counts
    heldout: Counts
    dropped: dict[str, Counts]

    @property
    def bytes_read(self) -> float:
        return self.train.bytes + self.heldout.bytes + sum(counts.bytes for counts in self.dropped.values())


def dataset(records: RunRecords, ancestors: list[RunRecords]) -> Markup:
    """The data of this stage, then that of earlier stages where it is another directory."""
    parts: list[Markup] = []
    seen = set()
    for each in [records, *ancestors]:
        if each.data is None or each.data.directory.resolve() in seen:
            continue
        seen.add(each.data.directory.resolve())
        heading = element("h3", f"Data of {each.name}") if each is not records or parts else ""
        parts.append(join([heading, _one_directory(each.data)]))
    if not parts:
        named = records.run.get("data")
        text = f"The data directory {named} was not found." if named else "The run does not name its data directory."
        parts = [absent(text)]
    return section("data", TITLE, *parts)


def _one_directory(data: DataRecords) -> Markup:
    stated = mapping(data.manifest.get("sources"))
    sources = {name: read_source(mapping(entry)) for name, entry in stated.items()}
    if not sources:
        return absent("No manifest.json that names its sources: how this data was made is not known.")
    reasons = reasons_by_size(sources)
    return join(
        [
            source_bars(sources, reasons),
            _source_table(sources),
            details("Dropped, by reason", _reason_table(sources, reasons)),
            _dropped_samples(data.dropped_samples),
        ]
    )


def source_bars(sources: dict[str, SourceCounts], reasons: list[str]) -> Markup:
    """A bar for each source: its bytes by what became of them."""
    biggest = sorted(sources, key=lambda name: -sources[name].bytes_read)[:MAX_BARS]
    bars = {name: _segments(sources[name], reasons) for name in biggest}
    more = f" The {MAX_BARS} largest of {len(sources)} sources." if len(sources) > MAX_BARS else ""
    note = caption(f"Share of each source's bytes; the figure at the right is their sum.{more}")
    return join([note, _legend(reasons), stacked_bars(bars, unit="bytes")])


def read_source(entry: dict[str, Any]) -> SourceCounts:
    """A source's entry in the manifest; what is missing counts as nothing."""
    dropped = {reason: read_counts(counts) for reason, counts in mapping(entry.get("dropped")).items()}
    return SourceCounts(
        documents_read=number(entry.get("read")) or 0.0,
        documents_kept=number(entry.get("kept")) or 0.0,
        train=read_counts(entry.get("train")),
        heldout=read_counts(entry.get("heldout")),
        dropped=dropped,
    )


def read_counts(entry: object) -> Counts:
    """Counts as a manifest states them; what is missing, or no count, is nothing."""
    keys = ("documents", "bytes", "tokens")
    documents, size, tokens = (max(number(mapping(entry).get(key)) or 0.0, 0.0) for key in keys)
    return Counts(documents=documents, bytes=size, tokens=tokens)


def _segments(source: SourceCounts, reasons: list[str]) -> list[Segment]:
    """Kept first, then the reasons, the rarest of them together."""
    sizes = {reason: source.dropped[reason].bytes for reason in reasons if reason in source.dropped}
    segments = [Segment(name="training", size=source.train.bytes, shade="p0")]
    segments.append(Segment(name="held out", size=source.heldout.bytes, shade="p1"))
    for index, reason in enumerate(reasons[:NUM_REASON_SHADES]):
        segments.append(Segment(name=reason, size=sizes.get(reason, 0.0), shade=f"p{index + 2}"))
    rest = sum(sizes.get(reason, 0.0) for reason in reasons[NUM_REASON_SHADES:])
    segments.append(Segment(name="other reasons", size=rest, shade="p7"))
    return [segment for segment in segments if segment.size > 0]


def _legend(reasons: list[str]) -> Markup:
    names = ["training", "held out", *reasons[:NUM_REASON_SHADES]]
    chips = [element("span", element("i", class_=f"p{index}"), name) for index, name in enumerate(names)]
    if len(reasons) > NUM_REASON_SHADES:
        chips.append(element("span", element("i", class_="p7"), "other reasons"))
    return element("div", *chips, class_="legend parts")


def _source_table(sources: dict[str, SourceCounts]) -> Markup:
    rows = [[name, *_source_figures(source)] for name, source in sources.items()]
    if len(sources) > 1:
        rows.append([element("b", "all"), *_source_figures(_sum(list(sources.values())))])
    headers = ["source", "documents read", "kept", "dropped", "text to train on", "held out", "tokens", "held out"]
    return table([*headers, "bytes / token"], rows)


def _source_figures(source: SourceCounts) -> list[str]:
    size, tokens = source.train.bytes + source.heldout.bytes, source.train.tokens + source.heldout.tokens
    return [
        grouped(source.documents_read),
        f"{grouped(source.documents_kept)} ({percent(source.documents_kept, source.documents_read)})",
        grouped(sum(counts.documents for counts in source.dropped.values())),
        compact(source.train.bytes) + "B",
        compact(source.heldout.bytes) + "B",
        grouped(source.train.tokens),
        grouped(source.heldout.tokens),
        fixed(size / tokens if tokens else None),
    ]


def _sum(sources: list[SourceCounts]) -> SourceCounts:
    dropped = [counts for source in sources for counts in source.dropped.values()]
    return SourceCounts(
        documents_read=sum(source.documents_read for source in sources),
        documents_kept=sum(source.documents_kept for source in sources),
        train=sum_counts([source.train for source in sources]),
        heldout=sum_counts([source.heldout for source in sources]),
        dropped={"all": sum_counts(dropped)},
    )


def sum_counts(counts: list[Counts]) -> Counts:
    """All of them together."""
    return Counts(
        documents=sum(each.documents for each in counts),
        bytes=sum(each.bytes for each in counts),
        tokens=sum(each.tokens for each in counts),
    )


def _reason_table(sources: dict[str, SourceCounts], reasons: list[str]) -> Markup:
    """One row a reason with its totals and where it struck most."""
    rows = []
    for reason in reasons:
        struck = {name: source.dropped[reason] for name, source in sources.items() if reason in source.dropped}
        total = sum_counts(list(struck.values()))
        most = max(struck, key=lambda name: struck[name].bytes)
        rows.append([reason, most, grouped(total.documents), grouped(total.bytes)])
    return table(["reason", "mostly in", "documents", "bytes"], rows, num_text_columns=2)


def _dropped_samples(samples: list[dict[str, Any]]) -> Markup:
    if not samples:
        return absent("No samples of dropped text were kept.")
    by_reason: dict[str, list[dict[str, Any]]] = {}
    for sample in samples:
        by_reason.setdefault(str(sample.get("reason")), []).append(sample)
    parts = []
    for reason, group in sorted(by_reason.items()):
        parts.append(element("h3", reason))
        for sample in group[:MAX_SAMPLES_PER_REASON]:
            parts += [caption(_origin(sample)), passage(sample.get("text", ""))]
    num_shown = sum(min(len(group), MAX_SAMPLES_PER_REASON) for group in by_reason.values())
    return details(f"Samples of dropped text ({num_shown} of {len(samples)})", *parts)


def _origin(sample: dict[str, Any]) -> str:
    return " · ".join(str(sample[key]) for key in ("source", "name") if sample.get(key))


def reasons_by_size(sources: dict[str, SourceCounts]) -> list[str]:
    """Reasons by the bytes that they dropped, the largest first."""
    sizes: dict[str, float] = {}
    for source in sources.values():
        for reason, counts in source.dropped.items():
            sizes[reason] = sizes.get(reason, 0.0) + counts.bytes
    return sorted(sizes, key=lambda reason: (-sizes[reason], reason))
