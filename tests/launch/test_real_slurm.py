"""One training job on a real Slurm of two nodes: preempted, a node lost, out of time - and each time on from where it was."""

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mai1.launch.config import Device, JobConfig, SlurmJobConfig, Target
from mai1.launch.slurm import slurm
from mai1.launch.submission import write
from mai1.launch.training import Training
from tests.run.conftest import TINY_RUN
from tests.support.slurm import SlurmCluster, why_not

PATIENCE_S = 300
ROOT = Path(__file__).parents[2]
STEPS = ["train.steps=100000", "checkpoint.every_steps=20", "checkpoint.keep=3", "train.heldout_every=100000"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    if reason := why_not():
        pytest.skip(reason)
    with SlurmCluster() as running:
        yield running


class Job:
    """The job, told apart from its files and from what Slurm says."""

    def __init__(self, cluster: SlurmCluster, folder: Path, corpus: Path) -> None:
        self.cluster, self.run = cluster, folder / "runs" / "first"
        self.hurried: set[str] = set()
        places = [
            f"data.path={corpus}",
            f"run.directory={folder / 'runs'}",
            "run.name=first",
            "data.sequence_length=32",
        ]
        words = ["pretrain", *TINY_RUN, *STEPS, *places, "train.self_check=false", "engine.timeout_s=60"]
        job = {
            "nodes": 2,
            "devices_per_node": 1,
            "device": Device.cpu,
            "time_limit_hours": 0.5,
            "max_futile_restarts": 1,
        }
        config = JobConfig(
            target=Target.slurm, **job, slurm=SlurmJobConfig(bad_nodes=str(folder / "bad_nodes.txt")), port=29500
        )
        submission = slurm(config, Training(words, self.run), name="first")
        write(submission.path, submission.text)
        self.run.joinpath("logs").mkdir()
        asked = ["--parsable", f"--chdir={ROOT}", *submission.command[1:]]
        self.id = cluster.run("sbatch", *asked).strip()
        assert self.id.isdigit(), shlex.join(asked)

    def starts(self) -> list[dict]:
        """What each attempt began from."""
        paths = sorted(self.run.glob(f"logs/slurm-{self.id}/attempt-*/start.json"))
        return [json.loads(path.read_text()) for path in paths]

    def latest(self) -> int:
        link = self.run / "checkpoints" / "latest"
        return int(link.readlink().name.rpartition("_")[2]) if link.is_symlink() else 0

    def output(self) -> str:
        path = self.run / "logs" / f"slurm-{self.id}.out"
        return path.read_text(errors="replace") if path.exists() else ""

    def until(self, is_so: Callable[[], object], what: str) -> None:
        """Wait for a condition. Slurm holds a job back for two minutes after a requeue; here it need not wait so long."""
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < deadline, f"{what}:\n{self.cluster.run('squeue')}\n{self.output()[-6000:]}"
            assert "JobState=FAILED" not in self.shown(), f"{what}:\n{self.output()[-6000:]}"
            restarts = re.search(r"Restarts=(\d+)", self.shown())
            if "Reason=BeginTime" in self.shown() and restarts and restarts[1] not in self.hurried:
                self.hurried.add(restarts[1])
                self.cluster.run("scontrol", "update", f"jobid={self.id}", "StartTime=now+4seconds")
            time.sleep(0.2)

    def until_step_beyond(self, step: int) -> None:
        self.until(lambda: self.latest() > step, f"a checkpoint after {step}")

    def shown(self) -> str:
        return self.cluster.run("scontrol", "show", "job", self.id)


def test_a_job_goes_on_after_preemption_after_the_loss_of_a_node_and_after_its_time(
    cluster: SlurmCluster, corpus: Path, tmp_path: Path
):
    job = Job(cluster, tmp_path, corpus)
    job.until_step_beyond(0)
    cluster.run(
        "sbatch", "--partition=urgent", "--nodes=2", f"--chdir={tmp_path}", "--output=urgent.out", "--wrap=true"
    )
    job.until(lambda: "queued again" in job.output() or "Restarts=1" in job.shown(), "preemption")
    saved = job.latest()
    job.until(lambda: len(job.starts()) == 2, "the start after preemption")
    assert job.starts()[1]["from"] == f"step_{saved:08d}" and saved > 0

    job.until_step_beyond(saved)
    cluster.lose("n1")
    job.until(lambda: "Restarts=2" in job.shown(), "Slurm's own requeue")
    saved = job.latest()
    cluster.start_node("n1")
    job.until(lambda: len(job.starts()) == 3, "the start after the loss of a node")
    assert job.starts()[2]["from"] == f"step_{saved:08d}"

    job.until_step_beyond(saved)
    cluster.run("scancel", "--batch", "--signal=USR1", job.id)  # as Slurm does before the time limit
    job.until(lambda: "Restarts=3" in job.shown(), "the requeue when time was up")
    cluster.run("scancel", job.id)
    resumed = [int(step) for step in re.findall(r"going on from step (\d+) of", job.output())]
    assert resumed == [int(start["from"][5:]) for start in job.starts()[1:]], job.output()[-4000:]
    events = [json.loads(line) for line in (job.run / "restarts.jsonl").read_text().splitlines()]
    assert [event["why"] for event in events] == ["preempted", "time limit"]
    assert events[-1]["from"] == f"step_{job.latest():08d}"
