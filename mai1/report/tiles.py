"""Heat maps and stacked bars of the report: arrays in, one SVG out, no state and no files."""

from dataclasses import dataclass

import numpy as np

from mai1.report.charts import MARGIN_BOTTOM, MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, Frame, axes
from mai1.report.markup import Markup, element
from mai1.report.scales import Scale, compact, percent, stretches, whole_ticks
from mai1.report.style import NUM_SHADES

MAX_COLUMNS = 200
MAX_CELLS = 400_000
LARGEST_RATIO = 4.0
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(kw_only=True, slots=True)
class Segment:
    """One part of a stacked bar; `shade` names its colour class."""

    name: str
    size: float
    shade: str


def heat_map(ratios: np.ndarray, steps: np.ndarray, *, columns: int = MAX_COLUMNS, width: int = 560) -> Markup:
    """Expert load over time: `ratios` [records, experts], each load divided by the uniform share.

    Neighbouring records are averaged until at most `columns` remain. The exact values ride along in `data-load`, two
    base-36 digits a cell counting hundredths, for the pointer to read.
    """
    starts = stretches(len(steps), columns)
    sizes = np.diff([*starts, len(steps)])
    cells = (np.add.reduceat(ratios, starts, axis=0) / sizes[:, None]).T
    num_experts = len(cells)
    cell_height = float(np.clip(256 / num_experts, 1.5, 14.0))
    edges = np.append(steps[starts], steps[-1] + _interval(steps))
    frame = _heat_frame(edges, num_experts, height=num_experts * cell_height, width=width)
    x = frame.x(edges)
    y = MARGIN_TOP + cell_height * np.arange(num_experts + 1)
    shades = shade_of(cells)
    paths = (_shade(shades, shade, x, y) for shade in range(NUM_SHADES))
    return element(
        "svg",
        *(path for path in paths if path),
        axes(frame, "step"),
        element("rect", class_="cell"),
        viewBox=f"0 0 {width} {frame.height}",
        class_="heat",
        role="img",
        aria_label=f"load of {num_experts} experts, at most {compact(float(ratios.max()))} times the uniform share",
        data_plot=f"{frame.x.start} {frame.x.end} {MARGIN_TOP} {y[-1]:.2f} {num_experts}",
        data_steps=" ".join(f"{step:.0f}" for step in edges),
        data_load="".join(_two_digits(value) for value in cells.ravel()),
    )


def columns_within_budget(num_maps: int, num_experts: int) -> int:
    """Columns of each heat map so that the page stays light with many layers of many experts."""
    return int(np.clip(MAX_CELLS // max(1, num_maps * num_experts), 40, MAX_COLUMNS))


def shade_of(ratios: np.ndarray) -> np.ndarray:
    """The shade of each ratio: equal steps of the logarithm from 1/4 to 4 times the uniform share, the middle is 1."""
    largest = np.log2(LARGEST_RATIO)
    position = np.log2(np.clip(np.nan_to_num(ratios, nan=1.0), 1 / LARGEST_RATIO, LARGEST_RATIO)) / largest
    return np.rint((position + 1) / 2 * (NUM_SHADES - 1)).astype(int)


def ratio_map(
    ratios: np.ndarray, names: list[str], *, tips: list[list[str]] | None, x_label: str, width: int = 560
) -> Markup:
    """Named rows of ratios `[rows, columns]` against 1 in the middle of the colours; a NaN leaves its cell empty.

    With `tips` each cell says its own under the pointer; without, cells of one colour are one path and the page is light.
    """
    row_height, name_width = 19, 98
    num_rows, num_columns = ratios.shape
    x = np.linspace(name_width, width - MARGIN_RIGHT, num_columns + 1)
    y = row_height * np.arange(num_rows + 1.0)
    shades = np.where(np.isnan(ratios), -1, shade_of(ratios))
    labels = (
        element("text", _cut(name, 15), x=name_width - 7, y=f"{middle:.1f}", dy="0.32em", text_anchor="end")
        for name, middle in zip(names, y + row_height / 2, strict=False)
    )
    ticks = (
        element(
            "text", f"{tick:.0f}", x=f"{(x[int(tick)] + x[int(tick) + 1]) / 2:.1f}", y=y[-1] + 15, text_anchor="middle"
        )
        for tick in whole_ticks(0, num_columns - 1, target=8)
    )
    if tips is None:
        cells = [path for shade in range(NUM_SHADES) if (path := _shade(shades, shade, x, y))]
    else:
        cells = [_cell(shades[row, at], tips[row][at], x[at : at + 2], y[row]) for row, at in np.argwhere(shades >= 0)]
    height = round(y[-1]) + MARGIN_BOTTOM
    axis = element("text", x_label, x=(name_width + width) / 2, y=height - 3, text_anchor="middle")
    return element("svg", *cells, *labels, *ticks, axis, viewBox=f"0 0 {width} {height}", class_="map", role="img")


def _cell(shade: int, tip: str, sides: np.ndarray, top: float) -> Markup:
    box = {"x": f"{sides[0]:.2f}", "y": f"{top:.1f}", "width": f"{sides[1] - sides[0]:.2f}", "height": 19}
    return element("rect", element("title", tip), **box, class_=f"h{shade}", data_tip=tip)


def heat_legend(middle: str = "uniform") -> Markup:
    """The colours of a heat map with the ratios they stand for, `middle` being 1."""
    cells = [element("i", class_=f"h{shade}") for shade in range(NUM_SHADES)]
    labels = element("span", "≤ ¼×"), element("span", "½×"), element("span", middle), element("span", "2×")
    scale = element("span", *labels, element("span", "≥ 4×"), class_="scale")
    return element("div", element("span", *cells, class_="cells"), scale, class_="heat-legend")


def stacked_bars(bars: dict[str, list[Segment]], *, unit: str, is_to_scale: bool = False, width: int = 760) -> Markup:
    """One horizontal bar a name: the shares of its segments, each bar filling the width or, to scale, the largest alone."""
    row_height, name_width, total_width = 26, 130, 70
    largest = max((sum(segment.size for segment in segments) for segments in bars.values()), default=0.0)
    rows: list[Markup] = []
    for row, (name, segments) in enumerate(bars.items()):
        total = sum(segment.size for segment in segments) or 1.0
        x, middle = float(name_width), row * row_height + row_height / 2
        rows.append(element("text", _cut(name, 18), x=name_width - 8, y=middle, dy="0.32em", text_anchor="end"))
        for segment in segments:
            length = segment.size / ((largest or 1.0) if is_to_scale else total) * (width - name_width - total_width)
            label = f"{name} · {segment.name}: {compact(segment.size)} {unit} ({percent(segment.size, total)})"
            box = {"x": f"{x:.2f}", "y": row * row_height + 4, "width": f"{length:.2f}", "height": row_height - 8}
            rows.append(element("rect", element("title", label), **box, class_=f"bar {segment.shade}", data_tip=label))
            x += length
        rows.append(element("text", compact(total), x=x + 8, y=middle, dy="0.32em"))
    return element("svg", *rows, viewBox=f"0 0 {width} {len(bars) * row_height}", class_="bars", role="img")


def _interval(steps: np.ndarray) -> float:
    """The usual distance between records: the width of the last one."""
    return float(np.median(np.diff(steps))) if len(steps) > 1 else 1.0


def _heat_frame(edges: np.ndarray, num_experts: int, *, height: float, width: int) -> Frame:
    first, last = float(edges[0]), float(edges[-1])
    bottom = MARGIN_TOP + height
    return Frame(
        width=width,
        height=round(bottom) + MARGIN_BOTTOM,
        x=Scale(first=first, last=last, start=MARGIN_LEFT, end=width - MARGIN_RIGHT),
        y=Scale(first=-0.5, last=num_experts - 0.5, start=MARGIN_TOP, end=bottom),
        x_ticks=whole_ticks(first, last, target=6),
        y_ticks=whole_ticks(0, num_experts - 1, target=4),
    )


def _shade(shades: np.ndarray, shade: int, x: np.ndarray, y: np.ndarray) -> Markup | None:
    """All cells of one shade as one path; neighbours in time are joined."""
    padded = np.pad((shades == shade).astype(np.int8), ((0, 0), (1, 1)))
    edges = np.diff(padded, axis=1)
    rows, begins = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    boxes = (
        f"M{x[begin]:.1f} {y[row]:.2f}H{x[end]:.1f}V{y[row + 1]:.2f}H{x[begin]:.1f}Z"
        for row, begin, end in zip(rows, begins, ends, strict=True)
    )
    path = "".join(boxes)
    return element("path", d=path, class_=f"h{shade}") if path else None


def _two_digits(ratio: float) -> str:
    hundredths = 0 if ratio != ratio else min(int(round(float(ratio) * 100)), 36 * 36 - 1)
    return DIGITS[hundredths // 36] + DIGITS[hundredths % 36]


def _cut(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
