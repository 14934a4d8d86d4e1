"""Real signals to real commands, from the first moment at which a process listens."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mai1.watch.monitor import parent_of
from tests.run.conftest import TINY_RUN

ROOT = Path(__file__).parents[2]


def start(corpus: Path, folder: Path, *overrides: str) -> subprocess.Popen:
    run = [*TINY_RUN, "train.steps=100000", "train.self_check=false", f"data.path={corpus}", f"run.directory={folder}"]
    return subprocess.Popen(
        [sys.executable, "-m", "mai1", "pretrain", *run, *overrides],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def listens(pid: int) -> bool:
    """Whether a process has installed a handler for SIGTERM."""
    try:
        caught = Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0]
    except OSError:
        return False
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def ranks_of(supervisor: int) -> list[int]:
    found = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return [pid for pid in found if parent_of(pid) == supervisor]


def wait_for(condition, process: subprocess.Popen, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


def wait_until_gone(pids: list[int], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def finish(process: subprocess.Popen, timeout_s: float = 60) -> str:
    try:
        return process.communicate(timeout=timeout_s)[1]
    finally:
        process.kill()


@pytest.mark.slow
def test_a_signal_during_imports_is_acted_on_at_the_first_step(corpus, tmp_path):
    process = start(corpus, tmp_path)
    wait_for(lambda: listens(process.pid), process)
    process.send_signal(signal.SIGUSR1)
    err = finish(process)
    assert process.returncode == 0 and "saved at step 1; to go on" in err, err


@pytest.mark.slow
def test_a_signal_to_ranks_that_have_just_been_started_is_acted_on_at_the_first_step(corpus, tmp_path):
    process = start(corpus, tmp_path, "launch.ranks=2")
    wait_for(lambda: len(ranks_of(process.pid)) == 2, process)  # they have not even loaded Python
    process.send_signal(signal.SIGINT)
    err = finish(process)
    assert process.returncode == 0 and "saved at step 1; to go on" in err, err
    assert (tmp_path / "first" / "checkpoints" / "latest" / "manifest.json").is_file()
    assert not (tmp_path / "first" / "restarts.jsonl").exists()


@pytest.mark.slow
def test_a_signal_before_the_ranks_starts_none(corpus, tmp_path):
    process = start(corpus, tmp_path, "launch.ranks=2")
    wait_for(lambda: listens(process.pid), process)
    process.send_signal(signal.SIGTERM)
    err = finish(process)
    assert process.returncode == 0 and "SIGTERM before any rank was started" in err, err


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [0, 2])
def test_a_second_ctrl_c_ends_a_start_at_once(corpus, tmp_path, ranks):
    process = start(corpus, tmp_path, f"launch.ranks={ranks}")
    wait_for(lambda: listens(process.pid) and (not ranks or len(ranks_of(process.pid)) == 2), process)
    started = ranks_of(process.pid)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    if process.poll() is None:  # it was so slow to listen that two were one
        process.send_signal(signal.SIGINT)
    finish(process)
    assert process.returncode == (1 if ranks else 130)
    wait_until_gone(started)


@pytest.mark.slow
def test_ranks_whose_supervisor_was_killed_while_they_started_stop_with_a_checkpoint(corpus, tmp_path):
    process = start(corpus, tmp_path, "launch.ranks=2")
    wait_for(lambda: len(ranks_of(process.pid)) == 2, process)
    ranks = ranks_of(process.pid)
    process.kill()
    process.communicate()
    wait_until_gone(ranks)
    assert (tmp_path / "first" / "checkpoints" / "latest" / "manifest.json").is_file()
