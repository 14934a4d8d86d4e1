import json

import pytest

from tests.run.conftest import TINY_RUN
from tests.support.commands import run_command
from tests.support.run_directory import make_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "first", step=100, saved=100, written_s=1e9)
    make_run(folder / "second", step=1000, saved=1000, written_s=2e9)
    (folder / "no-run").mkdir()
    return folder


def test_one_run_gets_lines_and_a_directory_of_runs_one_each_the_newest_last(mai1, runs):
    one = mai1("status", runs / "first")
    assert one.code == 0 and one.out.startswith(f"{runs}/first (pretrain)\n  state       silent:") and one.err == ""
    lines = mai1("status", runs).out.splitlines()
    assert lines[0].split() == ["run", "state", "step", "loss", "held-out", "tokens/s", "ETA", "checkpoint", "notes"]
    assert [line.split()[0] for line in lines[1:]] == [f"{runs}/first", f"{runs}/second"]
    assert "finished" in lines[2] and "1,000/1,000 (100.0%)" in lines[2]


def test_json_holds_a_list_of_everything_known(mai1, runs):
    first, second = json.loads(mai1("status", runs / "first", runs / "second", "json=true").out)
    assert (first["step"], first["state"], second["state"]) == (100, "silent", "finished")
    assert first["checkpoint"]["step"] == 100 and len(first["curve"]) == 10 and len(first["layers"][0]["load"]) == 4


def test_a_run_made_by_the_command_is_read_whole(mai1, corpus, tmp_path):
    made = run_command("pretrain", *TINY_RUN, f"data.path={corpus}", "run.name=made", f"run.directory={tmp_path}")
    assert made.code == 0, made.err
    (status,) = json.loads(mai1("status", tmp_path / "made", "json=true").out)
    assert (status["state"], status["step"], status["last_step"], status["stage"]) == ("finished", 6, 6, "pretrain")
    assert [step for step, _ in status["curve"]] == [2, 4, 6] and status["heldout"]["step"] == 6
    assert status["checkpoint"]["step"] == 6 and status["checkpoint"]["num_bytes"] > 100_000
    assert len(status["layers"]) == 1 and 0.5 < status["layers"][0]["entropy"] <= 1
    shown = mai1("watch", tmp_path / "made")
    assert shown.code == 0 and shown.out.startswith("finished: 6/6 (100.0%), loss ")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["nowhere"], ["status nowhere: no such directory"]),
        (["{runs}/no-run"], ["holds no run", "config.yaml"]),
        (["{runs}/first", "jsn=true"], ["jsn=true", "json=true"]),
        (["{runs}/first", "json=yes"], ["json=yes", "json=true"]),
        (["json=true"], ["give a run"]),
    ],
)
def test_a_mistake_is_one_line(mai1, runs, arguments, parts):
    ended = mai1("status", *(argument.format(runs=runs) for argument in arguments))
    assert ended.code == 2 and ended.err.count("\n") == 1 and not [part for part in parts if part not in ended.err]


def test_without_arguments_it_says_how_it_is_used(mai1):
    assert mai1("status").out.startswith("usage: mai1 status RUN... [json=true]")
    assert mai1("watch", "--help").out.startswith("usage: mai1 watch RUN [every_s=3]")
