"""The report tells of every refused step and every return to a checkpoint, also of those that were undone."""

import json
from pathlib import Path

import pytest

from mai1.report.overview import overview
from mai1.report.records import read_run
from mai1.report.setbacks import all_bad_steps, all_rollbacks, setback_counts, setbacks
from tests.report.test_report import STRANGE, page_of, replaced, rows_of


def bad_step(step: int, kind: str = "skipped") -> dict:
    suspect = {"rank": 1, "host": "n7", "microbatch": 0, "samples": [1016, 1023], "loss": "nan", "gradient": "nan"}
    figures = {"reason": "not finite", "loss": "nan", "grad_norm": "inf", "samples": [1000, 1023]}
    return {"kind": kind, "step": step, **figures, "finding": "persistent", "suspects": [suspect | {"layer": 3}]}


def rollback(to_step: int, from_step: int, number: int, undone: list[dict]) -> dict:
    steps = {"step": to_step + 1, "undone_steps": [to_step + 1, from_step]}
    return {"kind": "rollback", **steps, "data_offset": 4 * number, "rollbacks": number, "undone": undone}


@pytest.fixture
def unlucky_run(finished_run: Path) -> Path:
    """Steps 3 and 5 were undone, the first by a return that was undone itself; 6 was skipped, and a fault mended."""
    first = rollback(2, 3, 1, [bad_step(3)])
    records = [rollback(2, 5, 2, [first, bad_step(5)]), bad_step(6), bad_step(4, "fault")]
    with (finished_run / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    return finished_run


def test_skipped_steps_and_rollbacks_are_shown_undone_or_not(unlucky_run):
    records = read_run(unlucky_run)
    assert [(b["step"], b.get("is_undone", False)) for b in all_bad_steps(records)] == [
        (3, True), (4, False), (5, True), (6, False),
    ]  # fmt: skip
    assert [record["rollbacks"] for record in all_rollbacks(records)] == [1, 2]
    assert setback_counts(records) == (3, 2)
    text = page_of(unlucky_run)
    where = "rank 1 on n7, layer 3, rows 1,016–1,023"
    row = ["3", "skipped, undone later", "not finite (persistent)", where, "nan", "inf", "1,000–1,023"]
    assert row in rows_of(text)
    assert "Skipped steps" in text and "2 returns to a checkpoint" in text
    assert "After step 5, back to before step 3." in text


def test_a_run_without_setbacks_says_so(finished_run):
    text = page_of(finished_run)
    assert "no step was refused" in text and "Skipped steps" not in text


@pytest.mark.parametrize("strange", STRANGE, ids=lambda value: str(value)[:12] or "empty")
def test_no_strange_record_stops_the_page(finished_run, strange):
    records = [rollback(2, 5, 1, [strange, bad_step(3) | {"suspects": [strange], "samples": [strange, strange]}])]
    for record in (bad_step(3), rollback(2, 5, 1, [bad_step(3)])):
        records += replaced(record, strange, depth=2)
    for record in records:
        (finished_run / "metrics.jsonl").write_text(json.dumps(record) + "\n")
        records_read = read_run(finished_run)
        assert setbacks(records_read) and overview(records_read, [])
