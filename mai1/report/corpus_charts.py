"""Charts of the corpus page: funnel and histogram; numbers in, one SVG out, no state and no files."""

from dataclasses import dataclass

import numpy as np

from mai1.report.charts import MARGIN_BOTTOM, MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, Frame, axes
from mai1.report.markup import Markup, element
from mai1.report.scales import Scale, compact, linear_ticks, percent, whole_ticks

ROW_HEIGHT, NAME_WIDTH, GAP, FIGURE_WIDTH = 24, 118, 14, 42


@dataclass(slots=True)
class FunnelRow:
    """One stage: in each panel how much is left after it and how much it took away."""

    name: str
    left: list[float]
    lost: list[float]


def funnel_chart(rows: list[FunnelRow], *, panels: list[str], width: int = 900) -> Markup:
    """A column of bars for each panel; all bars of a panel have one scale."""
    panel_width = (width - NAME_WIDTH) / len(panels)
    parts = [
        element("text", row.name, x=NAME_WIDTH - 8, y=_middle(at), dy="0.32em", text_anchor="end")
        for at, row in enumerate(rows)
    ]
    for number, panel in enumerate(panels):
        start = NAME_WIDTH + number * panel_width
        parts.append(element("text", panel, x=f"{start:.1f}", y=12))
        largest = max((row.left[number] + row.lost[number] for row in rows), default=0.0) or 1.0
        scale = (panel_width - GAP - FIGURE_WIDTH) / largest
        for at, row in enumerate(rows):
            parts += _funnel_bar(row, number, panel, start=start, middle=_middle(at), scale=scale)
    height = (len(rows) + 1) * ROW_HEIGHT
    view = f"0 0 {width} {height}"
    drawing = element("svg", *parts, viewBox=view, class_="bars", role="img", aria_label="funnel")
    return element("div", drawing, class_="scroll")


def _middle(row: int) -> float:
    return (row + 1.5) * ROW_HEIGHT - 2


def _funnel_bar(row: FunnelRow, number: int, panel: str, *, start: float, middle: float, scale: float) -> list[Markup]:
    parts, x = [], start
    whole = row.left[number] + row.lost[number]
    for shade, verb, size in (("p0", "left", row.left[number]), ("p2", "taken away", row.lost[number])):
        tip = f"{row.name} · {panel} {verb}: {compact(size)} ({percent(size, whole)} of what came in)"
        box = {"x": f"{x:.1f}", "y": middle - 8, "width": f"{size * scale:.1f}", "height": 16}
        if size > 0:
            parts.append(element("rect", element("title", tip), **box, class_=f"bar {shade}", data_tip=tip))
        x += size * scale
    parts.append(element("text", compact(row.left[number]), x=f"{x + 5:.1f}", y=middle, dy="0.32em"))
    return parts


def histogram(
    edges: list[float],
    layers: dict[str, list[float]],
    *,
    shades: dict[str, str],
    marks: dict[str, float],
    x_label: str,
    width: int = 460,
    height: int = 220,
) -> Markup:
    """Counts between edges, the layers (name to counts) on top of each other in their shades; `marks` are vertical lines."""
    totals = np.sum([np.array(sizes, dtype=np.float64) for sizes in layers.values()], axis=0)
    top = float(totals.max()) or 1.0
    frame = Frame(
        width=width,
        height=height,
        x=Scale(first=edges[0], last=edges[-1], start=MARGIN_LEFT, end=width - MARGIN_RIGHT),
        y=Scale(first=0.0, last=top * 1.05, start=height - MARGIN_BOTTOM, end=MARGIN_TOP),
        x_ticks=linear_ticks(edges[0], edges[-1], target=6),
        y_ticks=whole_ticks(0.0, top, target=4),
    )
    parts = [axes(frame, x_label)]
    base = np.zeros(len(totals))
    for name, sizes in layers.items():
        parts += [
            _column(frame, edges[at : at + 2], base[at], size, f"{name}: {compact(size)}", shades[name])
            for at, size in enumerate(sizes)
            if size > 0
        ]
        base += np.array(sizes, dtype=np.float64)
    parts += [_mark(frame, name, value) for name, value in marks.items() if edges[0] <= value <= edges[-1]]
    return element("svg", *parts, viewBox=f"0 0 {width} {height}", class_="histogram", role="img", aria_label=x_label)


def _column(frame: Frame, sides: list[float], base: float, size: float, words: str, shade: str) -> Markup:
    left, right = (float(frame.x(side)) for side in sides)
    bottom, top = float(frame.y(base)), float(frame.y(base + size))
    tip = f"{compact(sides[0])} to {compact(sides[1])} · {words}"
    box = {"x": f"{left:.1f}", "y": f"{top:.1f}", "width": f"{right - left:.1f}", "height": f"{bottom - top:.1f}"}
    return element("rect", element("title", tip), **box, class_=f"bar {shade}", data_tip=tip)


def _mark(frame: Frame, name: str, value: float) -> Markup:
    x = float(frame.x(value))
    line = element("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=MARGIN_TOP, y2=frame.height - MARGIN_BOTTOM, class_="level")
    is_left = x < frame.width / 2
    anchor = {"x": f"{x + (5 if is_left else -5):.1f}", "text_anchor": "start" if is_left else "end"}
    label = element("text", f"{name} {compact(value)}", y=MARGIN_TOP + 8, **anchor, class_="level-name")
    return element("g", line, label)
