"""The supervisor starts ranks again after failures, within bounds, and passes on a request to stop."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mai1.watch.config import LaunchConfig
from mai1.watch.monitor import parent_of
from mai1.watch.restarts import Failure, RestartPolicy
from mai1.watch.supervisor import ASKING, supervise

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Supervise a toy on two ranks in this process; returns the exit code, the ledger and what was said."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("mai1.watch.supervisor.SURVIVE_S", 0.2)
    for variable in ("TORCHELASTIC_SIGNALS_TO_HANDLE", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "MAI1_SUPERVISOR_PID"):
        monkeypatch.setenv(variable, "0")  # restored afterwards: the supervisor sets them for good
    before = {number: signal.getsignal(number) for number in ASKING}

    def supervised(what: str, *, rank: int = 0, times: int = 1, **changes) -> tuple[int, list[dict], str]:
        command = ["-m", "tests.watch.toy_command", str(tmp_path), what, str(rank), str(times)]
        code = supervise(command, LaunchConfig(ranks=2, **changes), run_directory=tmp_path, stop=False)
        ledger = tmp_path / "restarts.jsonl"
        lines = ledger.read_text().splitlines() if ledger.exists() else []
        return code, [json.loads(line) for line in lines], capfd.readouterr().err

    yield supervised
    for number, handler in before.items():
        signal.signal(number, handler)


def attempts(folder: Path) -> int:
    return len(list(folder.glob("started-*-0")))


def test_a_command_that_works_is_run_once(run, tmp_path):
    assert run("0", times=0) == (0, [], "")
    assert attempts(tmp_path) == 1


def test_a_killed_rank_is_named_and_all_start_again(run, tmp_path):
    code, ledger, said = run("kill", rank=1, times=2)
    assert code == 0 and attempts(tmp_path) == 3
    assert [event["restart"] for event in ledger] == [1, 2]
    assert ledger[0]["failures"] == [{"rank": 1, "code": -9, "how": "rank 1 was killed by SIGKILL"}]
    assert "mai1: rank 1 was killed by SIGKILL; restart 1 from step 0" in said


@pytest.mark.parametrize(("what", "said"), [("2", "a mistake in the command"), ("3", "a machine is broken")])
def test_what_would_fail_again_is_not_started_again(run, tmp_path, what, said):
    code, ledger, text = run(what, rank=1)
    assert code == int(what) and attempts(tmp_path) == 1
    assert said in ledger[0]["ended_because"] and said in text


def test_failures_without_a_new_checkpoint_end_the_run(run, tmp_path):
    code, ledger, said = run("77", times=99, max_futile_restarts=2)
    assert code == 1 and attempts(tmp_path) == 3
    assert "launch.max_futile_restarts=2" in ledger[-1]["ended_because"] and "not starting again" in said


def test_failures_with_new_checkpoints_go_on_until_max_restarts(run, tmp_path):
    code, ledger, said = run("checkpoint", rank=1, times=99, max_futile_restarts=1, max_restarts=3)
    assert code == 1 and attempts(tmp_path) == 4
    assert [event["from_step"] for event in ledger] == [1, 2, 3, 4]
    assert "launch.max_restarts=3" in ledger[-1]["ended_because"]
    assert "[rank 1] the end of " in said and "out of memory, say" in said


def test_bounds_are_counted_from_the_last_checkpoint(tmp_path, capfd):
    policy = RestartPolicy(LaunchConfig(max_futile_restarts=2, max_restarts=9), tmp_path)
    failures = [Failure(0, 1)]
    assert [policy.allows(failures) for _ in range(2)] == [True, True]
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "latest").symlink_to("step_00000007")
    assert [policy.allows(failures) for _ in range(3)] == [True, True, False]
    assert [json.loads(line)["from_step"] for line in (tmp_path / "restarts.jsonl").read_text().splitlines()][-1] == 7


def test_a_full_disk_does_not_keep_a_run_from_its_restart(tmp_path, capfd):
    (tmp_path / "restarts.jsonl").mkdir()
    assert RestartPolicy(LaunchConfig(), tmp_path).allows([Failure(1, -9)])
    assert "cannot be written" in capfd.readouterr().err


def start(folder: Path, what: str, **changes) -> subprocess.Popen:
    """A supervisor in a process of its own, whose ranks have started."""
    script = (
        "import sys; from pathlib import Path; from mai1.watch.supervisor import supervise\n"
        "from mai1.watch.config import LaunchConfig\n"
        f"config = LaunchConfig(ranks=2, **{changes})\n"
        f"command = ['-m', 'tests.watch.toy_command', {str(folder)!r}, {what!r}, '0', '1']\n"
        f"sys.exit(supervise(command, config, run_directory=Path({str(folder)!r}), stop=False))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=ROOT)
    deadline = time.monotonic() + 120
    while len(list(folder.glob("started-0-*"))) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_a_request_to_stop_reaches_every_rank_and_ends_well(tmp_path, number):
    process = start(tmp_path, "wait")
    process.send_signal(number)
    assert process.wait(120) == 0
    assert len(list(tmp_path.glob("saved-*"))) == 2 and not (tmp_path / "restarts.jsonl").exists()


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    process = start(tmp_path, "deaf")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 1
    assert not list(tmp_path.glob("saved-*"))


def test_ranks_are_gone_before_their_supervisor_however_often_it_is_asked(tmp_path):
    process = start(tmp_path, "deaf")
    ranks = [int(path.name) for path in Path("/proc").glob("[0-9]*") if parent_of(int(path.name)) == process.pid]
    assert len(ranks) == 2
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.001)
    assert process.returncode == 1
    assert not [rank for rank in ranks if Path(f"/proc/{rank}").exists()]


def test_ranks_that_do_not_stop_in_time_are_ended(tmp_path):
    process = start(tmp_path, "deaf", stop_within_s=1.0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 1


def test_a_command_under_another_launcher_starts_no_ranks():
    assert not LaunchConfig().starts_ranks({})
    assert LaunchConfig(ranks=2).starts_ranks({})
    assert not LaunchConfig(ranks=2).starts_ranks({"WORLD_SIZE": "2"})
    with pytest.raises(ValueError, match=r"launch\.ranks=2 but a launcher started 4 ranks: leave launch\.ranks out"):
        LaunchConfig(ranks=2).starts_ranks({"WORLD_SIZE": "4"})
