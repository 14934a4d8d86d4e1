import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_prep.engine.config import RayConfig
from data_prep.engine.ledger import TaskError
from data_prep.engine.local import LocalEngine
from data_prep.engine.task import Task
from tests.support.engine_run import TABLE, digest, squares
from tests.support.engine_tasks import count
from tests.support.ray_token import RAY_TOKEN

pytest.importorskip("ray")

from data_prep.engine.ray_engine import RayEngine  # noqa: E402 (needs ray)

pytestmark = pytest.mark.slow

JOIN = """
import sys
from pathlib import Path
from data_prep.engine.config import RayConfig
from data_prep.engine.ray_engine import RayEngine
from tests.support.engine_run import TABLE, squares
work = Path(sys.argv[1])
with RayEngine(work, RayConfig(address=sys.argv[2]), is_quiet=True, table=TABLE) as engine:
    print([result.summary["square"] for result in engine.run(squares(work, range(4)), title="squares")])
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayEngine]:
    """One real cluster of two CPUs for all tests here, with a token of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_AUTH_MODE", raising=False)
        patch.setenv("RAY_AUTH_TOKEN", RAY_TOKEN)
        work = tmp_path_factory.mktemp("work")
        with RayEngine(work, RayConfig(num_cpus=2), is_quiet=True, table=TABLE) as running:
            yield running
        assert not Path(running._temporary).exists()


@pytest.fixture
def work(engine: RayEngine, tmp_path: Path) -> Path:
    engine.work = tmp_path / "it's work"
    engine.work.mkdir()
    return engine.work


def other(work: Path, kind: str, **arguments) -> Task:
    return Task(kind, {"number": 7, "side": str(work / "side"), **arguments})


def test_ray_leaves_the_bytes_of_the_local_engine(engine: RayEngine, work: Path, tmp_path: Path):
    tasks = squares(work, range(9))
    results = engine.run(tasks, title="squares")
    assert [result.summary["square"] for result in results] == [n * n for n in range(9)]
    with LocalEngine(tmp_path / "local", num_workers=2, is_quiet=True, table=TABLE) as local:
        local.run(tasks, title="squares")
    assert digest(work) == digest(tmp_path / "local")


def test_libraries_of_a_worker_use_one_thread(engine: RayEngine, work: Path):
    assert engine.run([Task("surroundings", {})], title="x")[0].summary["threads"] == "1"


def test_what_is_done_is_not_done_again(engine: RayEngine, work: Path):
    first = engine.run(squares(work, range(4)), title="squares")
    assert engine.run(squares(work, range(4)), title="squares") == first and count(work / "side") == 4
    engine.run(squares(work, range(6)), title="squares")
    assert count(work / "side") == 6


def test_a_killed_task_is_done_again_and_no_other(engine: RayEngine, work: Path):
    assert engine.run([other(work, "die", times=1), *squares(work, range(3))], title="x")[0].summary == {"number": 7}
    assert count(work / "side", 7) == 2 and count(work / "side") == 5
    digest(work)


def test_a_task_that_is_killed_time_and_again_stops_the_run_and_is_named(engine: RayEngine, work: Path):
    says = r"^die \w{12} .*: its worker died \(WorkerCrashedError: .*, in 2 attempts; 2 of 3 tasks are done and kept$"
    with pytest.raises(TaskError, match=says):
        engine.run([other(work, "die", times=9), *squares(work, range(2))], title="x")
    assert count(work / "side", 7) == 2


def test_errors_arrive_as_from_the_local_engine(engine: RayEngine, work: Path):
    with pytest.raises(ValueError, match="^number=7 is wrong: use another$"):
        engine.run([other(work, "fail", error="ValueError")], title="x")
    with pytest.raises(TaskError, match=r"^fail .*: ZeroDivisionError: .*; see .*/logs/fail-\w{12}\.log; 0 of 1"):
        engine.run([other(work, "fail", error="ZeroDivisionError")], title="x")
    assert not list(work.rglob("half_written"))


def test_after_a_failure_nothing_more_is_submitted(engine: RayEngine, work: Path):
    tasks = [other(work, "fail", error="OSError"), *squares(work, range(30), seconds=0.1)]
    with pytest.raises(TaskError, match="OSError"):
        engine.run(tasks, title="x")
    assert count(work / "side") <= 8


def test_a_running_cluster_is_joined_and_left_running(engine: RayEngine, work: Path):
    command = [sys.executable, "-c", JOIN, str(work), "auto"]
    joined = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=60)
    assert joined.stdout == "[0, 1, 4, 9]\n", joined.stderr
    assert len(engine.run(squares(work, range(5)), title="squares")) == 5 and count(work / "side") == 5


def test_a_cluster_that_is_not_there_is_said_in_one_line(work: Path):
    says = r"^engine_options\.ray\.address=127\.0\.0\.1:1 must be a running cluster \(.*refused\): start one with"
    with pytest.raises(ValueError, match=says), RayEngine(work, RayConfig(address="127.0.0.1:1")):
        pass
