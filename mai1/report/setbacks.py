"""Setbacks of the report: steps that the guard refused, what was found about them, and returns to a checkpoint."""

from collections.abc import Iterable
from typing import Any

from mai1.report.markup import Markup, absent, caption, details, element, section, table
from mai1.report.records import RunRecords, mapping, number
from mai1.report.scales import compact, grouped

TITLE = "Setbacks"
MAX_ROWS = 200
MAX_SUSPECTS = 3


def setbacks(records: RunRecords) -> Markup:
    """Which steps were refused, and which were undone."""
    bad_steps, rollbacks = all_bad_steps(records), all_rollbacks(records)
    if not bad_steps and not rollbacks:
        return section("setbacks", TITLE, absent("None: no step was refused, and none was undone."))
    note = (
        "Steps that were not finite or a spike. A transient result changed when it was computed again: a fault of the machine. "
        "A persistent one came again: it lies in the data or the numbers."
    )
    shown = table(_HEADERS, map(_bad_step_row, bad_steps[:MAX_ROWS]), num_text_columns=4)
    more = len(bad_steps) - MAX_ROWS
    return section(
        "setbacks",
        TITLE,
        caption(note),
        _rollback_list(rollbacks),
        details(f"All {len(bad_steps):,}", shown) if len(bad_steps) > 12 else shown,
        caption(f"And {more:,} more in metrics.jsonl.") if more > 0 else "",
    )


def setback_counts(records: RunRecords) -> tuple[int, int]:
    """Steps that were skipped, those undone later included, and returns to a checkpoint."""
    num_skipped = sum(record.get("kind") == "skipped" for record in all_bad_steps(records))
    return num_skipped, len(all_rollbacks(records))


def all_bad_steps(records: RunRecords) -> list[dict[str, Any]]:
    """Refused steps in the order they came, each marked `is_undone` if the run went back before it."""
    undone = [record | {"is_undone": True} for record in _flattened(records.rollbacks) if _is_bad_step(record)]
    return sorted([*undone, *filter(_is_bad_step, records.setbacks)], key=lambda record: record["step"])


def all_rollbacks(records: RunRecords) -> list[dict[str, Any]]:
    """Returns to a checkpoint, those that were undone by a later one included, in the order they came."""
    found = [record for record in _flattened(records.rollbacks) if record.get("kind") == "rollback"]
    return sorted(found, key=lambda record: number(record.get("rollbacks")) or 0)


def _flattened(rollbacks: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Rollbacks and all that they undid."""
    for rollback in rollbacks:
        yield rollback
        undone = rollback.get("undone")
        yield from _flattened(filter(_has_step, undone) if isinstance(undone, list) else ())


def _has_step(record: object) -> bool:
    return number(mapping(record).get("step")) is not None


def _is_bad_step(record: dict[str, Any]) -> bool:
    return record.get("kind") in ("skipped", "fault")


def _rollback_list(rollbacks: list[dict[str, Any]]) -> Markup | str:
    if not rollbacks:
        return ""
    items = (
        f"After step {_step(record, -1)}, back to before step {_step(record, 0)}. From there on every step trains on the rows of "
        f"{grouped(number(record.get('data_offset')))} steps later."
        for record in rollbacks
    )
    return element("ul", *(element("li", item) for item in items))


def _step(rollback: dict[str, Any], place: int) -> str:
    undone = rollback.get("undone_steps")
    return grouped(number(undone[place])) if isinstance(undone, list) and undone else "–"


_HEADERS = ["step", "outcome", "reason", "where", "loss", "gradient norm", "rows"]


def _bad_step_row(record: dict[str, Any]) -> list[object]:
    outcome = "skipped" if record.get("kind") == "skipped" else "applied from the second run"
    return [
        grouped(number(record["step"])),
        f"{outcome}, undone later" if record.get("is_undone") else outcome,
        f"{record.get('reason')} ({record.get('finding')})",
        _suspects(record.get("suspects")),
        *(_figure(record.get(key)) for key in ("loss", "grad_norm")),
        _rows(record.get("samples")),
    ]


def _suspects(suspects: object) -> str:
    known = [mapping(suspect) for suspect in suspects] if isinstance(suspects, list) else []
    parts = []
    for suspect in known[:MAX_SUSPECTS]:
        layer = "" if suspect.get("layer") is None else f", layer {suspect['layer']}"
        parts.append(
            f"rank {suspect.get('rank')} on {suspect.get('host')}{layer}, rows {_rows(suspect.get('samples'))}"
        )
    more = len(known) - MAX_SUSPECTS
    return "; ".join(parts) + (f"; {more} more" if more > 0 else "")


def _rows(samples: object) -> str:
    is_range = isinstance(samples, list) and len(samples) == 2
    return f"{grouped(number(samples[0]))}–{grouped(number(samples[1]))}" if is_range else "–"


def _figure(value: object) -> str:
    """A number, or the word that stands for one that is not finite."""
    return value if isinstance(value, str) else compact(number(value))
