"""`samples.every_steps`: what the model says while it learns, beside what it says in the end."""

import json
from pathlib import Path

from tests.run.conftest import TINY_RUN
from tests.support.commands import run_command


def _samples(run: Path) -> dict[str, list[dict]]:
    by_moment: dict[str, list[dict]] = {}
    for line in (run / "samples.jsonl").read_text().splitlines():
        by_moment.setdefault((record := json.loads(line))["when"], []).append(record)
    return by_moment


def test_samples_are_written_on_the_way_and_shown_in_the_report(corpus: Path, tmp_path: Path):
    run = [*TINY_RUN, f"data.path={corpus}", f"run.directory={tmp_path}", "train.self_check=false"]
    done = run_command("pretrain", *run, "run.name=spoken", "samples.every_steps=2", "sampling.temperature=0")
    assert done.code == 0, done.err
    found = _samples(tmp_path / "spoken")
    assert list(found) == ["step 2", "step 4", "after"]
    prompts = [[record["prompt"] for record in records] for records in found.values()]
    assert prompts[0] == prompts[1] == prompts[2] and len(prompts[0]) == 2
    assert all(record["completion"] for records in found.values() for record in records)
    page = (tmp_path / "spoken" / "report.html").read_text()
    assert "step 2" in page and "step 4" in page
    silent = run_command("pretrain", *run, "run.name=silent")
    assert silent.code == 0 and list(_samples(tmp_path / "silent")) == ["after"]
    losses = [
        [json.loads(line).get("loss") for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("spoken", "silent")
    ]
    assert losses[0] == losses[1]  # to be asked changes nothing
