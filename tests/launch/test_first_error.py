"""The rank that said the first error is found among many that only tell of lost peers."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from mai1.launch.first_error import failures_of, main, report

LOST = (
    "RuntimeError: Read error [10.0.0.3]:53480: Connection reset by peer. This is typically caused by a remote worker"
)
SUMMARY = """
mai1 FAILED
------------------------------------------------------------
Failures:
[1]:
  time      : 2026-11-22_20:54:30
  host      : n1
  rank      : {other} (local_rank: 1)
  exitcode  : 1 (pid: 8)
  error_file: <N/A>
  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-11-22_20:54:23
  host      : n1
  rank      : {rank} (local_rank: 0)
  exitcode  : -9 (pid: 7)
  error_file: <N/A>
  traceback : Signal 9 (SIGKILL) received by PID 7
============================================================
"""


def rank_log(logs: Path, node: int, local: int, text: str, *, when: float) -> Path:
    folder = logs / f"node-{node}-n{node}" / "none_x" / "attempt_0" / str(local)
    folder.mkdir(parents=True)
    (folder / "stderr.log").write_text(text)
    os.utime(folder / "stderr.log", (when, when))
    return folder


def traceback(error: str) -> str:
    return f"fine\n[rank1]: Traceback (most recent call last):\n[rank1]:   File 'x', line 1\n[rank1]: {error}\n"


def test_the_earliest_cause_stands_before_earlier_consequences(tmp_path: Path):
    rank_log(tmp_path, 0, 0, traceback(LOST), when=100.0)
    rank_log(tmp_path, 0, 1, traceback("ValueError: a later cause"), when=120.0)
    rank_log(tmp_path, 1, 0, traceback("torch.OutOfMemoryError: CUDA out of memory"), when=110.0)
    rank_log(tmp_path, 1, 1, "no error here\n", when=90.0)
    found = failures_of(tmp_path, devices=2)
    assert [failure.rank for failure in found] == [2, 1, 0]
    assert found[0].node == "n1" and "CUDA out of memory" in found[0].text and found[2].is_consequence
    assert "first error: " in report(found) and "rank 2 on n1: torch.OutOfMemoryError" in report(found)


def test_a_rank_that_was_killed_is_known_from_torchruns_summary(tmp_path: Path):
    rank_log(tmp_path, 1, 0, "working\n", when=100.0)
    rank_log(tmp_path, 1, 1, traceback(LOST), when=100.0)
    (tmp_path / "node-1-n1" / "torchrun.log").write_text(SUMMARY.format(rank=2, other=3))
    found = failures_of(tmp_path, devices=2)
    assert [(failure.rank, failure.code, failure.is_consequence) for failure in found] == [(2, -9, False), (3, 1, True)]
    assert found[0].text == "Signal 9 (SIGKILL) received by PID 7"
    assert found[0].when == datetime(2026, 11, 22, 20, 54, 23).timestamp()


def test_a_message_for_the_launcher_and_a_stamp_tell_the_time(tmp_path: Path):
    folder = rank_log(tmp_path, 0, 0, traceback("later"), when=500.0)
    (folder / "error.json").write_text(json.dumps({"message": "run.name=x is wrong", "timestamp": 90, "code": 2}))
    day = datetime(2026, 3, 4, 5, 6, 7, 250000)
    stamped = "[rank1]:[E304 x] no stamp\n[rank1]:[E0304 05:06:07.250000 ProcessGroupNCCL.cpp:1] NCCL error: Xid 79\n"
    rank_log(tmp_path, 0, 1, stamped, when=day.timestamp() + 60)
    found = failures_of(tmp_path, devices=2)
    assert [(failure.rank, failure.when) for failure in found] == [(0, 90.0), (1, day.timestamp())]
    assert found[0].text == "run.name=x is wrong" and "Xid 79" in found[1].text


def test_the_first_exception_of_a_chain_counts(tmp_path: Path):
    chain = traceback("OSError: disk") + "\nDuring handling of the above exception\n" + traceback("RuntimeError: save")
    rank_log(tmp_path, 0, 0, chain, when=1.0)
    assert failures_of(tmp_path, devices=1)[0].text == "OSError: disk"


def test_torn_and_foreign_files_are_passed_over(tmp_path: Path):
    folder = rank_log(tmp_path, 0, 0, "\x00\xff" * 10, when=1.0)
    (folder / "error.json").write_text('{"message"')
    (tmp_path / "node-x").mkdir()
    (tmp_path / "node-1-n1").mkdir()
    assert failures_of(tmp_path, devices=1) == [] and report([]) == ""


def test_the_command_reads_the_newest_attempt_of_a_run(tmp_path: Path, capsys):
    for attempt, error in enumerate(["ValueError: old", "ValueError: new"]):
        logs = tmp_path / "logs" / "slurm-1" / f"attempt-{attempt}"
        rank_log(logs, 0, 0, traceback(error), when=1.0)
        rank_log(logs, 0, 1, "fine", when=1.0)
        os.utime(logs, (attempt, attempt))
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "rank 0 on n0: ValueError: new" in out and "old" not in out
    assert main([str(tmp_path / "nothing")]) == 1


def test_it_runs_where_there_is_no_torch(tmp_path: Path):
    code = "import sys; import mai1.launch.first_error, mai1.launch.slurm_job, mai1.launch.node; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
