"""Instruction data of the corpus page: what was read, dropped and kept of each source, and how long conversations are."""

from typing import Any

from mai1.report.conversations import lengths_chart
from mai1.report.corpus_records import CorpusRecords, counts
from mai1.report.markup import Markup, absent, caption, section, table
from mai1.report.records import mapping
from mai1.report.scales import grouped, percent

MAX_SOURCES = 100
TITLE = "Instruction data"


def instruct(records: CorpusRecords) -> Markup:
    """Sums, a table of the sources, and a chart of lengths."""
    written = counts(records.manifest.get("instruct"))
    stated = statistics_of(records)
    if not stated and not any(written.values()):
        return section("instruct", TITLE, absent("No instruction data was prepared."))
    note = caption(
        f"{grouped(written.get('train'))} conversations to train on, {grouped(written.get('heldout'))} held out, questions made "
        "from docstrings included. Loss is taken on supervised tokens: what the assistant says."
    )
    if not stated:
        return section("instruct", TITLE, note, absent("No statistics by source."))
    by_source = {name: counts(entry.get("lengths")) for name, entry in stated.items()}
    return section("instruct", TITLE, note, _source_table(records, stated), lengths_chart(by_source, label=_tokens))


def statistics_of(records: CorpusRecords) -> dict[str, dict[str, Any]]:
    """What is known of each source of conversations, from its own file or the manifest."""
    stated = records.instruct or mapping(mapping(records.manifest.get("instruct")).get("sources"))
    return {name: mapping(entry) for name, entry in list(stated.items())[:MAX_SOURCES]}


def _source_table(records: CorpusRecords, stated: dict[str, dict[str, Any]]) -> Markup:
    configured = mapping(records.setting("instructions.sources"))
    rows = []
    for name, entry in stated.items():
        figures, dropped = counts(entry), counts(entry.get("dropped"))
        reasons = ", ".join(f"{reason} {grouped(number)}" for reason, number in dropped.items()) or "none"
        licence = str(mapping(configured.get(name)).get("licence") or "not stated")[:200]
        rows.append(
            [
                name,
                licence,
                reasons,
                grouped(figures.get("read")),
                grouped(figures.get("kept")),
                grouped(figures.get("preferences")),
                grouped(figures.get("tokens")),
                percent(figures.get("supervised_tokens"), figures.get("tokens")),
            ]
        )
    headers = ["source", "licence", "dropped", "read", "kept", "preferences", "tokens", "supervised"]
    return table(headers, rows, num_text_columns=3)


def _tokens(digits: str) -> str:
    power = max(int(digits[:9]) - 1, 0)
    return f"from {grouped(2.0 ** min(power, 60))}"
