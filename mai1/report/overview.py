"""Top of the report: what this run is and where it stands, in one glance."""

from typing import Any

import numpy as np

from mai1.report.alarms import alarm_counts
from mai1.report.attention import attention, not_finite
from mai1.report.markup import Markup, element, tile
from mai1.report.records import RunRecords, column, last_value, mapping, number
from mai1.report.scales import compact, fixed, grouped, percent
from mai1.report.setbacks import setback_counts


def overview(records: RunRecords, ancestors: list[RunRecords]) -> Markup:
    """The name of the run, what asks for attention, its figures, and what could not be read."""
    notes = [note for each in [records, *ancestors] for note in _named_notes(each, records)]
    return element(
        "header",
        element("h1", records.name),
        element("p", _subtitle(records, ancestors), class_="subtitle"),
        *(element("p", words, class_="note") for words in attention(records)),
        element("dl", *_tiles(records), class_="tiles"),
        *(element("p", note, class_="note") for note in notes),
    )


def _subtitle(records: RunRecords, ancestors: list[RunRecords]) -> str:
    parts = [records.run.get("stage"), _started(records.run.get("started"))]
    if ancestors:
        parts.append("from " + " ← ".join(each.name for each in ancestors))
    elif records.run.get("parent"):
        parts.append(f"from {records.run['parent']} (not found)")
    return " · ".join(str(part) for part in parts if part) or "no run.json yet"


def _started(when: object) -> str:
    """`started 2031-05-06 07:08`, as the run's machine wrote it."""
    return f"started {str(when).replace('T', ' ')[:16]}{' UTC' * str(when).endswith('+00:00')}" if when else ""


def _named_notes(each: RunRecords, current: RunRecords) -> list[str]:
    return [note if each is current else f"{each.name}: {note}" for note in each.notes]


def _tiles(records: RunRecords) -> list[Markup]:
    train, heldout = records.train, records.heldout
    step = last_value(sorted([*train, *heldout], key=lambda record: record["step"]), "step")
    tokens = max(last_value(train, "tokens") or 0, last_value(heldout, "tokens") or 0)
    throughput = last_value(train, "tokens_per_s")
    parameters = mapping(records.run.get("parameters"))
    total, active = number(parameters.get("total")), number(parameters.get("active"))
    return [
        tile("Step", grouped(step), *_planned(records, step), f"{compact(tokens)} tokens"),
        tile("Held-out loss", _newest(heldout), "nats / token", *_baselines(records)),
        tile("Held-out bits / byte", fixed(last_value(heldout, "bits_per_byte"))),
        tile("Training loss", _newest(train), *_non_finite(train)),
        tile("Tokens / s", compact(_median(train, "tokens_per_s")), f"last {compact(throughput)}"),
        tile("MFU", percent(_median(train, "mfu")), f"last {percent(last_value(train, 'mfu'))}"),
        tile("Parameters", compact(total), f"{compact(active)} active ({percent(active, total)})"),
        *_alarm_tile(train),
        *_setback_tile(records),
    ]


def _alarm_tile(train: list[dict[str, Any]]) -> list[Markup]:
    """How many alarms hold now; nothing for records that do not tell."""
    counts = alarm_counts(train)
    return [tile("Alarms", str(counts[0] or "none"), f"now; {counts[1]:,} earlier")] if counts else []


def _setback_tile(records: RunRecords) -> list[Markup]:
    """How many steps were skipped; nothing where all went well."""
    num_skipped, num_rollbacks = setback_counts(records)
    under = f"{num_rollbacks} {'return' if num_rollbacks == 1 else 'returns'} to a checkpoint"
    return [tile("Skipped steps", grouped(num_skipped), under)] if num_skipped or num_rollbacks else []


def _baselines(records: RunRecords) -> list[str]:
    values = ((name, number(value)) for name, value in records.baselines.items())
    return [f"{name} {fixed(value)}" for name, value in values if value is not None] or ["no baselines"]


def _planned(records: RunRecords, step: float | None) -> list[str]:
    planned = records.planned_steps
    return [f"of {grouped(planned)} ({percent(step, planned)})"] if planned else []


def _newest(evaluations: list[dict[str, Any]]) -> str:
    """The newest loss, that of the language model alone where it is told; a diverged one must not hide behind an older."""
    if not evaluations:
        return fixed(None)
    newest = evaluations[-1]
    loss = number(newest.get("lm_loss", newest.get("loss")))
    return fixed(loss) if loss is not None or "loss" not in newest else "NaN/inf"


def _non_finite(train: list[dict[str, Any]]) -> list[str]:
    """How many logged losses were not finite, and the last that was."""
    bad = not_finite(train)
    if not bad:
        return ["nats / token"]
    words = [f"{len(bad)} not finite, first at step {grouped(bad[0]['step'])}"]
    finite = last_value(train, "lm_loss") or last_value(train, "loss")
    return [*words, f"last finite: {fixed(finite)}"] if train[-1] is bad[-1] else words


def _median(train: list[dict[str, Any]], key: str) -> float | None:
    """The middle of all logged values: one slow step does not speak for the run."""
    values = column(train, key)
    return float(np.nanmedian(values)) if np.isfinite(values).any() else None
