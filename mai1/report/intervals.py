"""Intervals of the report: a point and what it may be off, one row a name, over a common axis."""

import math
from dataclasses import dataclass

from mai1.report.charts import Frame, axes
from mai1.report.markup import Markup, element, shortened
from mai1.report.scales import Scale, linear_ticks, padded_range

WIDTH, NAME_WIDTH, ROW_HEIGHT, AXIS_HEIGHT, MARGIN = 760, 200, 24, 40, 16
MAX_NAME = 26


@dataclass(kw_only=True, slots=True)
class Interval:
    """One row; `low` and `high` equal `value` where nothing is known of its error."""

    name: str
    value: float
    low: float
    high: float
    tip: str
    chance: float | None = None
    """What guessing gives, as a mark across the row."""


def interval_chart(rows: list[Interval], *, x_label: str) -> Markup:
    """A point and a line for each row, in their order; empty where no value is finite."""
    rows = [row for row in rows if math.isfinite(row.value) and math.isfinite(row.low) and math.isfinite(row.high)]
    if not rows:
        return Markup("")
    chances = [row.chance for row in rows if row.chance is not None]
    low, high = padded_range(min([*chances, *(r.low for r in rows)]), max([*chances, *(r.high for r in rows)]))
    height = len(rows) * ROW_HEIGHT + AXIS_HEIGHT
    x = Scale(first=low, last=high, start=NAME_WIDTH, end=WIDTH - MARGIN)
    y = Scale(first=0, last=1, start=0, end=1)
    ticks = linear_ticks(low, high, target=6)
    frame = Frame(width=WIDTH, height=height, x=x, y=y, x_ticks=ticks, y_ticks=[])
    parts = [part for place, row in enumerate(rows) for part in _row(row, place * ROW_HEIGHT, x)]
    view = f"0 0 {WIDTH} {height}"
    return element(
        "div", element("svg", axes(frame, x_label), *parts, viewBox=view, class_="bars", role="img"), class_="scroll"
    )


def _row(row: Interval, top: float, x: Scale) -> list[Markup]:
    middle, left, right = top + ROW_HEIGHT / 2, float(x(row.low)), float(x(row.high))
    name = element("text", shortened(row.name, MAX_NAME), x=NAME_WIDTH - 12, y=middle, dy="0.32em", text_anchor="end")
    line = element("path", d=f"M{left:.1f} {middle}H{right:.1f}", class_="line c0")
    point = element("circle", cx=f"{float(x(row.value)):.1f}", cy=middle, r="4.5", class_="dot c0")
    area = {"x": NAME_WIDTH, "y": top, "width": WIDTH - NAME_WIDTH - MARGIN, "height": ROW_HEIGHT}
    hover = element("rect", element("title", row.tip), **area, class_="hover", data_tip=row.tip)
    chance = []
    if row.chance is not None:
        at = float(x(row.chance))
        chance = [element("path", d=f"M{at:.1f} {middle - 8}V{middle + 8}", class_="chance")]
    return [name, *chance, line, point, hover]
