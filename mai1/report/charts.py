"""Line charts of the report: arrays in, one SVG out, no state and no files."""

import math
from dataclasses import dataclass

import numpy as np

from mai1.report.markup import Markup, element, join
from mai1.report.scales import (
    Scale,
    Thinned,
    compact,
    highest_shown,
    linear_ticks,
    logarithmic_ticks,
    padded_range,
    thin,
    tick_labels,
    whole_ticks,
)

NUM_COLOURS = 6
MAX_DOTS = 40
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 46, 10, 8, 34


@dataclass(kw_only=True, slots=True)
class Line:
    """One named line; `colour` counts through the page's palette."""

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: int = 0


@dataclass(kw_only=True, slots=True)
class Frame:
    """The two axes of a chart and the size of its drawing."""

    width: int
    height: int
    x: Scale
    y: Scale
    x_ticks: list[float]
    y_ticks: list[float]


def line_chart(
    lines: list[Line],
    *,
    x_label: str,
    levels: dict[str, float] | None = None,
    logarithmic: bool = False,
    width: int = 460,
    height: int = 250,
) -> Markup:
    """Lines over a common x axis, with `levels` as labelled dashed lines; empty if there is nothing finite to draw.

    A long line is drawn as the mean of each stretch with a band from its lowest to its highest value.
    """
    lines = [line for line in lines if (np.isfinite(line.x) & np.isfinite(line.y)).any()]
    if not lines:
        return Markup("")
    thinned = [thin(line.x, line.y) for line in lines]
    levels = levels or {}
    top = None if logarithmic else highest_shown(np.concatenate([line.high for line in thinned]))
    logarithmic = logarithmic and min(float(line.low.min()) for line in thinned) > 0
    frame = _frame(thinned, list(levels.values()), top=top, logarithmic=logarithmic, width=width, height=height)
    drawn = [_line(line, points, frame) for line, points in zip(lines, thinned, strict=True)]
    drawing = element(
        "svg",
        axes(frame, x_label),
        *(_level(name, value, frame) for name, value in levels.items()),
        *drawn,
        *([] if top is None else [_beyond(lines, top, frame)]),
        element("line", class_="cross", y1=MARGIN_TOP, y2=height - MARGIN_BOTTOM),
        viewBox=f"0 0 {width} {height}",
        class_="lines",
        role="img",
        aria_label=", ".join(f"{line.name}: {compact(float(line.y[-1]))} at the end" for line in lines),
        data_plot=f"{frame.x.start} {frame.x.end} {frame.x.first} {frame.x.last}",
        data_x=x_label,
    )
    return join([_legend(lines) if len(lines) > 1 else "", drawing])


def sparkline(values: np.ndarray, *, width: int = 120, height: int = 22) -> Markup:
    """A line without axes, to sit in a table cell."""
    line = thin(np.arange(len(values), dtype=np.float64), values, limit=120)
    if len(line.x) < 2:
        return Markup("")
    x = Scale(first=0, last=max(1.0, len(values) - 1.0), start=2, end=width - 2)
    low, high = padded_range(float(line.y.min()), float(line.y.max()))
    y = Scale(first=low, last=high, start=height - 2, end=2)
    path = element("path", d=polyline(x(line.x), y(line.y)), class_="line c0")
    return element("svg", path, viewBox=f"0 0 {width} {height}", class_="spark", aria_hidden="true")


def axes(frame: Frame, x_label: str, *, y_label: str = "", y_names: list[str] | None = None) -> Markup:
    """Grid lines, tick labels and the names of the axes, that of y upright; `y_names` stand for whole numbers from 0 on."""
    bottom, left, right = frame.height - MARGIN_BOTTOM, frame.x.start, frame.x.end
    parts: list[Markup] = []
    y_labels = [compact(tick) for tick in frame.y_ticks] if frame.y.logarithmic else tick_labels(frame.y_ticks)
    y_labels = [y_names[int(tick)] for tick in frame.y_ticks] if y_names else y_labels
    for value, label in zip(frame.y_ticks, y_labels, strict=True):
        y = _px(frame.y(value))
        parts.append(element("line", x1=left, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(element("text", label, x=left - 6, y=y, dy="0.32em", text_anchor="end"))
    parts.append(element("line", x1=left, x2=right, y1=bottom, y2=bottom, class_="axis"))
    for value, label in zip(frame.x_ticks, tick_labels(frame.x_ticks), strict=True):
        x = _px(frame.x(value))
        parts.append(element("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
        anchor = "end" if float(x) > right - 8 else "middle"
        parts.append(element("text", label, x=x, y=bottom + 15, text_anchor=anchor))
    parts.append(element("text", x_label, x=(left + right) / 2, y=frame.height - 4, text_anchor="middle"))
    if y_label:
        middle = (frame.y.start + frame.y.end) / 2
        place = {"x": 10, "y": f"{middle:.1f}", "transform": f"rotate(-90 10 {middle:.1f})", "text_anchor": "middle"}
        parts.append(element("text", y_label, **place))
    return element("g", *parts, class_="axes")


def polyline(x: np.ndarray, y: np.ndarray) -> str:
    """The `d` of a path through the points."""
    return "M" + "L".join(f"{_px(a)} {_px(b)}" for a, b in zip(x, y, strict=True))


def _frame(
    lines: list[Thinned], levels: list[float], *, top: float | None, logarithmic: bool, width: int, height: int
) -> Frame:
    lows = [float(line.low.min()) for line in lines] + levels
    highs = [float(line.high.max()) for line in lines] + levels
    low, high = padded_range(min(lows), max(highs) if top is None else top, logarithmic=logarithmic)
    if not logarithmic and min(lows) >= 0:
        low = max(low, 0.0)
    x_low, x_high = min(float(line.x.min()) for line in lines), max(float(line.x.max()) for line in lines)
    if x_low == x_high:
        x_low, x_high = padded_range(x_low, x_high)
    count = max(3, height // 45)
    return Frame(
        width=width,
        height=height,
        x=Scale(first=x_low, last=x_high, start=MARGIN_LEFT, end=width - MARGIN_RIGHT),
        y=Scale(first=low, last=high, start=height - MARGIN_BOTTOM, end=MARGIN_TOP, logarithmic=logarithmic),
        x_ticks=whole_ticks(x_low, x_high, target=max(3, width // 90)),
        y_ticks=(logarithmic_ticks if logarithmic else linear_ticks)(low, high, target=count),
    )


def _line(line: Line, points: Thinned, frame: Frame) -> Markup:
    x, y = frame.x(points.x), frame.y(points.y)
    kind = f"c{line.colour % NUM_COLOURS}"
    parts: list[Markup] = []
    if not np.array_equal(points.low, points.high):
        edge = np.concatenate([frame.y(points.high), frame.y(points.low)[::-1]])
        parts.append(element("path", d=polyline(np.concatenate([x, x[::-1]]), edge) + "Z", class_=f"band {kind}"))
    parts.append(element("path", d=polyline(x, y), class_=f"line {kind}"))
    if len(x) <= MAX_DOTS:
        parts.extend(
            element("circle", cx=_px(a), cy=_px(b), r=2.2, class_=f"dot {kind}") for a, b in zip(x, y, strict=True)
        )
    data_x = " ".join(f"{value:.7g}" for value in points.x)
    data_y = " ".join(f"{value:.5g}" for value in points.y)
    return element("g", *parts, class_="series", data_name=line.name, data_x=data_x, data_y=data_y)


def _level(name: str, value: float, frame: Frame) -> Markup:
    y = float(frame.y(value))
    right = frame.width - MARGIN_RIGHT
    line = element("line", x1=MARGIN_LEFT, x2=right, y1=_px(y), y2=_px(y), class_="level")
    label = element("text", f"{name} {value:.3f}", x=right, y=_px(y - 5), text_anchor="end", class_="level-name")
    return element("g", line, label)


def _beyond(lines: list[Line], top: float, frame: Frame) -> Markup:
    """A few points lie above the drawing: how many, and how high."""
    above = np.concatenate([line.y[np.isfinite(line.y) & (line.y > top)] for line in lines])
    text = f"↑ {len(above)} {'point' if len(above) == 1 else 'points'} above, up to {compact(float(above.max()))}"
    place = {"x": frame.x.start + 6, "y": MARGIN_TOP + 10, "class_": "level-name"}
    return element("text", text, **place)


def _legend(lines: list[Line]) -> Markup:
    chips = (element("span", element("i", class_=f"c{line.colour % NUM_COLOURS}"), line.name) for line in lines)
    return element("div", *chips, class_="legend")


def _px(value: float | np.ndarray) -> str:
    value = float(value)
    assert math.isfinite(value), "only finite values are drawn"
    return f"{value:.1f}"
