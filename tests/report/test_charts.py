"""The drawings of the report are valid, bounded in size and say what the data say."""

from xml.etree import ElementTree

import numpy as np
import pytest

from mai1.report.charts import Line, line_chart
from mai1.report.markup import element, escape, table
from mai1.report.scales import MAX_POINTS, compact, linear_ticks, logarithmic_ticks, thin, tick_labels
from mai1.report.style import DARK_SHADES, LIGHT_SHADES, NUM_SHADES, blend
from mai1.report.tiles import MAX_COLUMNS, Segment, heat_map, ratio_map, shade_of, stacked_bars


def parse(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<root>{markup}</root>")


@pytest.mark.parametrize("num_points", [1, 2, 3, 5000])
@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_line_chart_is_well_formed_with_any_number_of_points(num_points: int, logarithmic: bool) -> None:
    line = Line(name='<&"', x=np.arange(num_points) * 1e6, y=np.full(num_points, 2.5))
    chart = line_chart([line], x_label="tokens", levels={"<level>": 3.0}, logarithmic=logarithmic)
    assert parse(chart).find(".//path") is not None


def test_a_long_line_is_thinned_and_its_band_keeps_the_extremes() -> None:
    y = np.zeros(100_000)
    y[51_234], y[7] = 9.0, -4.0
    line = thin(np.arange(100_000.0), y)
    assert len(line.x) == len(line.y) == MAX_POINTS
    assert (line.high.max(), line.low.min()) == (9.0, -4.0)
    assert line.y.max() < 1


def test_values_that_are_not_finite_leave_no_mark() -> None:
    y = np.array([1.0, np.nan, np.inf, 2.0])
    chart = line_chart([Line(name="loss", x=np.arange(4.0), y=y)], x_label="step")
    assert [group.get("data-y") for group in parse(chart).iter("g") if group.get("data-y")] == ["1 2"]
    assert line_chart([Line(name="loss", x=np.arange(4.0), y=np.full(4, np.nan))], x_label="step") == ""


def test_a_logarithmic_axis_with_a_zero_becomes_linear() -> None:
    line = Line(name="norm", x=np.arange(3.0), y=np.array([0.0, 1.0, 2.0]))
    assert "<svg" in line_chart([line], x_label="step", logarithmic=True)


def test_a_heat_map_has_bounded_columns_and_carries_every_value() -> None:
    ratios = np.ones((5000, 64))
    ratios[:, 3] = 2.5
    drawing = parse(heat_map(ratios, np.arange(5000.0))).find("svg")
    steps, load = drawing.get("data-steps").split(), drawing.get("data-load")
    assert len(steps) == MAX_COLUMNS + 1
    assert len(load) == 2 * 64 * MAX_COLUMNS
    assert int(load[2 * 3 * MAX_COLUMNS :][:2], 36) == 250


def test_a_heat_map_covers_each_cell_exactly_once() -> None:
    ratios = np.random.default_rng(0).lognormal(size=(30, 8))
    paths = [path.get("d") for path in parse(heat_map(ratios, np.arange(30.0))).iter("path")]
    boxes = [box.replace("M", "").split("H") for path in paths for box in path.split("Z") if box]
    widths = sum(float(end.split("V")[0]) - float(start.split()[0]) for start, end, _ in boxes)
    assert widths == pytest.approx(8 * (560 - 46 - 10), rel=1e-3)


@pytest.mark.parametrize("has_tips", [True, False])
@pytest.mark.parametrize("num_columns", [1, 7, 256])
def test_a_map_of_ratios_has_a_cell_for_each_but_those_that_are_no_number(has_tips: bool, num_columns: int) -> None:
    ratios = np.random.default_rng(0).lognormal(size=(3, num_columns))
    ratios[:, 0] = np.nan
    tips = [[f"<{row} {at}>" for at in range(num_columns)] for row in range(3)]
    drawing = parse(
        ratio_map(ratios, ["a", '<&"', "a very long name of a source"], tips=tips if has_tips else None, x_label="x")
    )
    cells = list(drawing.iter("rect" if has_tips else "path"))
    if has_tips:
        assert [cell.get("data-tip") for cell in cells] == [tip for row in tips for tip in row[1:]]
        area = sum(float(cell.get("width")) for cell in cells)
    else:
        boxes = [box for cell in cells for box in cell.get("d").split("Z") if box]
        area = sum(float(box.split("H")[1].split("V")[0]) - float(box[1:].split()[0]) for box in boxes)
    assert area == pytest.approx(3 * (560 - 98 - 10) * (num_columns - 1) / num_columns, rel=1e-2)


def test_the_uniform_share_is_the_middle_shade_and_shades_are_symmetric() -> None:
    shades = shade_of(np.array([0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 64.0]))
    assert shades.tolist() == [0, 0, 3, 6, 9, 12, 12]
    for anchors in (LIGHT_SHADES, DARK_SHADES):
        assert len(set(blend(anchors, NUM_SHADES))) == NUM_SHADES


def test_the_segments_of_a_bar_fill_it_in_proportion() -> None:
    segments = [Segment(name="kept", size=300, shade="p0"), Segment(name="x", size=100, shade="p2")]
    bars = stacked_bars({"a<b": segments}, unit="B")
    first, second = (float(box.get("width")) for box in parse(bars).iter("rect"))
    assert first == pytest.approx(3 * second)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 2_100_000, ["0", "0.5M", "1M", "1.5M", "2M"]),
        (0, 2000, ["0", "500", "1,000", "1,500", "2,000"]),
        (2.9, 4.6, ["3.0", "3.5", "4.0", "4.5"]),
        (0, 0.001, ["0", "2e-4", "4e-4", "6e-4", "8e-4", "1e-3"]),
        (-1, 1, ["-1.0", "-0.5", "0", "0.5", "1.0"]),
    ],
)
def test_ticks_are_round_and_short(low: float, high: float, labels: list[str]) -> None:
    assert tick_labels(linear_ticks(low, high)) == labels


def test_logarithmic_ticks_stay_inside_the_range() -> None:
    assert logarithmic_ticks(0.09, 11) == pytest.approx([0.1, 0.2, 0.5, 1, 2, 5, 10])
    assert logarithmic_ticks(0.4, 0.6) == pytest.approx([0.4, 0.45, 0.5, 0.55, 0.6])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1_500_000, "1.5M"),
        (999_999, "1M"),
        (0.3125, "0.312"),
        (0, "0"),
        (2e-4, "2e-4"),
        (None, "–"),
        (-81920, "-81.9k"),
    ],
)
def test_numbers_are_written_for_people(value: float | None, text: str) -> None:
    assert compact(value) == text


def test_all_text_is_escaped_and_markup_is_kept() -> None:
    assert escape("<b>\"'&") == "&lt;b&gt;&quot;&#x27;&amp;"
    assert parse(element("p", "\x00\x1b\ud800 <i>", element("b", "x"), title='"><script>')).find("p/b") is not None
    assert "<script>" not in table(["<script>"], [["<script>"]])
