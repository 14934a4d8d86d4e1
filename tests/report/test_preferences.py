"""The report shows what tuning measured of routing and of pairs, and says nothing of what was not."""

from pathlib import Path
from typing import Any

from mai1.report.build import build_report
from tests.report.conftest import train_record, write_lines, write_run


def routing_record(step: int) -> dict[str, Any]:
    return {"kind": "routing", "step": step, "tokens": step, "kl": 0.001 * step, "changed": 0.01 * step, "layers": {}}


def pairs_record(step: int, accuracy: float) -> dict[str, Any]:
    figures = {"preference_accuracy": accuracy, "likelier": 0.5, "reward_margin": 0.25, "loss": 0.6, "nats_chosen": 2.0}
    return {"kind": "pairs", "step": step, "tokens": step, "pairs": 100, **figures}


def test_pairs_are_told_before_and_after_with_their_standard_error(tmp_path: Path):
    run = write_run(tmp_path / "runs" / "aligned")
    records = [train_record(1), routing_record(0), routing_record(6), pairs_record(0, 0.5), pairs_record(6, 0.8)]
    write_lines(run / "metrics.jsonl", records)
    page = build_report(run).read_text()
    assert "50.0% ± 5.0%" in page and "80.0% ± 4.0%" in page and "Routing: KL(start || now)" in page


def test_a_pretraining_run_says_that_it_is_no_tuning(finished_run: Path):
    assert "This run is no tuning" in build_report(finished_run).read_text()
