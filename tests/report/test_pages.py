"""What a person sees first, what stays small, and what says in which unit it is."""

import re
from pathlib import Path

import numpy as np
import pytest

from mai1.report.build import build_report
from mai1.report.evaluation import write_evaluation_page
from mai1.report.experts import experts
from mai1.report.inspect import build_inspection
from mai1.report.inspect_figures import MAX_EXPERTS
from mai1.report.inspect_input import Inspection, Layer, Passage
from mai1.report.intervals import Interval, interval_chart
from mai1.report.markup import absent, section
from mai1.report.page import page
from mai1.report.records import read_run
from mai1.report.tiles import Segment, stacked_bars
from tests.report.conftest import heldout_record, train_record, write_json, write_lines

MEGABYTE = 1_000_000


def head_of(run: Path) -> str:
    """The words above the first section."""
    text = build_report(run).read_text(encoding="utf-8")
    assert "could not be drawn" not in text
    return re.sub("<[^>]+>", " ", text[text.index("<header>") : text.index("</header>")])


def many_layers(num_layers: int, num_experts: int, num_records: int) -> list[dict]:
    """Records of a large model: loads of every expert of every layer, the last layer the least even."""
    rng = np.random.default_rng(0)
    records = []
    for step in range(1, num_records + 1):
        loads = rng.dirichlet(np.full(num_experts, 8.0), size=num_layers).astype(float)
        loads[-1, 0] += 0.5
        loads[-1] /= loads[-1].sum()
        layers = {str(n + 3): {"load": load.round(6).tolist(), "entropy": 5.0} for n, load in enumerate(loads)}
        records.append({"kind": "train", "step": 100 * step, "tokens": 1e6 * step, "loss": 3.0, "layers": layers})
    return records


def test_a_run_that_is_well_begins_with_its_figures(finished_run: Path) -> None:
    write_lines(finished_run / "metrics.jsonl", [train_record(step) | {"alarms": []} for step in range(1, 7)])
    assert 'class="note"' not in build_report(finished_run).read_text()


@pytest.mark.parametrize("kind", ["training", "held-out"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", '"nan"'])
def test_a_loss_that_is_not_finite_is_said_first_and_hides_behind_no_older_one(
    finished_run: Path, kind: str, value: str
) -> None:
    name = "train" if kind == "training" else "heldout"
    with (finished_run / "metrics.jsonl").open("a") as file:
        file.write(f'{{"kind":"{name}","step":7,"tokens":57344,"loss":{value},"lm_loss":{value}}}\n')
    head = head_of(finished_run)
    assert f"The newest {kind} loss, at step 7, is not finite" in head and "NaN/inf" in head
    assert head.index("is not finite") < head.index("Tokens / s")


def test_a_run_that_recovered_is_not_called_diverged(finished_run: Path) -> None:
    records = [train_record(step) for step in range(1, 7)]
    records[2]["loss"] = records[2]["lm_loss"] = float("nan")
    write_lines(finished_run / "metrics.jsonl", records)
    head = head_of(finished_run)
    assert "The newest" not in head and "1 not finite, first at step 3" in head


def test_alarms_that_hold_now_are_said_with_their_mend_and_those_that_are_over_are_not(finished_run: Path) -> None:
    head = head_of(finished_run)
    assert "Alarm: dead experts in layer 2" in head and "Do something about dead_experts." in head
    assert "Alarm: max violation" not in head


def test_a_held_out_loss_that_rises_is_said_with_its_best(finished_run: Path) -> None:
    held = [heldout_record(2, 3.0), heldout_record(4, 2.5), heldout_record(6, 2.6)]
    write_lines(finished_run / "metrics.jsonl", [*(train_record(step) for step in range(1, 7)), *held])
    assert re.search(r"risen to 2\.600\s+from 2\.500 at step 4", head_of(finished_run))
    held[-1]["loss"] = 2.52
    write_lines(finished_run / "metrics.jsonl", [*(train_record(step) for step in range(1, 7)), *held])
    assert "risen" not in head_of(finished_run)


def test_the_step_stands_beside_those_that_were_planned(finished_run: Path) -> None:
    (finished_run / "config.yaml").write_text(
        "run:\n  name: x\ntrain:\n  log_every: 2\n  steps: 24\nguard:\n  steps: 9\n"
    )
    assert re.search(r"6\s+of 24 \(25\.0%\)", head_of(finished_run))


def test_links_lead_to_the_sections_that_have_something_to_show(finished_run: Path) -> None:
    text = build_report(finished_run).read_text()
    links = re.findall(r'<a href="#([^"]*)">', text)
    assert len(links) > 8 and "evaluation" not in links and "loss" in links
    for target in links:
        assert f'<section id="{target}">' in text
    assert '<section id="evaluation" class="empty">' in text


def test_a_page_of_few_sections_has_no_links() -> None:
    assert "<nav>" not in page("x", section("a", "A", "text"), section("b", "B", absent("nothing")))


def test_many_layers_of_many_experts_stay_light_and_begin_with_all_layers(tmp_path: Path) -> None:
    write_lines(tmp_path / "metrics.jsonl", many_layers(num_layers=58, num_experts=256, num_records=30))
    drawn = experts(read_run(tmp_path))
    assert len(drawn) < 4 * MEGABYTE
    before_details = drawn[: drawn.index("<details")]
    shown = re.findall(r"<figcaption><b>([^<]*)", before_details)
    assert shown[:3] == ["Busiest expert of each layer", "Idlest expert of each layer", "Layer 60"]
    assert len(shown) == 6 and drawn.count("<b>Layer ") == 58
    assert 'data-names="3 4 5' in drawn


def test_a_long_run_gives_a_page_no_larger_than_a_short_one(finished_run: Path) -> None:
    sizes = []
    for num_steps in (700, 7000):
        records = [train_record(step) | {"alarms": []} for step in range(1, num_steps + 1)]
        write_lines(finished_run / "metrics.jsonl", records)
        sizes.append(build_report(finished_run).stat().st_size)
    assert sizes[1] < 1.2 * sizes[0] < 1.2 * MEGABYTE


def test_the_inspection_of_many_experts_stays_light(tmp_path: Path) -> None:
    num_layers, num_experts, num_tokens = 40, 256, 4000
    rng = np.random.default_rng(0)
    layers = [
        Layer(
            number=number,
            num_experts=num_experts,
            experts=rng.integers(0, num_experts, (num_tokens, 8)).astype(np.int16),
            weights=rng.random((num_tokens, 8)),
        )
        for number in range(num_layers)
    ]
    inspection = Inspection(
        title="spruce",
        subtitle="",
        notes=[],
        token_names=[f"token{n}" for n in range(50)],
        tokens=rng.integers(0, 50, num_tokens),
        source_names=["a", "b", "c"],
        sources=rng.integers(0, 3, num_tokens),
        layers=layers,
        passages=[Passage(title="text", first=0, end=2000)],
        is_surveyed=np.ones(num_tokens, dtype=bool),
        survey="all",
        min_count=5,
    )
    build_inspection(inspection, tmp_path / "inspect.html")
    text = (tmp_path / "inspect.html").read_text()
    assert len(text) < 9 * MEGABYTE and text.count('<div class="chips">') == 1
    assert text.count('class="mix"') == num_layers * (MAX_EXPERTS // num_layers)
    assert f"{num_experts - MAX_EXPERTS // num_layers} further experts" in text


def test_an_evaluation_begins_with_scores_their_margin_and_chance(tmp_path: Path) -> None:
    score = {"value": 0.4567, "margin_95": 0.0512, "chance": 0.25, "z": 2.0, "items": 400}
    task = {"main_metric": "acc", "scores": {"all": {"acc": score}}}
    record = {"checkpoint": "runs/spruce/checkpoints/step_00000020", "step": 20, "tasks": {"copa <b>": task}}
    write_json(tmp_path / "20.json", record)
    text = write_evaluation_page(tmp_path / "20.json").read_text()
    head = re.sub("<[^>]+>", " ", text[text.index("<header>") : text.index("</header>")])
    assert "spruce, step_00000020 · evaluation" in head and "copa &lt;b&gt;" in head
    assert "0.457" in head and "acc ± 0.051" in head and "chance 0.250" in head
    assert 'class="chance"' in text and "copa <b>" not in text
    assert ">dirty<" not in text  # nothing was looked for


def test_intervals_have_an_axis_and_lie_where_their_values_are() -> None:
    rows = [
        Interval(name="a model with a long name " * 3, value=1000, low=900, high=1100, tip="<a>"),
        Interval(name="b", value=1200, low=1200, high=1200, tip="b", chance=1000),
        Interval(name="c", value=float("nan"), low=0, high=1, tip="c"),
    ]
    drawn = interval_chart(rows, x_label="points")
    (first, second), labels = re.findall(r'cx="([\d.]+)"', drawn), re.findall(r"<text[^>]*>([^<]*)", drawn)
    assert float(first) < float(second) and "points" in labels and "1,000" in labels
    marks = re.findall(r'd="M([\d.]+) [\d.]+V', drawn)
    assert marks == [first] and "&lt;a&gt;" in drawn and any(label.endswith("…") for label in labels)
    assert interval_chart(rows[2:], x_label="points") == ""


def test_equal_intervals_still_have_an_axis() -> None:
    rows = [Interval(name=name, value=1000, low=1000, high=1000, tip="") for name in "ab"]
    assert "<svg" in interval_chart(rows, x_label="points")


@pytest.mark.parametrize(("unit", "text"), [("GB", ">2.5 GB<"), ("bytes", ">2.5B<"), ("documents", ">2.5<")])
def test_a_bar_says_its_unit_where_that_is_a_sign(unit: str, text: str) -> None:
    assert text in stacked_bars({"x": [Segment(name="a", size=2.5, shade="p0")]}, unit=unit)


def test_no_page_asks_for_anything_from_a_network(finished_run: Path) -> None:
    text = build_report(finished_run).read_text()
    assert "default-src 'none'" in text and not re.search(r"(src|href)=\"(?!#)|url\(|@import|fetch\(|XMLHttp", text)
