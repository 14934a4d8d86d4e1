"""Bad steps as a person meets them: on the console, in the report, in the checkpoint, and as an exit code."""

import json
from functools import partial
from pathlib import Path

from tests.run.conftest import TINY_RUN
from tests.support.commands import Ended, run_command
from tests.train.test_guard import poison


def spoil(first: int, last: int) -> None:
    """Rows from the first to the last give losses that are not finite."""
    poison(lambda sample: first <= sample <= last)


def pretrain(corpus: Path, directory: Path, *arguments: str, rows: tuple[int, int]) -> Ended:
    return run_command(
        "pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={directory}", "run.name=r", "train.self_check=false",
        *arguments, before=partial(spoil, *rows),
    )  # fmt: skip


def test_a_run_survives_bad_steps_and_says_what_became_of_them(corpus, tmp_path):
    # four rows a step and a checkpoint at 3: steps 5 and 6 are bad, then the rows of 5 and 6 come no more
    run, settings = tmp_path / "r", ("guard.max_skips=2", "guard.max_rollbacks=1")
    done = pretrain(corpus, tmp_path, *settings, rows=(16, 23))
    assert done.code == 0, done.err
    assert "step 5: skipped: not finite (loss nan, gradient norm inf, persistent)" in done.err
    assert f"step 6: back to {run / 'checkpoints' / 'step_00000003'}" in done.err
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    (rollback,) = [record for record in records if record["kind"] == "rollback"]
    assert rollback["undone_steps"] == [4, 6] and [record["step"] for record in rollback["undone"]] == [5, 6]
    page = (run / "report.html").read_text()
    assert "skipped, undone later" in page and "1 return to a checkpoint" in page
    shown = run_command("checkpoint", "show", run, "json=true")
    assert json.loads(shown.out)["setbacks"] == {"num_skipped": 2, "num_rollbacks": 1, "data_offset": 3}
    assert json.loads(shown.out)["data"]["next_sample"] == (6 + 3) * 4

    more = (*settings, "train.steps=12")
    diverged = pretrain(corpus, tmp_path, *more, rows=(40, 10**6))
    assert diverged.code == 4, diverged.err
    assert "guard.max_rollbacks=1" in diverged.err and "optim.learning_rate" in diverged.err
    assert "Traceback" not in diverged.err
    assert (run / "checkpoints" / "latest").resolve().name in ("step_00000006", "step_00000009")
    healed = pretrain(corpus, tmp_path, *more, "guard.max_rollbacks=2", rows=(0, -1))
    assert healed.code == 0, healed.err
