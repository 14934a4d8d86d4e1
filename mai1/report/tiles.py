"""Heat maps and stacked bars of the report: arrays in, one SVG out, no state and no files."""

from dataclasses import dataclass

import numpy as np

from mai1.report.charts import MARGIN_BOTTOM, MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, Frame, axes
from mai1.report.markup import Markup, element, shortened
from mai1.report.scales import Scale, compact, percent, whole_ticks
from mai1.report.style import NUM_SHADES

MIN_COLUMNS, MAX_COLUMNS = 24, 200
MAX_CELLS = 400_000
LARGEST_RATIO = 4.0
MAX_SIGN = 2
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(kw_only=True, slots=True)
class Segment:
    """One part of a stacked bar; `shade` names its colour class."""

    name: str
    size: float
    shade: str


def heat_map(
    ratios: np.ndarray,
    steps: np.ndarray,
    *,
    row: str = "expert",
    names: list[str] | None = None,
    columns: int = MAX_COLUMNS,
    width: int = 560,
) -> Markup:
    """Ratios over time, `ratios` [records, rows]: one row each, called `row` and its name or number.

    Columns are equal stretches of steps, at most `columns`; the records of a stretch are averaged, and one without any
    looks like the one before. The exact values ride along in `data-load`, two base-36 digits a cell counting hundredths,
    for the pointer to read.
    """
    edges, means = _by_stretch(ratios, steps, columns)
    cells = means.T
    num_rows = len(cells)
    cell_height = float(np.clip(256 / num_rows, 1.5, 14.0))
    frame = _heat_frame(edges, num_rows, height=num_rows * cell_height, width=width)
    cell_width = (frame.x.end - frame.x.start) / len(means)
    return element(
        "svg",
        _cells(shade_of(cells), frame.x.start, MARGIN_TOP, cell_width, cell_height),
        axes(frame, "step", y_label=row, y_names=names),
        element("rect", class_="cell"),
        viewBox=f"0 0 {width} {frame.height}",
        class_="heat",
        role="img",
        aria_label=f"{num_rows} rows, one for each {row}: at most {compact(float(ratios.max()))} times the uniform share",
        data_plot=f"{frame.x.start} {frame.x.end} {MARGIN_TOP} {frame.y.end:.2f} {num_rows}",
        data_row=row,
        data_names=" ".join(names) if names else None,
        data_steps=" ".join(f"{step:.0f}" for step in edges),
        data_load="".join(_two_digits(value) for value in cells.ravel()),
    )


def _by_stretch(ratios: np.ndarray, steps: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """The edges of equal stretches of steps, and the mean of each, `[stretches, rows]`."""
    interval = float(np.median(np.diff(steps))) if len(steps) > 1 else 1.0
    length = steps[-1] - steps[0] + interval
    num_stretches = int(np.clip(round(length / interval), 1, columns))
    edges = steps[0] + length / num_stretches * np.arange(num_stretches + 1)
    place = np.searchsorted(edges, steps + 1e-6 * interval, side="right") - 1
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    means = np.add.reduceat(ratios, starts, axis=0) / np.diff([*starts, len(steps)])[:, None]
    return edges, means[np.searchsorted(place[starts], np.arange(num_stretches), side="right") - 1]


def columns_within_budget(num_maps: int, num_experts: int) -> int:
    """Columns of each heat map so that the page stays light with many layers of many experts."""
    return int(np.clip(MAX_CELLS // max(1, num_maps * num_experts), MIN_COLUMNS, MAX_COLUMNS))


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
    row_height, name_width = 19, 112
    num_rows, num_columns = ratios.shape
    x = np.linspace(name_width, width - MARGIN_RIGHT, num_columns + 1)
    y = row_height * np.arange(num_rows + 1.0)
    shades = np.where(np.isnan(ratios), -1, shade_of(ratios))
    labels = (
        element("text", shortened(name, 15), x=name_width - 7, y=f"{middle:.1f}", dy="0.32em", text_anchor="end")
        for name, middle in zip(names, y + row_height / 2, strict=False)
    )
    ticks = (
        element(
            "text", f"{tick:.0f}", x=f"{(x[int(tick)] + x[int(tick) + 1]) / 2:.1f}", y=y[-1] + 15, text_anchor="middle"
        )
        for tick in whole_ticks(0, num_columns - 1, target=8)
    )
    if tips is None:
        cells = [_cells(shades, name_width, 0, x[1] - x[0], row_height)]
    else:
        cells = [_cell(shades[row, at], tips[row][at], x[at : at + 2], y[row]) for row, at in np.argwhere(shades >= 0)]
    height = round(y[-1]) + MARGIN_BOTTOM
    axis = element("text", x_label, x=(name_width + width) / 2, y=height - 3, text_anchor="middle")
    drawing = element("svg", *cells, *labels, *ticks, axis, viewBox=f"0 0 {width} {height}", class_="map", role="img")
    return element("div", drawing, class_="scroll")


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
        rows.append(element("text", shortened(name, 18), x=name_width - 8, y=middle, dy="0.32em", text_anchor="end"))
        for segment in segments:
            length = segment.size / ((largest or 1.0) if is_to_scale else total) * (width - name_width - total_width)
            label = f"{name} · {segment.name}: {compact(segment.size)} {unit} ({percent(segment.size, total)})"
            box = {"x": f"{x:.2f}", "y": row * row_height + 4, "width": f"{length:.2f}", "height": row_height - 8}
            rows.append(element("rect", element("title", label), **box, class_=f"bar {segment.shade}", data_tip=label))
            x += length
        rows.append(element("text", _with_unit(total, unit), x=x + 8, y=middle, dy="0.32em"))
    drawing = element("svg", *rows, viewBox=f"0 0 {width} {len(bars) * row_height}", class_="bars", role="img")
    return element("div", drawing, class_="scroll")


def _with_unit(total: float, unit: str) -> str:
    """What stands behind a bar: with its unit where that is a sign, not a word that the chart's title says."""
    sign = {"bytes": "B"}.get(unit) or (f" {unit}" if len(unit) <= MAX_SIGN else "")
    return compact(total) + sign


def _heat_frame(edges: np.ndarray, num_rows: int, *, height: float, width: int) -> Frame:
    first, last = float(edges[0]), float(edges[-1])
    bottom = MARGIN_TOP + height
    return Frame(
        width=width,
        height=round(bottom) + MARGIN_BOTTOM,
        x=Scale(first=first, last=last, start=MARGIN_LEFT, end=width - MARGIN_RIGHT),
        y=Scale(first=-0.5, last=num_rows - 0.5, start=MARGIN_TOP, end=bottom),
        x_ticks=whole_ticks(first, last, target=6),
        y_ticks=whole_ticks(0, num_rows - 1, target=4),
    )


def _cells(shades: np.ndarray, left: float, top: float, width: float, height: float) -> Markup:
    """Equal cells `[rows, columns]` of shades, -1 being none: a path a shade, a stroke for neighbours of one row.

    Counted in cells and scaled as a whole, a stroke takes some eight letters of the page, an outline thirty.
    """
    paths = []
    for shade in np.unique(shades[shades >= 0]):
        padded = np.pad((shades == shade).astype(np.int8), ((0, 0), (1, 1)))
        edges = np.diff(padded, axis=1)
        rows, begins = np.nonzero(edges == 1)
        lengths = np.nonzero(edges == -1)[1] - begins
        strokes = (f"M{a} {b}h{c}" for a, b, c in zip(begins.tolist(), rows.tolist(), lengths.tolist(), strict=True))
        paths.append(element("path", d="".join(strokes), class_=f"h{shade}"))
    place = f"translate({left:.2f} {top + height / 2:.2f}) scale({width:.5g} {height:.5g})"
    return element("g", *paths, transform=place, class_="cells")


def _two_digits(ratio: float) -> str:
    hundredths = 0 if ratio != ratio else min(int(round(float(ratio) * 100)), 36 * 36 - 1)
    return DIGITS[hundredths // 36] + DIGITS[hundredths % 36]
