"""The report's mixture: each source's share of the rows and its training loss, over the run."""

from typing import Any

import numpy as np

from mai1.report.charts import sparkline
from mai1.report.markup import Markup, absent, caption, section, table
from mai1.report.records import RunRecords, column, last_value, mapping
from mai1.report.scales import fixed, percent

TITLE = "Training text by source"


def mixture(records: RunRecords) -> Markup:
    """A row for each source; shares alone where rows are mixed by weights."""
    by_step = [mapping(record.get("sources")) for record in records.train]
    names = sorted({name for sources in by_step for name in sources})
    if not names:
        return section("mixture", TITLE, absent("No training loss by source has been logged."))
    figures = {name: [mapping(sources.get(name)) for sources in by_step] for name in names}
    has_weights = any("weight" in record for name in names for record in figures[name])
    headers = [
        "source",
        *(["", "weight at first", "weight now"] if has_weights else []),
        "",
        "loss at first",
        "loss now",
    ]
    rows = [[name, *(_weights(figures[name]) if has_weights else []), *_losses(figures[name])] for name in names]
    words = "The weight is the wanted share of the rows. " if has_weights else ""
    note = caption(f"{words}Losses are those of each logged step's own rows, in nats per token.")
    return section("mixture", TITLE, note, table(headers, rows))


def _weights(figures: list[dict[str, Any]]) -> list[Markup | str]:
    first, now = last_value(figures[::-1], "weight"), last_value(figures, "weight")
    return [sparkline(column(figures, "weight")), percent(first), percent(now)]


def _losses(figures: list[dict[str, Any]]) -> list[Markup | str]:
    losses = column(figures, "loss")
    losses = losses[np.isfinite(losses)]  # a step without rows of the source has none
    return [sparkline(losses), fixed(last_value(figures[::-1], "loss"), 4), fixed(last_value(figures, "loss"), 4)]
