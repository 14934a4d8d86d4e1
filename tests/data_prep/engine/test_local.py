import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_prep.engine.ledger import Ledger, TaskError
from data_prep.engine.local import LocalEngine
from data_prep.engine.task import Task
from tests.support.engine_run import TABLE, digest, squares
from tests.support.engine_tasks import count

REPOSITORY = Path(__file__).parents[3]


def run(work: Path, tasks: list[Task], *, num_workers: int = 2) -> list:
    with LocalEngine(work, num_workers=num_workers, is_quiet=True, table=TABLE) as engine:
        return engine.run(tasks, title="squares")


def start_run(work: Path, num_tasks: int, seconds: float) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.support.engine_run", str(work), str(num_tasks), str(seconds)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def wait_for_executions(work: Path, number: int) -> None:
    deadline = time.monotonic() + 120
    while count(work / "side") < number:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def other(work: Path, kind: str, **arguments) -> Task:
    return Task(kind, {"number": 7, "side": str(work / "side"), **arguments})


def test_one_worker_and_two_leave_the_same_bytes(tmp_path: Path):
    tasks = squares(tmp_path, range(9))
    digests = set()
    for num_workers in (1, 2):
        work = tmp_path / str(num_workers)
        results = run(work, tasks, num_workers=num_workers)
        assert [result.summary for result in results] == [{"square": n * n, "half": n / 2} for n in range(9)]
        assert [int((result.folder / "square.txt").read_text()) for result in results] == [n * n for n in range(9)]
        digests.add(digest(work))
    assert len(digests) == 1


@pytest.mark.parametrize("num_workers", [1, 2])
def test_what_is_done_is_not_done_again(tmp_path: Path, num_workers: int):
    first = run(tmp_path, squares(tmp_path, range(5)), num_workers=num_workers)
    assert run(tmp_path, squares(tmp_path, range(5)), num_workers=num_workers) == first
    assert count(tmp_path / "side") == 5
    run(tmp_path, squares(tmp_path, range(7)), num_workers=num_workers)
    assert count(tmp_path / "side") == 7
    run(tmp_path, squares(tmp_path, range(5), seconds=0.001), num_workers=num_workers)
    assert count(tmp_path / "side") == 12


def test_a_task_named_twice_is_done_once_and_no_task_is_no_error(tmp_path: Path):
    tasks = squares(tmp_path, range(3))
    results = run(tmp_path, tasks + tasks[::-1])
    assert [result.summary["square"] for result in results] == [0, 1, 4, 4, 1, 0]
    assert count(tmp_path / "side") == 3
    assert run(tmp_path, []) == []


def test_an_engine_runs_one_list_after_another_in_the_same_processes(tmp_path: Path):
    with LocalEngine(tmp_path, num_workers=2, is_quiet=True, table=TABLE) as engine:
        engine.run(squares(tmp_path, range(4)), title="first")
        before = {worker._process.pid for worker in engine._idle}
        engine.run(squares(tmp_path, range(4, 8)), title="second")
        assert {worker._process.pid for worker in engine._idle} == before and len(before) == 2
    assert count(tmp_path / "side") == 8


def test_done_says_what_was_done(tmp_path: Path):
    [result] = run(tmp_path, squares(tmp_path, range(3, 4)), num_workers=1)
    done = json.loads((result.folder / "done.json").read_text())
    assert done.pop("seconds") >= 0 and done.pop("host")
    arguments = {"number": 3, "side": str(tmp_path / "side"), "seconds": 0.0}
    assert done == {"kind": "square", "arguments": arguments, "summary": {"square": 9, "half": 1.5}}


def test_a_result_that_somebody_broke_is_made_again(tmp_path: Path):
    [result] = run(tmp_path, squares(tmp_path, range(1)))
    before = digest(tmp_path)
    (result.folder / "done.json").write_text("{")
    (result.folder / "square.txt").unlink()
    run(tmp_path, squares(tmp_path, range(1)))
    assert digest(tmp_path) == before and count(tmp_path / "side") == 2


def test_a_killed_task_is_done_again_and_no_other(tmp_path: Path):
    tasks = [*squares(tmp_path, range(6)), other(tmp_path, "die", times=1)]
    assert run(tmp_path, tasks)[-1].summary == {"number": 7}
    assert count(tmp_path / "side", 7) == 2 and count(tmp_path / "side") == 8
    digest(tmp_path)


def test_a_task_that_is_killed_time_and_again_stops_the_run_and_is_named(tmp_path: Path):
    tasks = [other(tmp_path, "die", times=9), *squares(tmp_path, range(2))]
    says = r"^die [0-9a-f]{12} \(number=7, .*its worker was killed by SIGKILL \(out of memory\?.* in 2 attempts; "
    with pytest.raises(TaskError, match=says + r"2 of 3 tasks are done and kept$"):
        run(tmp_path, tasks)
    assert count(tmp_path / "side", 7) == 2
    run(tmp_path, tasks[1:])
    assert count(tmp_path / "side") == 4


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_users_mistake_arrives_as_one_line(tmp_path: Path, num_workers: int):
    with pytest.raises(ValueError, match="^number=7 is wrong: use another$"):
        run(tmp_path, [other(tmp_path, "fail", error="ValueError")], num_workers=num_workers)
    assert not list(tmp_path.rglob("half_written"))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_any_other_error_names_the_task_and_its_log(tmp_path: Path, num_workers: int):
    with pytest.raises(TaskError, match=r"^fail \w{12} \(.*ZeroDivisionError: number=7 .*; see .*\.log; 0 of 1"):
        run(tmp_path, [other(tmp_path, "fail", error="ZeroDivisionError")], num_workers=num_workers)
    [log] = (tmp_path / "logs").iterdir()
    assert "Traceback" in log.read_text() and "engine_tasks.py" in log.read_text()
    assert not list(tmp_path.rglob("half_written"))


def test_a_text_that_cannot_be_decoded_is_no_mistake_in_a_setting(tmp_path: Path):
    with pytest.raises(TaskError, match="UnicodeDecodeError"):
        run(tmp_path, [Task("decode", {})], num_workers=1)


def test_after_a_failure_nothing_starts_and_what_runs_is_kept(tmp_path: Path):
    slow = squares(tmp_path, range(1), seconds=1.0)
    tasks = [*slow, other(tmp_path, "fail", error="OSError"), *squares(tmp_path, range(20, 40))]
    with pytest.raises(TaskError, match="OSError.*1 of 22 tasks are done and kept"):
        run(tmp_path, tasks)
    assert count(tmp_path / "side") == 2
    run(tmp_path, slow)
    assert count(tmp_path / "side") == 2


def test_a_killed_run_goes_on_without_loss_or_repetition(tmp_path: Path):
    work, calm = tmp_path / "work", tmp_path / "calm"
    work.mkdir()
    process = start_run(work, 12, 0.2)
    wait_for_executions(work, 5)
    process.kill()
    process.communicate()
    finished = {path.parent.name for path in work.glob("tasks/square/*/done.json")}
    deadline = time.monotonic() + 120
    while str(work) in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout:
        assert time.monotonic() < deadline, "workers of the killed run go on"
    tasks = squares(work, range(12), seconds=0.2)
    run(work, tasks)
    for task in tasks:
        times = count(work / "side", task.arguments["number"])
        assert times == 1 if task.key in finished else times <= 2
    assert 2 <= len(finished) < 12 and count(work / "side") <= 14
    run(calm, tasks, num_workers=2)
    assert digest(work) == digest(calm)


def test_two_runs_on_one_folder_share_the_work(tmp_path: Path):
    processes = [start_run(tmp_path, 10, 0.05) for _ in range(2)]
    digests = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(digests) == 1 and count(tmp_path / "side") == 10


def test_ctrl_c_ends_the_workers_and_keeps_what_is_done(tmp_path: Path):
    command = [sys.executable, "-m", "tests.support.engine_run", str(tmp_path), "6", "0.3"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, start_new_session=True, text=True)
    wait_for_executions(tmp_path, 3)
    os.killpg(process.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=120)[1]
    run(tmp_path, squares(tmp_path, range(6), seconds=0.3))
    assert count(tmp_path / "side") <= 8


def test_libraries_of_a_worker_use_one_thread(tmp_path: Path):
    code = (
        "import sys; from tests.data_prep.engine.test_local import *\n"
        "print(run(Path(sys.argv[1]), [Task('surroundings', {})])[0].summary)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]  # other tests preload NumPy in this process's workers
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    printed = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout == "{'numpy': False, 'threads': '1'}\n"


def test_the_bar_weighs_tasks_and_counts_what_was_done_before(tmp_path: Path, capsys: pytest.CaptureFixture):
    tasks = squares(tmp_path, range(4))
    run(tmp_path, tasks[3:])
    assert capsys.readouterr().err == ""
    with Ledger(tasks, tmp_path, title="squares", is_quiet=False) as ledger:
        assert (ledger._bar.n, ledger._bar.total, ledger.counts) == (13, 46, "1 of 4 tasks are done")
    assert capsys.readouterr().err.startswith("squares: 28%, 13.0 of 46.0 in ")
