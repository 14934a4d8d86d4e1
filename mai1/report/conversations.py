"""Conversations that a run was tuned on: how many of each source, how long, and how much of them is learned."""

from collections.abc import Callable
from typing import Any

from mai1.report.corpus_records import counts
from mai1.report.markup import Markup, absent, caption, element, figure, join, section, table
from mai1.report.records import RunRecords, mapping
from mai1.report.scales import grouped, percent
from mai1.report.tiles import Segment, stacked_bars

MAX_SOURCES = 100
NUM_SHADES = 7
TITLE = "Conversations"


def conversations(records: RunRecords) -> Markup:
    """A table of the sources and a chart of lengths for each file; a line where the run has none."""
    files = {split: mapping(entry) for split, entry in records.conversations.items()}
    if not files:
        return section("conversations", TITLE, absent("This run was not tuned on conversations."))
    parts = [part for split, entry in files.items() for part in _file(split, entry)]
    return section("conversations", TITLE, *parts)


def lengths_chart(by_source: dict[str, dict[str, float]], *, label: Callable[[str], str]) -> Markup:
    """Conversations by classes of their tokens, whose numbers `label` puts into words, the sources in shades."""
    classes = sorted({c for table in by_source.values() for c in table if c.isdecimal()}, key=lambda c: int(c[:9]))
    if not classes:
        return absent("No lengths of conversations.")
    shade = {name: f"p{min(number, NUM_SHADES)}" for number, name in enumerate(by_source)}
    bars = {
        label(each): [
            Segment(name=name, size=lengths[each], shade=shade[name])
            for name, lengths in by_source.items()
            if lengths.get(each)
        ]
        for each in classes
    }
    chips = [element("span", element("i", class_=shade[name]), name) for name in by_source]
    legend = element("div", *chips, class_="legend parts")
    drawn = stacked_bars(bars, unit="conversations", is_to_scale=True)
    return figure("Lengths", "conversations by their tokens.", join([legend, drawn]))


def _file(split: str, entry: dict[str, Any]) -> list[Markup]:
    sources = {name: mapping(figures) for name, figures in list(mapping(entry.get("sources")).items())[:MAX_SOURCES]}
    rows = [_row(name, figures) for name, figures in sources.items()]
    if len(rows) > 1:
        rows.append(_row("all", mapping(entry.get("all"))))
    headers = ["source", "read", "kept", "too long", "of them cut", "copies", "tokens", "learned", "longest"]
    lengths = {name: counts(figures.get("lengths")) for name, figures in sources.items()}
    return [caption(f"{split}: {entry.get('path')}"), table(headers, rows), lengths_chart(lengths, label=_up_to)]


def _row(name: str, entry: dict[str, Any]) -> list[str]:
    figures = counts(entry)
    keys = ("conversations", "kept", "too_long", "cut", "duplicates", "tokens")
    learned = percent(figures.get("supervised_tokens"), figures.get("tokens"))
    return [name, *(grouped(figures.get(key)) for key in keys), learned, grouped(figures.get("longest"))]


def _up_to(digits: str) -> str:
    return f"up to {grouped(float(digits[:9]))}"
