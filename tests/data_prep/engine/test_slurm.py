import _thread
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from data_prep.engine.config import SlurmConfig
from data_prep.engine.ledger import TaskError
from data_prep.engine.local import LocalEngine
from data_prep.engine.slurm import SlurmEngine
from data_prep.engine.task import Task
from tests.support.engine_run import TABLE, digest, squares
from tests.support.engine_tasks import count
from tests.support.fake_slurm import FakeSlurm
from tests.support.slurm import SlurmCluster, why_not


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    fake = FakeSlurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", fake.path)
    return fake


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder whose name a shell would take apart."""
    folder = tmp_path / "it's $(touch x); 50%a"
    folder.mkdir()
    return folder


def run(work: Path, tasks: list[Task], **settings) -> list:
    config = SlurmConfig(**{"poll_s": 0.1, "settle_s": 0.0, **settings})
    with SlurmEngine(work, config, is_quiet=True, table=TABLE) as engine:
        return engine.run(tasks, title="learn squares")


def other(work: Path, kind: str, **arguments) -> Task:
    return Task(kind, {"number": 7, "side": str(work / "side"), **arguments})


def test_an_array_leaves_the_bytes_of_the_local_engine(slurm: FakeSlurm, work: Path, tmp_path: Path):
    tasks = squares(work, range(5))
    results = run(work, tasks, max_elements=2)
    assert [result.summary["square"] for result in results] == [0, 1, 4, 9, 16]
    with LocalEngine(tmp_path / "local", num_workers=1, is_quiet=True, table=TABLE) as engine:
        engine.run(tasks, title="squares")
    assert digest(work) == digest(tmp_path / "local")
    assert not list((work / "slurm").iterdir()) and not Path("x").exists()


def test_an_array_asks_for_what_is_configured_and_no_more_than_is_missing(slurm: FakeSlurm, work: Path):
    run(work, squares(work, range(3)), max_elements=2)
    options = {"account": "text", "mem": "8G", "cpus-per-task": "4"}
    settings = {"partition": "cpu", "time_limit": "1-12:00:00", "max_running": 2, "options": options}
    run(work, squares(work, range(6)), **settings)
    first, second = slurm.submitted()
    assert "--array=0-1" in first and not any(word.startswith(("--partition", "--time")) for word in first)
    assert {"--array=0-2%2", "--partition=cpu", "--time=1-12:00:00", "--account=text", "--mem=8G"} <= set(second)
    assert "--cpus-per-task=4" in second and "--job-name=mai1-learn-squares" in second
    run(work, squares(work, range(6)))
    assert len(slurm.submitted()) == 2 and count(work / "side") == 6


def test_modules_and_another_interpreter_are_used(slurm: FakeSlurm, work: Path, tmp_path: Path):
    (tmp_path / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"$0.arguments"\n')
    (tmp_path / "python").chmod(0o755)
    config = {"python": str(tmp_path / "python"), "modules": ["python/3.11"]}
    with pytest.raises(TaskError, match="module: command not found"):
        run(work, squares(work, range(1)), **config)
    [script] = work.glob("slurm/*/job.sh")
    assert script.read_text().startswith("#!/bin/bash -l\nmodule load python/3.11 || exit 1\n")
    with pytest.raises(TaskError, match="ended before it started any task"):
        run(work, squares(work, range(1)), **{**config, "modules": []})
    assert (tmp_path / "python.arguments").read_text().splitlines()[:3] == ["-m", "data_prep.engine.worker", str(work)]


def test_libraries_of_a_worker_use_one_thread(slurm: FakeSlurm, work: Path):
    assert run(work, [Task("surroundings", {})])[0].summary["threads"] == "1"


def test_only_what_was_lost_is_submitted_again(slurm: FakeSlurm, work: Path):
    tasks = [*squares(work, range(2)), other(work, "die", times=1), *squares(work, range(2, 5))]
    assert run(work, tasks, max_elements=2)[2].summary == {"number": 7}
    assert [next(word for word in words if word.startswith("--array")) for words in slurm.submitted()] == [
        "--array=0-1",
        "--array=0-1",  # the killed one, and the one that stood behind it in the same element
    ]
    assert count(work / "side") == 7 and count(work / "side", 7) == 2
    digest(work)


def test_a_task_that_is_killed_time_and_again_is_named_with_its_log(slurm: FakeSlurm, work: Path):
    says = r"^die \w{12} .*: element 0 of Slurm job 2 ended without finishing it, its log with '.* starts die \w{12}'"
    with pytest.raises(TaskError, match=says + r", in 2 attempts; see .*/0\.log; 2 of 3 tasks are done and kept$"):
        run(work, [other(work, "die", times=9), *squares(work, range(2))])
    assert count(work / "side", 7) == 2
    assert run(work, squares(work, range(2))) and count(work / "side") == 4


def test_a_users_mistake_arrives_as_one_line_and_nothing_more_starts(slurm: FakeSlurm, work: Path):
    tasks = [other(work, "fail", error="ValueError"), *squares(work, range(3))]
    with pytest.raises(ValueError, match="^number=7 is wrong: use another$"):
        run(work, tasks, max_elements=1)
    assert slurm.cancelled() in ([], ["--state=PENDING 1"]) and count(work / "side") == 1


def test_any_other_error_names_the_task_and_its_log(slurm: FakeSlurm, work: Path):
    with pytest.raises(TaskError, match=r"^fail .*: ZeroDivisionError: .*; see .*/logs/fail-\w{12}\.log; 0 of 1 tasks"):
        run(work, [other(work, "fail", error="ZeroDivisionError")])


def test_a_job_that_starts_nothing_is_not_submitted_for_ever(slurm: FakeSlurm, work: Path):
    (slurm.folder / "starts_nothing").touch()
    with pytest.raises(TaskError, match=r"^Slurm job 1 ended before it started any task: .* do all nodes see .*\?$"):
        run(work, squares(work, range(2)))
    assert len(slurm.submitted()) == 1


def test_a_controller_that_is_out_of_reach_is_waited_for(slurm: FakeSlurm, work: Path):
    (slurm.folder / "is_out_of_reach").touch()
    assert len(run(work, squares(work, range(1)))) == 1
    assert len(slurm.submitted()) == 1 and not (slurm.folder / "is_out_of_reach").exists()


def test_what_slurm_will_never_start_is_cancelled_and_said(slurm: FakeSlurm, work: Path):
    (slurm.folder / "states").write_text("PENDING|PartitionTimeLimit\nPENDING|PartitionTimeLimit\n")
    (slurm.folder / "starts_nothing").touch()
    (slurm.folder / "squeue").write_text(
        (slurm.folder / "squeue").read_text().replace("[[ -e $here/queued", "true || [[")
    )
    with pytest.raises(ValueError, match=r"^Slurm will never start its job 1 \(PartitionTimeLimit\): mend engine"):
        run(work, squares(work, range(2)))
    assert slurm.cancelled() == ["1"]


def test_a_refusal_of_sbatch_is_passed_on(slurm: FakeSlurm, work: Path):
    (slurm.folder / "refuses").touch()
    with pytest.raises(
        ValueError, match=r"^sbatch refuses the job \(sbatch: error: invalid partition specified: nope\)"
    ):
        run(work, squares(work, range(2)), partition="nope")


def test_without_slurm_the_engine_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="engine=slurm needs sbatch on PATH"):
        run(tmp_path, [])


def test_a_folder_that_sbatch_cannot_write_to_is_refused(slurm: FakeSlurm, tmp_path: Path):
    with pytest.raises(ValueError, match=r"^output: .*a\\b has a backslash, which sbatch drops: choose another"):
        run(tmp_path / "a\\b", [])


def test_ctrl_c_cancels_the_job_and_says_how_to_go_on(
    slurm: FakeSlurm, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("data_prep.engine.slurm.time", SimpleNamespace(sleep=interrupt, monotonic=time.monotonic))
        run(work, squares(work, range(2), seconds=0.5))
    assert slurm.cancelled() == ["1"]
    said = "Slurm job 1 is cancelled; 0 of 2 tasks are done and kept: the same command goes on from there\n"
    assert capsys.readouterr().err == said
    assert len(run(work, squares(work, range(2), seconds=0.5))) == 2


# ---- a real Slurm ----


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    if reason := why_not():
        pytest.skip(reason)
    with SlurmCluster() as running:
        yield running


@pytest.fixture
def real(cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> SlurmCluster:
    for key, value in cluster.environment.items():
        monkeypatch.setenv(key, value)
    return cluster


@pytest.mark.slow
def test_two_nodes_do_all_tasks_and_a_killed_one_again(real: SlurmCluster, work: Path, tmp_path: Path):
    tasks = [*squares(work, range(4)), other(work, "die", times=1)]
    assert run(work, tasks, max_elements=2)[-1].summary == {"number": 7}
    assert count(work / "side") == 6
    with LocalEngine(tmp_path / "local", num_workers=1, is_quiet=True, table=TABLE) as engine:
        engine.run(tasks, title="squares")
    assert digest(work) == digest(tmp_path / "local")


@pytest.mark.slow
def test_the_work_of_a_node_that_is_lost_is_done_by_the_other(real: SlurmCluster, work: Path):
    is_over = threading.Event()

    def lose_a_node() -> None:
        await_executions(work, 2)
        real.lose("n1")
        while not is_over.wait(0.3):  # what Slurm queues again it holds back for two minutes
            for job in real.run("squeue", "--noheader", "--array", "--states=PENDING", "--format=%i").split():
                real.run("scontrol", "update", f"jobid={job}", "StartTime=now")

    thread = threading.Thread(target=lose_a_node, daemon=True)
    thread.start()
    try:
        assert len(run(work, squares(work, range(2), seconds=2.0))) == 2
    finally:
        is_over.set()
        thread.join()
        real.start_node("n1")
    assert count(work / "side") == 3
    digest(work)


@pytest.mark.slow
def test_an_interrupted_run_leaves_no_job_and_goes_on(real: SlurmCluster, work: Path):
    threading.Thread(target=lambda: (await_executions(work, 2), _thread.interrupt_main()), daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run(work, squares(work, range(4), seconds=0.7), max_elements=1)
    deadline = time.monotonic() + 120
    while real.run("squeue", "--noheader").strip():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert len(run(work, squares(work, range(4), seconds=0.7), max_elements=1)) == 4
    assert count(work / "side", 0) == 1 and 4 <= count(work / "side") <= 5


@pytest.mark.slow
def test_a_job_beyond_the_partition_is_refused_with_slurms_reason(real: SlurmCluster, work: Path):
    with pytest.raises(ValueError, match=r"^Slurm will never start its job \d+ \(PartitionTimeLimit\)"):
        run(work, squares(work, range(1)), time_limit="2-0")
    with pytest.raises(ValueError, match=r"^sbatch refuses the job .*[Ii]nvalid"):
        run(work, squares(work, range(1)), partition="nope")


def await_executions(work: Path, number: int) -> None:
    deadline = time.monotonic() + 120
    while count(work / "side") < number and time.monotonic() < deadline:
        time.sleep(0.05)
