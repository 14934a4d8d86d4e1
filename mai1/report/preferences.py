"""The report's pages on tuning: how far routing moved from the start model's, and pairs of answers that are ranked rightly."""

import math
from typing import Any

import numpy as np

from mai1.report.charts import Line, line_chart
from mai1.report.markup import Markup, absent, caption, element, figure, section, table
from mai1.report.records import RunRecords, column, number
from mai1.report.scales import fixed, percent

TITLE = "Tuning: routing and preferences"


def preferences(records: RunRecords) -> Markup:
    """Charts of what was measured, and the pairs before and after; a line where nothing was."""
    routing = [
        _chart(records.routing, "kl", "Routing: KL(start || now)", "nats, mean over layers and held-out tokens"),
        _chart(records.routing, "changed", "Routing: other experts", "share of held-out tokens"),
    ]
    pairs = [
        _chart(records.pairs, "preference_accuracy", "Held-out pairs ranked rightly", "by reward; 0.5 is chance"),
        _chart(records.pairs, "reward_margin", "Held-out reward margin", "better minus worse answer"),
        _chart(records.train, "reward_margin", "Training reward margin", "of each logged step's pairs"),
        _chart(records.train, "log_ratio", "Answers against the reference", "nats per token; above 0 is likelier"),
    ]
    charts = [chart for chart in (*routing, *pairs) if chart]
    if not charts:
        return section("tuning", TITLE, absent("This run is no tuning, or measured neither routing nor pairs."))
    parts = [element("div", *charts, class_="three")]
    if records.pairs:
        parts += [_before_and_after(records.pairs[0], records.pairs[-1])]
    return section("tuning", TITLE, *parts)


def _before_and_after(first: dict[str, Any], last: dict[str, Any]) -> Markup:
    """Shares with their standard errors, sqrt(p (1 - p) / pairs)."""
    rows = [
        [name, *(_share(record, key) for record in (first, last))]
        for name, key in (("ranked rightly by reward", "preference_accuracy"), ("better answer likelier", "likelier"))
        if key in last
    ]
    names = (("reward margin", "reward_margin"), ("loss", "loss"), ("better answer, nats per token", "nats_chosen"))
    if "reference_point" in last:
        names += (("reference point, nats", "reference_point"),)
    rows += [[name, *(fixed(number(record.get(key)), 4) for record in (first, last))] for name, key in names]
    note = caption(f"{last.get('pairs')} pairs that training never saw. A pair whose two values are equal counts half.")
    headers = ["held-out pairs", f"step {first['step']}", f"step {last['step']}"]
    return element("div", note, table(headers, rows))


def _share(record: dict[str, Any], key: str) -> str:
    share, count = number(record.get(key)), number(record.get("pairs"))
    if share is None or not count:
        return percent(share)
    return f"{percent(share)} ± {percent(math.sqrt(share * (1 - share) / count))}"


def _chart(records: list[dict[str, Any]], key: str, title: str, note: str) -> Markup | None:
    values = column(records, key)
    if not np.isfinite(values).any():
        return None
    line = Line(name=title, x=column(records, "step"), y=values)
    return figure(title, note, line_chart([line], x_label="step", width=340, height=180))
