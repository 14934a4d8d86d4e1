"""The ledger on the page and in a line: all parts, in words, and nothing of runs that have none."""

import json
from pathlib import Path

import pytest

from mai1.report.build import build_report
from mai1.report.ledger import gain, newest_parts, summary_lines
from tests.report.conftest import heldout_record, train_record, write_lines, write_run

PARTS = {"useful": 6e15, "learned": 1e15, "padding": 0, "repeated": 5e14, "scoring": 5e14}


def records_with_ledger() -> tuple[list[dict], list[dict]]:
    train = [train_record(step) | {"flops_useful_fraction": 0.5 + step / 20} for step in (1, 2, 3)]
    train[0]["ledger"], train[-1]["ledger"] = {"useful": 1}, PARTS
    heldout = [heldout_record(0, 4.0) | {"bits_per_byte": 3.0, "flops": 5e14}]
    return train, [*heldout, heldout_record(3, 3.0) | {"bits_per_byte": 1.4, "flops": 8e15}]


def test_the_summary_names_the_parts_by_size_and_the_gain():
    lines = summary_lines(*records_with_ledger())
    assert lines["FLOPs"] == "8e15: 75.0% useful, learned 12.5%, repeated 6.2%, scoring 6.2%"
    assert lines["gain"] == "200 bits per byte per EFLOP on held-out text"
    assert gain(records_with_ledger()[1]) == pytest.approx(1.6 / 0.008)


def test_the_page_draws_every_part_and_the_useful_share(tmp_path: Path):
    run = write_run(tmp_path / "runs" / "spruce")
    train, heldout = records_with_ledger()
    write_lines(run / "metrics.jsonl", [*train, *heldout])
    page = build_report(run).read_text()
    part = page[page.index('id="ledger"') :]
    part = part[: part.index("</section>")]
    for text in (
        "Where the FLOPs went",
        "learned",
        "repeated",
        "scoring",
        "75.0%",
        "from 3.000 to 1.400 bits per byte",
    ):
        assert text in part, text
    assert "padding" not in part and part.count("<rect") == 4 and "Useful share" in part


@pytest.mark.parametrize("torn", [None, 5, "much", {"useful": "all"}, {"useful": float("nan")}, {}])
def test_runs_without_a_ledger_say_so(tmp_path: Path, torn: object):
    run = write_run(tmp_path / "runs" / "spruce")
    write_lines(run / "metrics.jsonl", [train_record(1) | {"ledger": torn}, heldout_record(1, 3.0)])
    page = build_report(run).read_text()
    assert "No ledger has been logged." in page and "could not be drawn" not in page
    assert summary_lines([json.loads(json.dumps({"ledger": torn}))], []) == {}


def test_one_measurement_or_no_cost_gives_no_gain():
    heldout = records_with_ledger()[1]
    assert gain(heldout[:1]) is None and gain([record | {"flops": 0} for record in heldout]) is None
    assert newest_parts([]) == {}
