"""The drawings of the report are valid, bounded in size and say what the data say."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from mai1.report.charts import Line, line_chart
from mai1.report.markup import element, escape, passage, shortened, table
from mai1.report.scales import MAX_POINTS, compact, highest_shown, linear_ticks, logarithmic_ticks, thin, tick_labels
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


def painted(drawing: ElementTree.Element, shape: tuple[int, int]) -> np.ndarray:
    """The shade of each cell `[rows, columns]` as the strokes paint them; -1 where none does, never two on one cell."""
    shades = np.full(shape, -1)
    for path in drawing.iter("path"):
        for column, row, length in re.findall(r"M(\d+) (\d+)h(\d+)", path.get("d")):
            cells = shades[int(row), int(column) : int(column) + int(length)]
            assert len(cells) == int(length) and (cells == -1).all()
            cells[:] = int(path.get("class").removeprefix("h"))
    return shades


def test_a_heat_map_paints_each_cell_once_in_its_shade_and_fills_its_frame() -> None:
    ratios = np.random.default_rng(0).lognormal(size=(30, 8))
    drawing = parse(heat_map(ratios, np.arange(30.0)))
    assert (painted(drawing, (8, 30)) == shade_of(ratios).T).all()
    left, top, width, height = map(float, re.findall(r"[\d.]+", drawing.find(".//g[@class='cells']").get("transform")))
    start, end, first, last, _ = map(float, drawing.find("svg").get("data-plot").split())
    assert (left, left + 30 * width) == pytest.approx((start, end), abs=0.02)
    assert (top - height / 2, top - height / 2 + 8 * height) == pytest.approx((first, last), abs=0.02)


def test_columns_of_a_heat_map_are_equal_stretches_of_steps_also_where_records_are_uneven() -> None:
    steps = np.array([0.0, 1, 2, 3, 40, 41, 42, 43, 44, 80])
    ratios = np.where(steps < 40, 1.0, np.where(steps < 80, 2.0, 3.0))[:, None]
    drawing = parse(heat_map(ratios, steps, columns=9)).find("svg")
    edges = np.array(drawing.get("data-steps").split(), dtype=float)
    assert np.diff(edges) == pytest.approx(9) and (edges[0], edges[-1]) == (0, 81)
    load = drawing.get("data-load")
    assert [int(load[at : at + 2], 36) for at in range(0, 18, 2)] == [100] * 4 + [200] * 4 + [300]


def test_rows_of_a_heat_map_have_their_own_names() -> None:
    drawing = parse(heat_map(np.ones((3, 4)), np.arange(3.0), row="layer", names=["3", "4", "5", "7"]))
    words = [text.text for text in drawing.iter("text")]
    assert "layer" in words and {"3", "4", "5", "7"} <= set(words)
    assert drawing.find("svg").get("data-names") == "3 4 5 7"


def test_few_values_far_above_are_cut_off_and_said() -> None:
    y = np.linspace(4.0, 2.0, 100)
    y[60] = 9e9
    drawing = parse(line_chart([Line(name="loss", x=np.arange(100.0), y=y)], x_label="step"))
    labels = [text.text for text in drawing.iter("text")]
    assert "↑ 1 point above, up to 9B" in labels and "3.0" in labels
    assert "9e+09" in drawing.find(".//g[@class='series']").get("data-y")


@pytest.mark.parametrize("values", [[5.0, 5.1, 90.0], [0.0] * 99 + [1.0], list(np.linspace(10, 2, 300)), [3.0] * 50])
def test_nothing_is_cut_off_where_it_is_what_there_is_to_see(values: list[float]) -> None:
    assert highest_shown(np.array(values)) is None


@pytest.mark.parametrize("has_tips", [True, False])
@pytest.mark.parametrize("num_columns", [1, 7, 256])
def test_a_map_of_ratios_has_a_cell_for_each_but_those_that_are_no_number(has_tips: bool, num_columns: int) -> None:
    ratios = np.random.default_rng(0).lognormal(size=(3, num_columns))
    ratios[:, 0] = np.nan
    tips = [[f"<{row} {at}>" for at in range(num_columns)] for row in range(3)]
    drawing = parse(
        ratio_map(ratios, ["a", '<&"', "a very long name of a source"], tips=tips if has_tips else None, x_label="x")
    )
    if has_tips:
        cells = list(drawing.iter("rect"))
        assert [cell.get("data-tip") for cell in cells] == [tip for row in tips for tip in row[1:]]
        area = sum(float(cell.get("width")) for cell in cells)
    else:
        shades = painted(drawing, ratios.shape)
        area = (shades >= 0).sum() * (560 - 112 - 10) / num_columns
        assert (shades[:, 1:] == shade_of(ratios[:, 1:])).all()
    assert area == pytest.approx(3 * (560 - 112 - 10) * (num_columns - 1) / num_columns, rel=1e-2)


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
        (0, 2e22, ["0", "5e21", "1e22", "1.5e22", "2e22"]),
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
        (999e12, "999T"),
        (3e22, "3e22"),
    ],
)
def test_numbers_are_written_for_people(value: float | None, text: str) -> None:
    assert compact(value) == text


def test_all_text_is_escaped_and_markup_is_kept() -> None:
    assert escape("<b>\"'&") == "&lt;b&gt;&quot;&#x27;&amp;"
    assert parse(element("p", "\x00\x1b\ud800 <i>", element("b", "x"), title='"><script>')).find("p/b") is not None
    assert "<script>" not in table(["<script>"], [["<script>"]])


@pytest.mark.parametrize(
    ("name", "columns", "text"),
    [("docs", 4, "docs"), ("documents", 5, "docu…"), ("吾輩は猫", 8, "吾輩は猫"), ("吾輩は猫である", 8, "吾輩は…")],
)
def test_names_are_cut_by_the_room_their_letters_take(name: str, columns: int, text: str) -> None:
    assert shortened(name, columns) == text


def test_a_passage_without_visible_text_says_so() -> None:
    assert "empty" in passage("") and "nothing but 3 blanks" in passage(" \n\t")
