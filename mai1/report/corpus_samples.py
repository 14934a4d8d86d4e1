"""Texts of the corpus page: for each reason what was dropped, next to what was kept of the same source."""

from typing import Any

from mai1.report.corpus_funnel import Loss, funnel_of, order_of
from mai1.report.corpus_records import CorpusRecords
from mai1.report.markup import Markup, absent, caption, details, element, passage, section
from mai1.report.scales import grouped

NUM_OPEN_REASONS = 3
MAX_PAIRS = 4
MAX_REASONS = 200
MAX_NAME = 160
TITLE = "Dropped and kept"
NO_RULES = ("dedup.exact", "dedup.near", "dedup.passages", "limit")
"""What drops good text too: copies, and what was too much."""


def samples(records: CorpusRecords) -> Markup:
    """Reason by reason; those that dropped most are open."""
    by_reason = grouped_by(records.dropped_samples, "reason")
    by_reason = {reason: found for reason, found in by_reason.items() if order_of(reason)[1] != "input"}
    if not by_reason:
        return section(
            "samples", TITLE, absent("No samples of dropped text."), *_kept_alone(records, "Samples of kept text")
        )
    losses = {loss.reason: loss for loss in funnel_of(records).losses}
    ordered = sorted(by_reason, key=lambda reason: (order_of(reason), reason))[:MAX_REASONS]
    rules = [reason for reason in ordered if order_of(reason)[1] not in NO_RULES]
    largest = sorted(rules, key=lambda reason: -_documents(losses.get(reason)))[:NUM_OPEN_REASONS]
    kept = grouped_by(records.kept_samples, "source")
    shown = {reason: _pairs(by_reason[reason], kept, skip=number * MAX_PAIRS) for number, reason in enumerate(ordered)}
    note = (
        "Left what a rule dropped, with what was measured and what it had to be; right what was kept of the same source. "
        "Samples are chosen by hash, so they are even. The rules that dropped most are open."
    )
    parts = [_open(reason, losses.get(reason), shown[reason]) for reason in largest]
    parts += [details(_title(reason, losses.get(reason)), shown[reason]) for reason in ordered if reason not in largest]
    return section("samples", TITLE, caption(note), *parts, *_kept_alone(records, "More of what was kept"))


def grouped_by(records: list[dict[str, Any]], key: str) -> dict[str, list[dict[str, Any]]]:
    """Records by the text that they have under a key."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(str(record.get(key)), []).append(record)
    return groups


def beginning(record: dict[str, Any], *, label: str) -> Markup:
    """The beginning of a document under its source, name and what was measured."""
    facts = [label, *(str(record[key])[:MAX_NAME] for key in ("source", "name", "language") if record.get(key))]
    detail = caption(str(record["detail"])[:MAX_NAME]) if record.get("detail") else ""
    heading = element("h4", " · ".join(fact for fact in facts if fact))
    return element("div", heading, detail, passage(record.get("text", "")))


def _open(reason: str, loss: Loss | None, pairs: Markup) -> Markup:
    return element("div", element("h3", _title(reason, loss)), pairs)


def _title(reason: str, loss: Loss | None) -> str:
    if not loss:
        return reason
    number = loss.total.documents
    return f"{reason}: {grouped(number)} {'document' if number == 1 else 'documents'}, mostly in {loss.mostly_in}"


def _documents(loss: Loss | None) -> float:
    return loss.total.documents if loss else 0.0


def _pairs(dropped: list[dict[str, Any]], kept: dict[str, list[dict[str, Any]]], *, skip: int) -> Markup:
    """Dropped samples of all sources in turn, each beside a kept one of its source; `skip` shows others for each reason."""
    rows = []
    for number, record in enumerate(_in_turn(dropped)[:MAX_PAIRS]):
        stayed = kept.get(str(record.get("source")), [])
        right = beginning(stayed[(skip + number) % len(stayed)], label="kept") if stayed else ""
        rows.append(element("div", beginning(record, label="dropped"), right, class_="sides"))
    return element("div", *rows)


def _in_turn(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One of each source, then the second of each, and so on."""
    groups = grouped_by(records, "source").values()
    longest = max(map(len, groups), default=0)
    return [group[place] for place in range(longest) for group in groups if place < len(group)]


def _kept_alone(records: CorpusRecords, title: str) -> list[Markup]:
    if not records.kept_samples:
        return [absent("No samples of kept text.")]
    chosen = [beginning(record, label="kept") for record in _in_turn(records.kept_samples)[: 6 * MAX_PAIRS]]
    return [details(f"{title} ({len(chosen)})", element("div", *chosen, class_="sides"))]
