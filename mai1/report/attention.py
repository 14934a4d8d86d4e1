"""Attention of the report: what asks for it now, in words, before all figures."""

from typing import Any

from mai1.report.alarms import alarm_histories
from mai1.report.markup import Markup, element, join
from mai1.report.records import RunRecords, last_value, number
from mai1.report.scales import fixed, grouped

RISE = 1.02
"""The newest held-out loss over the best, from which on it is said."""

MAX_LAYERS = 6


def attention(records: RunRecords) -> list[Markup]:
    """A sentence for each, the gravest first; none where all is well."""
    found = [_diverged(records.train, "training"), _diverged(records.heldout, "held-out"), _rising(records.heldout)]
    return [warning for warning in found if warning] + _alarms(records.train)


def not_finite(logged: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records with a loss that is no finite number."""
    return [record for record in logged if "loss" in record and number(record["loss"]) is None]


def _diverged(logged: list[dict[str, Any]], kind: str) -> Markup | None:
    bad = not_finite(logged)
    if not bad or logged[-1] is not bad[-1]:
        return None
    finite = last_value(logged, "loss")
    before = f"; the last finite one was {fixed(finite)}" if finite is not None else ""
    heading = element("b", f"The newest {kind} loss, at step {grouped(logged[-1]['step'])}, is not finite")
    return join([heading, f"{before}. {len(bad):,} of {len(logged):,} are not."])


def _rising(heldout: list[dict[str, Any]]) -> Markup | None:
    """The held-out loss where it stands above its best: overfitting, or the beginning of a divergence."""
    newest = number(heldout[-1].get("loss")) if heldout else None
    if newest is None:
        return None
    known = [record for record in heldout if number(record.get("loss")) is not None]
    best = min(known, key=lambda record: number(record["loss"]))
    lowest = number(best["loss"])
    if lowest <= 0 or newest < RISE * lowest:
        return None
    heading = element("b", f"The held-out loss has risen to {fixed(newest)}")
    return join([heading, f" from {fixed(lowest)} at step {grouped(best['step'])}, its best."])


def _alarms(train: list[dict[str, Any]]) -> list[Markup]:
    """One sentence for each figure whose alarm holds now, with what can be done about it."""
    layers: dict[tuple[str, str], list[str]] = {}
    for history in alarm_histories(train):
        if history.spans[-1].is_active:
            layers.setdefault((history.name, history.mend), []).append(history.layer)
    return [
        join(
            [
                element("b", f"Alarm: {name} in layer {_listed(named)}"),
                f". {mend[:1].upper()}{mend[1:]}." if mend else ".",
            ]
        )
        for (name, mend), named in layers.items()
    ]


def _listed(layers: list[str]) -> str:
    more = len(layers) - MAX_LAYERS
    return ", ".join(layers[:MAX_LAYERS]) + (f" and {more} more" if more > 0 else "")
