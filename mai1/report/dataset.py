"""Data of the report: what was read, what was kept, what was dropped and why."""

from typing import Any

from mai1.report.markup import Markup, absent, caption, details, element, join, passage, section, table
from mai1.report.records import DataRecords, RunRecords, mapping, number
from mai1.report.scales import compact, fixed, grouped, percent
from mai1.report.tiles import Segment, stacked_bars

NUM_REASON_SHADES = 5
MAX_BARS = 24
MAX_SAMPLES_PER_REASON = 3
TITLE = "Data kept and dropped"


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
    sources = {name: mapping(source) for name, source in mapping(data.manifest.get("sources")).items()}
    if not sources:
        return absent("No manifest.json that names its sources: how this data was made is not known.")
    reasons = _reasons_by_size(sources)
    biggest = sorted(sources, key=lambda name: -_bytes_read(sources[name]))[:MAX_BARS]
    bars = {name: _segments(sources[name], reasons) for name in biggest}
    more = f" The {MAX_BARS} largest of {len(sources)} sources." if len(sources) > MAX_BARS else ""
    return join(
        [
            caption(f"Share of each source's bytes; the figure at the right is their sum.{more}"),
            _legend(reasons),
            stacked_bars(bars, unit="bytes"),
            _source_table(sources, mapping(data.manifest.get("totals"))),
            details("Dropped, by reason", _reason_table(sources, reasons)),
            _dropped_samples(data.dropped_samples),
        ]
    )


def _segments(source: dict[str, Any], reasons: list[str]) -> list[Segment]:
    """Kept first, then the reasons, the rarest of them together."""
    dropped = mapping(source.get("dropped"))
    sizes = {reason: _figure(dropped.get(reason), "bytes") for reason in reasons}
    segments = [Segment(name="kept", size=_figure(source, "bytes_kept"), shade="p0")]
    segments.append(Segment(name="held out", size=_figure(source, "bytes_heldout"), shade="p1"))
    for index, reason in enumerate(reasons[:NUM_REASON_SHADES]):
        segments.append(Segment(name=reason, size=sizes[reason], shade=f"p{index + 2}"))
    rest = sum(sizes[reason] for reason in reasons[NUM_REASON_SHADES:])
    segments.append(Segment(name="other reasons", size=rest, shade="p7"))
    return [segment for segment in segments if segment.size > 0]


def _legend(reasons: list[str]) -> Markup:
    names = ["kept", "held out", *reasons[:NUM_REASON_SHADES]]
    chips = [element("span", element("i", class_=f"p{index}"), name) for index, name in enumerate(names)]
    if len(reasons) > NUM_REASON_SHADES:
        chips.append(element("span", element("i", class_="p7"), "other reasons"))
    return element("div", *chips, class_="legend parts")


def _source_table(sources: dict[str, dict[str, Any]], totals: dict[str, Any]) -> Markup:
    rows = [[name, *_source_figures(source)] for name, source in sources.items()]
    if totals:
        rows.append([element("b", "all"), *_source_figures({**_sum(sources), **totals})])
    headers = ["source", "documents read", "kept", "held out", "dropped", "kept text", "tokens", "bytes / token"]
    return table(headers, rows)


def _source_figures(source: dict[str, Any]) -> list[str]:
    read, kept = number(source.get("documents_read")), number(source.get("documents_kept"))
    heldout, tokens = number(source.get("documents_heldout")), number(source.get("tokens"))
    dropped = _total(source.get("dropped"), "documents")
    return [
        grouped(read),
        f"{grouped(kept)} ({percent(kept, read)})",
        grouped(heldout),
        grouped(dropped),
        compact(number(source.get("bytes_kept"))) + "B",
        grouped(tokens),
        fixed(number(source.get("bytes_per_token"))),
    ]


def _sum(sources: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Totals for a manifest that does not state them."""
    keys = ("documents_read", "documents_kept", "documents_heldout", "bytes_kept", "tokens")
    sums: dict[str, Any] = {key: sum(_figure(source, key) for source in sources.values()) for key in keys}
    sums["dropped"] = {
        name: {"documents": _total(source.get("dropped"), "documents")} for name, source in sources.items()
    }
    return sums


def _reason_table(sources: dict[str, dict[str, Any]], reasons: list[str]) -> Markup:
    """One row a reason with its totals and where it struck most."""
    rows = []
    for reason in reasons:
        by_source = {name: mapping(source.get("dropped")).get(reason) for name, source in sources.items()}
        documents = sum(_figure(figures, "documents") for figures in by_source.values())
        size = sum(_figure(figures, "bytes") for figures in by_source.values())
        most = max(by_source, key=lambda name: _figure(by_source[name], "bytes"))
        rows.append([reason, most, grouped(documents), grouped(size)])
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
            parts += [caption(str(sample.get("source", ""))), passage(sample.get("text", ""))]
    num_shown = sum(min(len(group), MAX_SAMPLES_PER_REASON) for group in by_reason.values())
    return details(f"Samples of dropped text ({num_shown} of {len(samples)})", *parts)


def _reasons_by_size(sources: dict[str, dict[str, Any]]) -> list[str]:
    sizes: dict[str, float] = {}
    for source in sources.values():
        for reason, figures in mapping(source.get("dropped")).items():
            sizes[reason] = sizes.get(reason, 0.0) + _figure(figures, "bytes")
    return sorted(sizes, key=lambda reason: (-sizes[reason], reason))


def _bytes_read(source: dict[str, Any]) -> float:
    kept = _figure(source, "bytes_kept") + _figure(source, "bytes_heldout")
    return kept + _total(source.get("dropped"), "bytes")


def _total(dropped: object, key: str) -> float:
    return sum(_figure(figures, key) for figures in mapping(dropped).values())


def _figure(figures: object, key: str) -> float:
    return number(mapping(figures).get(key)) or 0.0
