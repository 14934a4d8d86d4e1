"""The report states what the run recorded, survives what is missing or torn, and lets no text become code."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from mai1.report.build import build_report
from mai1.report.metrics_lines import parse_metrics
from mai1.report.records import newest_of_each_step, read_run
from mai1.run import report as report_command
from tests.report.conftest import heldout_record, old_train_record, train_record, write_lines

LINE_FILES = ["metrics.jsonl", "samples.jsonl"]
FILES = ["run.json", "baselines.json", "answers.json", "parity.json", "environment.json", *LINE_FILES]
ATTACK = "</pre></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
STRANGE: list[Any] = [None, True, "", [1, "x", None], {"x": {"y": 1}}, -1, 1e308, 3e38, 10**400, float("nan")]


class Tags(HTMLParser):
    """Collects the elements and attributes that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def page_of(run_directory: Path) -> str:
    text = build_report(run_directory).read_text(encoding="utf-8")
    assert "could not be drawn" not in text
    return text


def tags_of(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(text)
    return parser.found


def rows_of(text: str) -> list[list[str]]:
    """The rows of all tables, without markup."""
    rows = re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def replaced(value: Any, strange: Any, depth: int) -> list[Any]:
    """Copies of a JSON value with one part after the other replaced by something strange."""
    copies = [strange]
    if isinstance(value, dict) and depth:
        for key, part in value.items():
            copies += [{**value, key: copy} for copy in replaced(part, strange, depth - 1)]
    return copies


def test_the_headline_states_the_newest_figures(finished_run: Path) -> None:
    text = page_of(finished_run)
    values = re.findall(r'<span class="value">([^<]*)', text)
    assert values == ["6", "3.457", "1.988", "5.300", "9k", "31.2%", "1.41B", "1"]
    assert "49.2k tokens" in text and "212M active (15.0%)" in text and "now; 2 earlier" in text


def test_tables_state_the_recorded_figures(finished_run: Path) -> None:
    rows = rows_of(page_of(finished_run))
    assert ["unigram", "7.1234", "1.241k", "3.6667"] in rows
    assert ["bigram", "5.2345", "187.6", "1.7778"] in rows
    assert ["model, now", "3.4567", "31.71", ""] in rows
    assert ["docs", "", "4.0678", "2.9567", "1.5000", "1,000"] in rows
    assert ["docs", "1,234", "1,194 (96.8%)", "40", "4.5kB", "500B", "1,257", "100", "3.685"] in rows
    assert ["duplicate", "docs", "10", "4,000"] in rows
    assert ["answer_loss", "4.2500", "2.5000", "-1.7500"] in rows
    assert ["after", "0.7500", "1"] in rows
    assert ["largest difference of a logit", "1.5e-6"] in rows
    assert [
        "1",
        "2.00× (expert 0)",
        "0.00× (expert 3)",
        "1.0000",
        "1.2500",
        "1",
        "1",
        "0.2500",
        "6.2%",
        "0.7500",
    ] in rows
    assert ["dead experts", "2", "since 4", "1.000", "alarms.dead_experts=1"] in rows
    assert ["max violation", "1", "1–2, 4", "3.000", "alarms.max_violation=2"] in rows
    assert ["1", "code", "2 (3.00×), 1 (1.00×), 0 (0.00×)", "0 (0.00×), 1 (1.00×), 2 (3.00×)", "33.3%"] in rows


def test_a_torn_last_line_is_skipped_and_counted(finished_run: Path) -> None:
    before = read_run(finished_run)
    with (finished_run / "metrics.jsonl").open("ab") as file:
        file.write('{"kind":"train","step":7,"loss":"ü'.encode()[:-1])
    after = read_run(finished_run)
    assert len(after.train) == len(before.train)
    assert after.notes == ["metrics.jsonl: 1 unreadable line skipped"]
    assert "metrics.jsonl: 1 unreadable line skipped" in page_of(finished_run)


LOADS = ["[0.1, 2e-05, 0.3333333333333333, 1, 0]", "[0.5]", "[0.5,0.25]", "[ 0.5, 1e39 ]", "[NaN, Infinity, 0.5]"]


@pytest.mark.parametrize("load", [*LOADS, "[null, true, 0.5]", '["]", 0.5]', "[[0.5], 0.5]", "[]", '"#0"', "3"])
def test_loads_are_read_as_json_reads_them(load: str) -> None:
    line = f'{{"layers": {{"0": {{"sources": {{"a": {{"load": {load}}}}}, "load": [0.25, 0.75], "entropy": 1}}}}}}'
    layer = parse_metrics(line.encode())["layers"]["0"]
    expected, found = json.loads(load), layer["sources"]["a"]["load"]
    assert layer["load"].tolist() == [0.25, 0.75] and layer["entropy"] == 1
    if isinstance(expected, list):
        assert found.dtype == np.float32 and len(found) == len(expected)
        for share, value in zip(found.tolist(), expected, strict=True):
            is_share = type(value) in (int, float) and 0 <= value <= 1
            assert share == np.float32(value) if is_share else not 0 <= share <= 1


@pytest.mark.parametrize("load", ["[0.5, 0.2", "[0.5, , 0.2]", "[0.5 0.2]", "[0.5, 0..2]", "[0.5, x]"])
def test_a_line_with_a_torn_load_is_none(load: str) -> None:
    assert parse_metrics(f'{{"layers": {{"0": {{"load": {load}}}}}}}'.encode()) is None


def test_the_report_command_reads_the_metrics_once(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = []
    monkeypatch.setattr("mai1.report.records.parse_metrics", lambda line: lines.append(line) or parse_metrics(line))
    (finished_run / "answers.json").unlink()
    report_command.main([str(finished_run)])
    assert lines == (finished_run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    assert "trained       6 steps, 49,152 tokens" in capsys.readouterr().out


def test_the_later_record_of_a_step_wins() -> None:
    steps = [(1, 9.0), (2, 8.0), (3, 7.0), (2, 5.0)]
    records = [{"kind": "train", "step": step, "loss": loss} for step, loss in steps]
    newest = newest_of_each_step([*records, {"kind": "heldout", "step": 2, "loss": 1.0}], kind="train")
    assert [(record["step"], record["loss"]) for record in newest] == [(1, 9.0), (2, 5.0), (3, 7.0)]


def test_an_empty_run_says_what_is_absent(tmp_path: Path) -> None:
    text = page_of(tmp_path)
    for missing in (
        "no run.json",
        "No training step",
        "No expert load",
        "tell of no alarms",
        "No load of single sources",
        "No samples",
        "No config.yaml",
        "parity.json",
    ):
        assert missing in text


@pytest.mark.parametrize("missing", [*FILES, "config.yaml", "../data/manifest.json", "../data/dropped_samples.jsonl"])
def test_any_part_may_be_missing(finished_run: Path, missing: str) -> None:
    (finished_run / missing).unlink(missing_ok=True)
    page_of(finished_run)


@pytest.mark.parametrize("torn", FILES)
def test_any_file_may_be_torn_at_any_byte(finished_run: Path, torn: str) -> None:
    whole = (finished_run / torn).read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 10)):
        (finished_run / torn).write_bytes(whole[:length])
        page_of(finished_run)


@pytest.mark.parametrize("strange", STRANGE, ids=lambda value: str(value)[:12] or "empty")
@pytest.mark.parametrize("name", ["run.json", "answers.json", "baselines.json", "parity.json", "../data/manifest.json"])
def test_no_strange_value_stops_the_report(finished_run: Path, name: str, strange: Any) -> None:
    whole = json.loads((finished_run / name).read_text())
    for copy in replaced(whole, strange, depth=5):
        (finished_run / name).write_text(json.dumps(copy))
        page_of(finished_run)


@pytest.mark.parametrize("strange", STRANGE, ids=lambda value: str(value)[:12] or "empty")
@pytest.mark.parametrize("name", ["metrics.jsonl", "samples.jsonl", "../data/dropped_samples.jsonl"])
def test_no_strange_record_stops_the_report(finished_run: Path, name: str, strange: Any) -> None:
    lines = (finished_run / name).read_text().splitlines()
    for record in (json.loads(lines[0]), json.loads(lines[-1])):
        for copy in replaced(record, strange, depth=6):
            (finished_run / name).write_text("\n".join([*lines, json.dumps(copy), lines[-1], ""]))
            page_of(finished_run)


def test_a_diverged_run_says_so(finished_run: Path) -> None:
    with (finished_run / "metrics.jsonl").open("a") as file:
        file.write('{"kind":"train","step":7,"tokens":57344,"loss":NaN,"lm_loss":NaN,"grad_norm":Infinity}\n')
    assert "1 not finite, first at step 7" in page_of(finished_run)


def test_text_from_files_never_becomes_code(finished_run: Path) -> None:
    for name in [*FILES, "../data/manifest.json", "../data/dropped_samples.jsonl"]:
        path = finished_run / name
        poisoned = [poison(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
        if poisoned:
            path.write_text("".join(json.dumps(record) + "\n" for record in poisoned))
    run = json.loads((finished_run / "run.json").read_text())
    run |= {"name": ATTACK, "stage": ATTACK, "parent": ATTACK, "data": str(finished_run.parent / "data")}
    (finished_run / "run.json").write_text(json.dumps({**run, "model": {ATTACK: ATTACK}}))
    (finished_run / "config.yaml").write_text(ATTACK)
    found = tags_of(page_of(finished_run))
    assert [tag for tag, _ in found if tag in ("script", "img", "iframe", "object", "embed")] == ["script"]
    assert not [name for _, attributes in found for name in attributes if name.startswith("on")]


def poison(value: Any) -> Any:
    """The same structure with the attack appended to every free text and to every name of a source or reason."""
    if isinstance(value, dict):
        renamed = {"docs", "too short", "duplicate", "unigram", "torch", "f1"}
        return {(key + ATTACK if key in renamed else key): poison(part) for key, part in value.items()}
    if isinstance(value, str) and value not in ("train", "heldout", "before", "after"):
        return value + ATTACK
    return value


def test_the_page_loads_nothing_and_its_drawings_are_well_formed(finished_run: Path) -> None:
    text = page_of(finished_run)
    assert "http://" not in text and "https://" not in text
    for tag, attributes in tags_of(text):
        assert "src" not in attributes and (tag != "link")
        assert attributes.get("href", "#").startswith("#")
    assert "url(" not in text and "@import" not in text
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) >= 9
    for drawing in drawings:
        ElementTree.fromstring(drawing)


def test_the_stage_before_is_shown_and_a_circle_of_stages_ends(finished_run: Path, tmp_path: Path) -> None:
    tuned = tmp_path / "runs" / "tuned"
    tuned.mkdir()
    (tuned / "run.json").write_text(json.dumps({"name": "tuned", "stage": "sft", "parent": str(finished_run)}))
    facts = json.loads((finished_run / "run.json").read_text())
    (finished_run / "run.json").write_text(json.dumps({**facts, "parent": "runs/tuned"}))
    text = page_of(tuned)
    assert text.count("Previous stage: spruce (pretrain)") == 1
    assert "unigram 7.123" in text and "Data of spruce" in text


def test_a_parent_may_be_named_by_its_checkpoint(finished_run: Path, tmp_path: Path) -> None:
    checkpoint = finished_run / "checkpoints" / "step_00000006"
    checkpoint.mkdir(parents=True)
    (tmp_path / "run.json").write_text(json.dumps({"name": "tuned", "parent": str(checkpoint)}))
    assert "Previous stage: spruce (pretrain)" in page_of(tmp_path)


def test_the_page_is_replaced_whole_and_nothing_else_is_left(finished_run: Path) -> None:
    before = {path.name for path in finished_run.iterdir()}
    first = build_report(finished_run)
    first.write_text("old")
    assert build_report(finished_run) == finished_run / "report.html"
    assert first.read_text().startswith("<!doctype html>")
    assert {path.name for path in finished_run.iterdir()} == before | {"report.html"}


def test_a_part_that_fails_is_named_and_the_others_stand(finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(records: object) -> None:
        raise RuntimeError("<ink>")

    monkeypatch.setattr("mai1.report.build.experts", fail)
    text = build_report(finished_run).read_text()
    assert "could not be drawn: RuntimeError: &lt;ink&gt;" in text
    assert 'id="samples"' in text


def test_records_without_the_newer_figures_still_give_a_report(finished_run: Path) -> None:
    newer = page_of(finished_run)
    write_lines(finished_run / "metrics.jsonl", [*map(old_train_record, range(1, 7)), heldout_record(6, 3.4567)])
    older = page_of(finished_run)
    titles = ["Largest violation", "Entropy of the load", "Router drift", "Dropped choices", "Imbalance of ranks"]
    assert [title in newer for title in titles] == [True] * 5
    assert [title in older for title in titles] == [True, True, False, False, False]
    assert "tell of no alarms" in older and "No load of single sources" in older
    assert ["1", "2.00× (expert 0)", "0.00× (expert 3)", "1.0000", "1.2500", "1", "1"] in rows_of(older)


def test_a_run_may_change_from_old_records_to_new_ones(finished_run: Path) -> None:
    write_lines(finished_run / "metrics.jsonl", [*map(old_train_record, range(1, 4)), *map(train_record, range(4, 7))])
    text = page_of(finished_run)
    assert "Router drift" in text and "max violation in layer 1, 4: worst 3" in text


def test_what_never_happened_has_no_chart(finished_run: Path) -> None:
    records = [train_record(step) for step in range(1, 7)]
    for record in records:
        record["alarms"] = []
        for layer in record["layers"].values():
            layer |= {"dropped": 0, "dropped_share": 0.0}
            del layer["rank_imbalance"]
    write_lines(finished_run / "metrics.jsonl", records)
    text = page_of(finished_run)
    assert "Dropped choices" not in text and "Imbalance of ranks" not in text
    assert "no figure of any layer reached its threshold in 6 logged steps" in text


def test_the_newest_records_of_a_source_are_added_by_their_choices(finished_run: Path) -> None:
    records = [train_record(step) for step in range(1, 15)]
    for record in records:
        record["layers"] = {"1": record["layers"]["1"]}
    records[0]["layers"]["1"]["sources"] = {"old": {"choices": 10**9, "load": [0.0, 0.0, 0.0, 1.0]}}  # too long ago
    records[-1]["layers"]["1"]["sources"]["docs"] = {"choices": 3600, "load": [0.0, 1.0, 0.0, 0.0]}
    write_lines(finished_run / "metrics.jsonl", records)
    tips = re.findall(r'data-tip="([^"]*→[^"]*)"', page_of(finished_run))
    docs = (9 * 400 * 0.25 + 3600) / (9 * 400 + 3600)
    layer = (9 * 400 * 0.25 + 3600 + 10 * 200 * 0.25) / (9 * 400 + 3600 + 2000)
    assert f"docs → expert 1: {100 * docs:.1f}% of its choices, {docs / layer:.2f}× the layer&#x27;s share" in tips
    assert len(tips) == 2 * 3  # nothing went to expert 3


def test_one_source_is_not_compared_with_itself(finished_run: Path) -> None:
    records = [train_record(step) for step in range(1, 3)]
    for record in records:
        for layer in record["layers"].values():
            del layer["sources"]["code"]
    write_lines(finished_run / "metrics.jsonl", records)
    assert "All tokens are from one source, docs" in page_of(finished_run)
