"""The monitor ends a run that is stuck, and its page says why."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import torch

from mai1.dist import World
from mai1.watch.config import WatchConfig
from mai1.watch.rank_watch import RankWatch

ALONE = World(0, 1, 0, torch.device("cpu"))
ROOT = Path(__file__).parents[2]


def start_ranks(fault: str, folder: Path, *, num_ranks: int = 2) -> list[subprocess.Popen]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": str(num_ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "tests.watch.faulty_rank", fault, str(folder / "logs")],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for rank in range(num_ranks)
    ]


def monitors_of(folder: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if b"mai1.watch.monitor" in command and str(folder).encode() in command:
            found.append(int(path.parent.name))
    return found


def test_the_monitor_of_a_run_that_is_over_ends_though_the_process_goes_on(tmp_path):
    watch = RankWatch.start(WatchConfig(stuck_after_s=1.0, pause_after_s=1.0), ALONE, logs=tmp_path / "logs")
    wait_for(lambda: monitors_of(tmp_path), 120)
    watch.close()
    wait_for(lambda: not monitors_of(tmp_path), 120)
    time.sleep(1.5)  # longer than its patience: this process is still there to say so
    assert not (tmp_path / "logs").exists()


def wait_for(condition, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.05)


def ended(fault: str, folder: Path) -> str:
    """The page on a run with this fault, after both ranks and monitors are gone."""
    ranks = start_ranks(fault, folder)
    try:
        codes = [(rank.communicate(timeout=120), rank.returncode)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert codes == [-signal.SIGKILL] * 2
    wait_for(lambda: not monitors_of(folder), 120)
    (page,) = folder.glob("logs/stuck-*/incident.md")
    assert not list(folder.glob("mai1-watch-*"))
    text = page.read_text()
    assert (page.parent / "rank-00000.stacks.txt").is_file() and (page.parent / "rank-00001.stacks.txt").is_file()
    assert "all_reduce" in text.partition("## Stacks of rank 0")[2].partition("## Stacks of rank 1")[0]
    return text


def verdicts(page: str) -> str:
    return page.partition("## What is wrong")[2].partition("##")[0]


def test_a_stopped_rank_ends_the_run_with_the_stacks_of_all(tmp_path):
    page = ended("stop", tmp_path)
    assert "rank 1 on" in verdicts(page) and "is stopped (SIGSTOP)" in verdicts(page)
    assert "stop_oneself" in page.partition("## Stacks of rank 1")[2]


def test_a_rank_that_locks_the_interpreter_is_ended_and_named(tmp_path):
    page = ended("lock", tmp_path)
    assert "rank 1 on" in verdicts(page) and "holds the interpreter's lock" in verdicts(page)
    assert "lock_the_interpreter" in page.partition("## Stacks of rank 1")[2]


def test_a_skipped_collective_is_named_by_number_operation_and_rank(tmp_path):
    page = ended("skip", tmp_path)
    assert "collective 7 of group 0: rank 0 called all_reduce of [[3]]; rank 1 called barrier" in verdicts(page)


def test_a_rank_that_sleeps_is_behind_in_the_line_where_it_sleeps(tmp_path):
    page = ended("sleep", tmp_path)
    assert "collective 7 of group 0: rank 1 never called it; rank 0 called all_reduce" in verdicts(page)
    assert "sleep_on (faulty_rank.py:" in page.partition("## Stacks")[0]


def test_checked_collectives_end_at_once_where_they_differ(tmp_path):
    ranks = start_ranks("skip, checked", tmp_path)
    said = [rank.communicate(timeout=120)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [1, 1]
    assert any("Detected mismatch between collectives on ranks" in text and "ALLREDUCE" in text for text in said)
    assert not list(tmp_path.glob("logs/stuck-*"))


def test_a_run_that_ends_by_itself_leaves_nothing_but_its_last_sign_of_life(tmp_path):
    ranks = start_ranks("none", tmp_path)
    assert [(rank.communicate(timeout=120), rank.returncode)[1] for rank in ranks] == [0, 0]
    wait_for(lambda: not monitors_of(tmp_path), 120)
    assert {path.name for path in tmp_path.rglob("*")} <= {"logs", "alive.json"}


def test_monitors_do_not_outlive_killed_ranks(tmp_path):
    ranks = start_ranks("never", tmp_path)
    wait_for(lambda: len(monitors_of(tmp_path)) == 2, 120)
    for rank in ranks:
        rank.kill()
        rank.communicate()
    wait_for(lambda: not monitors_of(tmp_path), 120)


def test_a_question_to_a_rank_that_is_ending_does_not_kill_it(tmp_path):
    code = f"""
import faulthandler, os, signal
from pathlib import Path
from tests.watch.test_monitor import ALONE, RankWatch, WatchConfig
RankWatch.start(WatchConfig(stuck_after_s=60.0), ALONE, logs=Path({str(tmp_path / "logs")!r}))
faulthandler.unregister(signal.SIGUSR2)  # as Python does when it ends
os.kill(os.getpid(), signal.SIGUSR2)
"""
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, cwd=ROOT, env=os.environ | {"TMPDIR": str(tmp_path)}).returncode == 0
