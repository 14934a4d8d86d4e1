"""`mai1 preflight` by itself, and as the first thing of a training command."""

import json
import os
import subprocess
import sys

import pytest

from mai1.watch.faults import UnfitNodesError
from mai1.watch.restarts import FINAL_CODES
from tests.run.conftest import TINY_RUN
from tests.support.commands import run_command

QUICK = "preflight.checks=quick"


def test_it_says_what_it_found_and_writes_it_down(mai1, tmp_path):
    ended = mai1("preflight", f"directory={tmp_path}/runs", "preflight.message_mib=0.1", "preflight.repeats=2")
    assert ended.code == 0, ended.err
    assert "preflight: 1 rank on 1 node" in ended.err and "fit: no problem found" in ended.err
    record = json.loads((tmp_path / "runs" / "preflight.json").read_text())
    assert record["is_fit"] and record["versions"]["torch"] and len(record["compute"]["best_s"]) == 1
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["preflight.json"]


def test_unfit_nodes_end_it_with_a_code_of_its_own_and_a_list_for_launchers(mai1, tmp_path):
    listed = tmp_path / "bad_nodes.txt"
    ended = mai1(
        "preflight", f"directory={tmp_path}", QUICK, "preflight.min_memory_gib=1e6", f"preflight.exclude_to={listed}"
    )
    assert ended.code == UnfitNodesError.exit_code == 6 and 6 in FINAL_CODES
    assert "below preflight.min_memory_gib=1e+06" in ended.err and f"({listed})" in ended.err
    assert len(listed.read_text().splitlines()) == 1 and " # " in listed.read_text()
    assert not json.loads((tmp_path / "preflight.json").read_text())["is_fit"]


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("preflight.checks=off", "leaves nothing to do"),
        ("preflight.checks=some", "off, quick, full"),
        ("preflight.slow_factor=1", "preflight.slow_factor=1"),
        ("timeout_s=0", "timeout_s=0"),
        ("preflight.floor=1", "is no key of `mai1 preflight`"),
    ],
)
def test_a_mistake_is_one_line(mai1, tmp_path, override, part):
    ended = mai1("preflight", f"directory={tmp_path}", override)
    assert ended.code == 2 and part in ended.err


def test_ranks_under_torchrun_are_looked_at_together(tmp_path):
    """As in docs/preflight.md."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mai1"]
    done = subprocess.run(
        [*torchrun, "preflight", f"directory={tmp_path}/runs/first", "preflight.message_mib=0.1"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 and "2 ranks on 1 node" in done.stderr, done.stderr
    record = json.loads((tmp_path / "runs" / "first" / "preflight.json").read_text())
    assert len(record["hosts"]) == 2 and record["num_rounds"] == 1 and len(record["exchange"]["best_s"]) == 2


@pytest.fixture
def training(corpus, tmp_path) -> list[str]:
    run = [*TINY_RUN, f"data.path={corpus}", f"run.directory={tmp_path}", "run.name=first", "train.steps=2"]
    return ["pretrain", *run, "samples.count=0"]


def test_a_training_command_looks_at_its_nodes_first_where_it_is_asked_to(training, tmp_path):
    refused = run_command(*training, QUICK, "preflight.checkpoint_gib=1e6")
    assert refused.code == 6 and "a checkpoint needs 1e+06" in refused.err
    assert not list((tmp_path / "first" / "checkpoints").glob("step_*"))
    trained = run_command(*training, QUICK)
    assert trained.code == 0 and "fit: no problem found" in trained.err, trained.err
    assert json.loads((tmp_path / "first" / "preflight.json").read_text())["is_fit"]


def test_a_run_starts_in_a_directory_that_a_preflight_was_made_in_and_makes_none_unasked(mai1, training, tmp_path):
    assert mai1("preflight", f"directory={tmp_path}/first", QUICK, "preflight.min_memory_gib=1e6").code == 6
    trained = run_command(*training)
    assert trained.code == 0 and "preflight" not in trained.err, trained.err
