import fcntl
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mai1.status.run_status import read_status
from mai1.status.state import State, duration, lock_holder
from mai1.status.text import block, one_line, table
from tests.support.run_directory import age, make_run, train_record

NOW = 1_700_000_000.0


def state_of(run: Path, *, now: float = NOW) -> tuple[str, str]:
    status = read_status(run, now=now)
    return status.state, status.reason


def sign(run: Path, phase: str, *, at_s: float, **more: object) -> None:
    path = run / "logs" / "alive.json"
    path.write_text(json.dumps({"phase": phase, "step": 100, "host": "n7", "pid": 12} | more))
    os.utime(path, (at_s, at_s))


def restart(run: Path, *, at_s: float, **event: object) -> None:
    event = {"time": datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")} | event
    with open(run / "restarts.jsonl", "a") as file:
        file.write(json.dumps(event) + "\n")
    os.utime(run / "restarts.jsonl", (at_s, at_s))


def test_a_run_whose_lock_is_held_is_running_and_asking_does_not_take_the_lock(tmp_path):
    run = make_run(tmp_path / "first", written_s=NOW - 1e6)
    assert lock_holder(run / ".lock") is None
    with open(run / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert state_of(run) == ("running", f"process {os.getpid()} holds its lock")
        before = Path("/proc/locks").read_text().count(f":{os.stat(run / '.lock').st_ino} ")
        lock_holder(run / ".lock")
        assert Path("/proc/locks").read_text().count(f":{os.stat(run / '.lock').st_ino} ") == before == 1
    assert state_of(run)[0] == "silent"


def test_a_sign_of_life_of_another_machine_says_that_it_runs(tmp_path):
    run = make_run(tmp_path / "first", written_s=NOW - 500)
    sign(run, "evaluate", at_s=NOW - 12)
    assert state_of(run) == ("running", "alive on n7 12 s ago (evaluate)")
    sign(run, "start", at_s=NOW - 12)
    assert state_of(run)[0] == "starting"
    sign(run, "train", at_s=NOW - 12, idle_s=200.0)
    assert state_of(run)[1] == "alive on n7 12 s ago (train, without progress for 3 min)"


def test_a_sign_of_an_earlier_launch_counts_for_nothing(tmp_path):
    run = make_run(tmp_path / "first", written_s=NOW - 20)
    sign(run, "gone", at_s=NOW - 4000)
    assert state_of(run)[0] == "running"


def test_a_process_that_ended_without_a_word_has_failed(tmp_path):
    run = make_run(tmp_path / "first", saved=90, written_s=NOW - 500)
    sign(run, "gone", at_s=NOW - 90)
    assert state_of(run) == (
        "failed",
        "rank 0's process ended without a word 90 s ago: killed, or out of memory",
    )
    sign(run, "over", at_s=NOW - 90)
    assert state_of(run) == ("failed", "ended 90 s ago by an error: its console or logs say which")
    sign(run, "train", at_s=NOW - 300)
    assert state_of(run)[0] == "failed" and "its machine may be gone" in state_of(run)[1]


def test_a_run_that_was_asked_to_stop_is_stopped_and_one_at_its_last_step_finished(tmp_path):
    run = make_run(tmp_path / "first", step=100, saved=100, written_s=NOW - 50)
    (run / "report.html").touch()
    os.utime(run / "report.html", (NOW - 49, NOW - 49))
    sign(run, "over", at_s=NOW - 48)
    assert state_of(run) == ("stopped", "saved at step 100; the same command goes on from there")
    done = make_run(tmp_path / "done", step=1000, saved=1000, written_s=NOW - 50)
    assert state_of(done) == ("finished", "all 1,000 steps are done and saved")


def test_what_a_supervisor_gave_up_has_failed_with_its_reason_until_it_is_launched_again(tmp_path):
    run = make_run(tmp_path / "first", written_s=NOW - 5000)
    failures = [{"rank": 3, "code": -9, "how": "rank 3 was killed by SIGKILL"}]
    restart(run, at_s=NOW - 60, restart=1, from_step=90, failures=failures, ended_because="")
    assert state_of(run) == ("starting", "being started again after rank 3 was killed by SIGKILL")
    restart(run, at_s=NOW - 30, restart=0, from_step=90, failures=failures, ended_because="a person must look")
    status = read_status(run, now=NOW)
    assert (status.state, status.reason) == ("failed", "not started again: a person must look")
    assert status.num_restarts == 1 and status.last_restart_age_s == pytest.approx(30)
    os.utime(run / "config.yaml", (NOW - 10, NOW - 10))
    assert state_of(run)[0] == "running"


def test_a_restart_of_a_batch_job_is_understood_too(tmp_path):
    run = make_run(tmp_path / "first", written_s=NOW - 5000)
    restart(run, at_s=NOW - 60, job=17, restart=1, why="code 1", rank=3, node="n1")
    assert read_status(run, now=NOW).last_restart == "code 1"


def test_a_stuck_run_names_its_page_and_an_old_page_is_only_counted(tmp_path):
    run = make_run(tmp_path / "first", written_s=NOW - 5000)
    page = run / "logs" / "stuck-20260101T000000" / "incident.md"
    page.parent.mkdir()
    page.touch()
    age(run, NOW - 5000)
    os.utime(page, (NOW - 100, NOW - 100))
    assert state_of(run) == ("failed", f"stuck: see {page}")
    os.utime(page, (NOW - 9000, NOW - 9000))
    assert state_of(run)[0] == "silent" and read_status(run, now=NOW).incidents == [str(page)]


def test_silence_is_no_more_than_silence(tmp_path):
    run = make_run(tmp_path / "first", written_s=NOW - 1700)
    assert state_of(run)[0] == "running"  # less than watch.pause_after_s
    age(run, NOW - 1900)
    assert state_of(run) == ("silent", "nothing was written for 31 min, and no process here holds its lock")


def test_a_directory_that_a_run_has_only_been_promised_is_empty(tmp_path):
    (tmp_path / "restarts.jsonl").touch()
    assert read_status(tmp_path, now=NOW).state == State.empty.value


def test_eta_is_what_is_left_times_the_wall_clock_of_recent_steps(tmp_path):
    run = make_run(tmp_path / "first", step=400, seconds_per_step=3.0, written_s=NOW - 5)
    status = read_status(run, now=NOW)
    assert status.seconds_per_step == pytest.approx(3.0) and status.eta_s == pytest.approx(600 * 3.0)
    slower = [
        train_record(at, seconds_per_step=3.0) | {"seconds": 1200 + (at - 400) * 9.0} for at in range(410, 700, 10)
    ]
    with open(run / "metrics.jsonl", "a") as file:
        file.write("".join(json.dumps(record) + "\n" for record in slower))
    os.utime(run / "metrics.jsonl", (NOW, NOW))
    assert read_status(run, now=NOW).seconds_per_step == pytest.approx(9.0)
    age(run, NOW - 1e6)
    assert read_status(run, now=NOW).eta_s is None, "a run that does not go on is never done"


def test_everything_that_is_asked_for_is_shown(tmp_path):
    run = make_run(tmp_path / "first", step=200, saved=150, written_s=NOW - 5)
    alarm = {"layer": "2", "figure": "max_violation", "value": 2.4, "key": "alarms.max_violation", "threshold": 2.0}
    slow = {"rank": 3, "host": "n1", "factor": 1.8, "own_s": 2.0}
    (run / "checkpoints" / ".staging-step_00000200").mkdir()
    with open(run / "metrics.jsonl", "a") as file:
        file.write(json.dumps(train_record(210, alarms=[alarm], stragglers=[slow])) + "\n")
        file.write(json.dumps({"kind": "heldout", "step": 210, "loss": 2.5, "bits_per_byte": 1.2}) + "\n")
        file.write(json.dumps({"kind": "skipped", "step": 211}) + "\n")
        file.write('{"kind": "train", "step": 220, "lo')  # still being written
    os.utime(run / "metrics.jsonl", (NOW, NOW))
    restart(run, at_s=NOW - 7200, restart=1, failures=[{"how": "rank 1 ended with code 1"}], ended_because="")
    text = "\n".join(block(read_status(run, now=NOW), width=160))
    for part in (
        *("running: written", "step 210/1,000 (21.0%)", "210k tokens", "2 s a step", "ETA 26 min", "from 4.333"),
        *("2.500 at step 210, 1.200 bits per byte; the best seen is 2.500", "500 tokens/s, 25.0% of the peak"),
        *("the busiest has 2.40 times the even share (layer 2 of 2), 1 without tokens",),
        *("layer 2: max_violation 2.4 (alarms.max_violation=2.0)", "rank 3 on n1 is 1.8 times as slow"),
        *("1 of the recent steps", "1; the last 2 h 0 min ago: rank 1 ended with code 1"),
        *("step 150, 5 s ago, 4.9 KiB; 1 kept, the next one is being written", "free, room for"),
    ):
        assert part in text, f"{part!r} is not in\n{text}"
    status = read_status(run, now=NOW)
    assert (
        "2 alarms, 1 restart" in one_line(status).replace("alarms, ", "alarms, ") and "210/1,000" in table([status])[1]
    )
    layers = {layer.name: layer for layer in status.layers}
    assert layers["2"].entropy == pytest.approx(0.9) and layers["1"].load == pytest.approx([1.6, 1.2, 0.8, 0.4])
    json.dumps(status.record(), allow_nan=False)


def test_a_checkpoint_that_latest_does_not_name_or_that_is_gone_does_not_count(tmp_path):
    run = make_run(tmp_path / "first", saved=150)
    (run / "checkpoints" / "latest").unlink()
    assert read_status(run, now=NOW).checkpoint is None
    (run / "checkpoints" / "latest").symlink_to("step_00000999")
    assert read_status(run, now=NOW).checkpoint is None


def test_a_duration_is_said_in_the_units_of_its_size():
    shown = [duration(s) for s in (0.4, 98, 99, 7199, 7200, 172_799, 172_800, None, float("inf"))]
    assert shown == ["0 s", "98 s", "1 min", "119 min", "2 h 0 min", "47 h 59 min", "2 d 0 h", "–", "–"]


def test_status_loads_neither_torch_nor_hydra():
    """Over a slow connection to a busy login node it must answer at once."""
    code = "import sys, mai1.run.status, mai1.run.watch; print({'torch', 'hydra', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "set()", done.stderr
