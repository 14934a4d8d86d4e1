"""The report's mixture, from records alone."""

import json

from mai1.report.build import build_report
from tests.report.conftest import train_record, write_lines, write_run


def page_of(directory, train: list[dict]) -> str:
    write_run(directory)
    write_lines(directory / "metrics.jsonl", train)
    page = build_report(directory).read_text()
    return page[page.index('id="mixture"') :].split("</section>")[0]


def record(step: int, **sources: dict) -> dict:
    return train_record(step) | {"sources": sources}


def test_weights_and_losses_of_each_source_are_shown(tmp_path):
    records = [
        record(step, web={"loss": 5 - step / 4, "targets": 9, "weight": 0.75 - step / 8}, code={"weight": 0.5})
        for step in (1, 2, 3)
    ]
    shown = page_of(tmp_path / "r", records)
    assert "62.5" in shown and "37.5" in shown and "4.7500" in shown and "4.2500" in shown
    assert shown.count("<svg") == 3  # the source without rows has no losses to draw


def test_a_plain_run_shows_losses_without_weights(tmp_path):
    shown = page_of(tmp_path / "r", [record(step, web={"loss": 3.5, "targets": 9}) for step in (1, 2)])
    assert "3.5000" in shown and "weight" not in shown


def test_older_or_torn_records_say_that_nothing_was_logged(tmp_path):
    assert "No training loss by source" in page_of(tmp_path / "old", [train_record(1)])
    torn = [train_record(1) | {"sources": "x"}, train_record(2) | {"sources": {"web": 7}}]
    assert json.dumps("x") not in page_of(tmp_path / "torn", torn)
