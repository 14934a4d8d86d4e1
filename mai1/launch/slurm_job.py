"""The batch script's inside: one torchrun a node, again after failures while that helps, and saved before time is up.

Runs on the first node of a Slurm job (`python -m mai1.launch.slurm_job`); needs no torch. docs/launching.md says what it does.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mai1.launch import bad_nodes
from mai1.launch.attempts import TIME_IS_UP, Attempts
from mai1.launch.environment import passed
from mai1.launch.first_error import Failure, failures_of, report
from mai1.launch.torchrun import NODE_LOG, threads_of, torchrun
from mai1.launch.training import run_path, with_preflight

ANSWER_S = 60
ENDED_WELL = "ended-well"
"""In a node's folder: torchrun returned 0 there. srun's code does not tell: it was seen to be 0 when a node was lost."""
ON_EACH_NODE = f"""trap "" USR1
trap : TERM
folder="$1/node-$SLURM_PROCID-$SLURMD_NODENAME"
mkdir -p "$folder"
if "$2" "$3" "$4" --node-rank "$SLURM_PROCID" --log-dir "$folder" "${{@:5}}" \\
    > >(trap "" TERM INT USR1; exec tee -a "$folder/{NODE_LOG}") 2>&1
then touch "$folder/{ENDED_WELL}"
else exit $?
fi"""
"""What each node runs. USR1 is ignored until the trainer installs its handler: by default the signal kills a process that is
still importing, and torchrun itself, which has no use for it; what is ignored stays so in whatever is started from here. TERM,
which Slurm sends to every process, torchrun gets too, and this shell waits for it."""
SETTLE_S = 10
"""That a shared file system may take to show what another node wrote."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the batch script hands over."""

    words: list[str]
    run: Path
    nodes: int
    devices: int
    bad_nodes: Path
    max_restarts: int
    max_futile_restarts: int
    stop_within_s: int
    environment: list[str]
    preflight: str
    """How closely a new allocation is looked at."""


class SlurmJob:
    """One start of a Slurm job, which may hold several attempts; earlier starts are known by their folders."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.id = settings, os.environ["SLURM_JOB_ID"]
        self.attempts = Attempts(
            settings.run / "logs" / f"slurm-{self.id}",
            checkpoints=settings.run / "checkpoints",
            max_restarts=settings.max_restarts,
            max_futile_restarts=settings.max_futile_restarts,
        )
        self.allocated = _slurm("scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]).stdout.split()
        self.nodes_wanted = settings.nodes or len(self.allocated)
        self.devices = settings.devices or int(os.environ.get("SLURM_GPUS_ON_NODE", "1"))
        self.is_time_up, self.is_looked_at = False, False
        signal.signal(signal.SIGUSR1, self._note_time)
        signal.signal(signal.SIGTERM, self._note_end)

    def run(self) -> int:
        """Attempt after attempt; the exit code of the job."""
        while True:
            nodes = self._good_nodes()
            logs = self.attempts.begin()
            if len(nodes) < self.nodes_wanted:
                self.attempts.excuse(logs, "too few good nodes")
                return self._queue_again("the allocation has bad nodes", says=f"asking for others than {self._bad()}")
            before = self.attempts.newest_checkpoint()
            _say(f"job {self.id}, {logs.name}, {len(nodes)} nodes x {self.devices}, from {before}, logs in {logs}")
            started = time.time()
            code = self._attempt(logs, nodes)
            self.is_looked_at = True
            failures = failures_of(logs, devices=self.devices)
            self._note_bad_nodes(failures, logs, nodes, since=started)
            if (ended := self._judge(code, logs, nodes, before, failures)) is not None:
                return ended

    def _judge(self, code: int, logs: Path, nodes: list[str], before: str, failures: list[Failure]) -> int | None:
        """The job's exit code, or None for another attempt in this allocation."""
        after, is_time_up = self.attempts.newest_checkpoint(), (logs / TIME_IS_UP).exists()
        job = self._shown()
        if job.get("JobState", "RUNNING") != "RUNNING":
            return _end(f"the job is {job['JobState']}, at checkpoint {after}", 1)
        if not is_time_up and self._ended_well(code, logs, len(nodes)):
            return _end(f"done, at checkpoint {after}", 0)
        if not is_time_up and job.get("PreemptTime", "None") != "None":
            self.attempts.excuse(logs, "preempted")
            return self._queue_again("preempted", says=f"a job of higher priority takes the nodes; saved {after}")
        if text := report(failures):
            print(text, file=sys.stderr, flush=True)
        if bad := self._bad() & set(nodes):
            self.attempts.excuse(logs, f"taken out: {', '.join(sorted(bad))}")
        elif next(logs.glob("node-*/*/attempt_*/*/error.json"), None):
            return _end(f"ended at {after} by what another attempt would meet again", 2)
        if is_time_up and after == before:
            return _end(f"time was up, but no checkpoint came after {before}: not starting again", 1)
        if reason := self.attempts.reason_to_end():
            return _end(reason, 1)
        if is_time_up:
            return self._queue_again("time limit", says=f"saved {after}; queueing this job again")
        self._record(f"code {code}", failures)
        _say(f"ended with code {code}; starting again from {after}")
        return None

    # ---- the ranks ----

    def _attempt(self, logs: Path, nodes: list[str]) -> int:
        """srun's exit code. If one node fails, all must end: the others would wait for it in a collective."""
        with subprocess.Popen(self._srun(logs, nodes), env=self._environment()) as step:
            while step.poll() is None:
                if self.is_time_up and not (logs / TIME_IS_UP).exists():
                    _say("time is nearly up: asking every rank for a checkpoint")
                    (logs / TIME_IS_UP).touch()
                    _slurm(
                        "scancel", "--signal=USR1", self.id
                    )  # reaches every process of the job's steps, not this one
                time.sleep(0.1)
            return step.returncode

    def _ended_well(self, code: int, logs: Path, num_nodes: int) -> bool:
        """Whether every node says so."""
        deadline = time.monotonic() + (SETTLE_S if code == 0 else 0)
        while (num_well := len(list(logs.glob(f"node-*/{ENDED_WELL}")))) < num_nodes and time.monotonic() < deadline:
            time.sleep(0.2)
        return num_well == num_nodes

    def _srun(self, logs: Path, nodes: list[str]) -> list[str]:
        cpus = os.environ.get("SLURM_CPUS_ON_NODE", "1")  # srun no longer takes those of the allocation by itself
        port = 20000 + (int(self.id) + self.attempts.count()) % 12000  # below those that Linux hands out
        options = [f"--nodes={len(nodes)}", f"--ntasks={len(nodes)}", "--ntasks-per-node=1", f"--cpus-per-task={cpus}"]
        options += [f"--nodelist={','.join(nodes)}", "--kill-on-bad-exit=1"]
        options += [f"--export={','.join(passed(self.settings.environment, []))}"]
        look = "off" if self.is_looked_at else self.settings.preflight
        started = torchrun(
            with_preflight(self.settings.words, look),
            python=sys.executable,
            nodes=len(nodes),
            devices=self.devices,
            head=_address(nodes[0]),
            port=port,
            before=[],
        )
        return ["srun", *options, "bash", "-c", ON_EACH_NODE, "node", str(logs.absolute()), *started]

    def _environment(self) -> dict[str, str]:
        """Of the step; srun hands on what --export names."""
        threads = threads_of(int(os.environ.get("SLURM_CPUS_ON_NODE", "1")), self.devices)
        ours = {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(self.settings.stop_within_s), "OMP_NUM_THREADS": str(threads)}
        return {"PYTHONUNBUFFERED": "1", **ours, **os.environ}

    # ---- nodes ----

    def _bad(self) -> set[str]:
        """Nodes to leave out, by this file and by what the check before the first step found; hosts may have longer names."""
        names = {*bad_nodes.read(self.settings.bad_nodes), *bad_nodes.read(self.settings.run / bad_nodes.PREFLIGHT)}
        return names | {name.partition(".")[0] for name in names}

    def _good_nodes(self) -> list[str]:
        """The nodes of the next attempt: spare ones stand in for those that are known to be bad."""
        bad = self._bad()
        return [node for node in self.allocated if node not in bad][: self.nodes_wanted]

    def _note_bad_nodes(self, failures: list[Failure], logs: Path, nodes: list[str], *, since: float) -> None:
        found = bad_nodes.suspects(failures, logs, nodes=nodes, devices=self.devices)
        run_logs = self.settings.run / "logs"
        found |= bad_nodes.stuck_in_kernel(run_logs, nodes=nodes, devices=self.devices, since=since)
        for node, why in found.items():
            _say(f"{node} is left out from here on ({self.settings.bad_nodes}): {why}")
        if found:
            bad_nodes.add(self.settings.bad_nodes, found)

    # ---- the job ----

    def _note_end(self, *_: object) -> None:
        """SIGTERM, of a preemption or a requeue, reaches the ranks too: they save, and we see them end."""

    def _note_time(self, *_: object) -> None:
        self.is_time_up = True

    def _shown(self) -> dict[str, str]:
        """What Slurm says of the job: its state, and whether it is about to take the nodes for another."""
        shown = _slurm("scontrol", "show", "job", "-o", self.id).stdout.split()
        return {key: value for key, _, value in (word.partition("=") for word in shown)}

    def _queue_again(self, why: str, *, says: str) -> int:
        """Give the nodes back and wait for others, without those that are known to be bad."""
        if reason := self.attempts.reason_to_end():
            return _end(reason, 1)
        self._record(why, [])
        _say(says)
        sys.stderr.flush()
        if (answer := _slurm("scontrol", "requeue", self.id)).returncode != 0:
            return _end(f"cannot be queued again ({' '.join(answer.stderr.split())}); submit the same command", 1)
        if bad := self._bad():  # only of a job that waits: it does from here on, while this process is being ended
            _slurm("scontrol", "update", f"jobid={self.id}", f"ExcNodeList={','.join(sorted(bad))}")
        return 0

    def _record(self, why: str, failures: list[Failure]) -> None:
        """One line for each restart, where the supervisor of `launch.ranks` writes its own."""
        if not self.settings.run.is_dir():
            return
        event = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "job": int(self.id),
            "restart": self.attempts.count(),
            "from": self.attempts.newest_checkpoint(),
            "why": why,
        }
        event |= (
            {"rank": failures[0].rank, "node": failures[0].node, "first_error": failures[0].text} if failures else {}
        )
        with open(self.settings.run / "restarts.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")


def _address(node: str) -> str:
    """Where a node is reached: its NodeAddr, which need not be its name."""
    shown = _slurm("scontrol", "show", "node", node, "-o").stdout.split()
    return next((word.partition("=")[2] for word in shown if word.startswith("NodeAddr=")), node)


def _slurm(*command: str) -> subprocess.CompletedProcess[str]:
    """One of Slurm's commands; one that hangs or is absent counts as one that fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def _say(text: str) -> None:
    print(f"mai1 launch: {text}", file=sys.stderr, flush=True)


def _end(text: str, code: int) -> int:
    _say(text)
    return code


def settings_of(arguments: list[str]) -> Settings:
    """What the batch script wrote on our command line."""
    parser = argparse.ArgumentParser(prog="python -m mai1.launch.slurm_job", allow_abbrev=False)
    parser.add_argument("--run", type=Path, help="run directory; from the command's overrides if left out")
    parser.add_argument("--nodes", type=int, default=0, help="nodes of an attempt; 0: all of the allocation")
    parser.add_argument("--devices", type=int, default=0, help="ranks of a node; 0: its GPUs, or 1")
    parser.add_argument("--bad-nodes", type=Path, default=Path("bad_nodes.txt"))
    parser.add_argument("--max-restarts", type=int, default=50)
    parser.add_argument("--max-futile-restarts", type=int, default=3)
    parser.add_argument("--stop-within", type=int, default=600)
    parser.add_argument("--preflight", default="quick", choices=("off", "quick", "full"))
    parser.add_argument("--pass", dest="environment", default="", help="names of further variables, with commas")
    parser.add_argument("words", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    words = given.words[1:] if given.words[:1] == ["--"] else given.words
    if not words:
        parser.error("no command: pretrain run.name=first")
    return Settings(
        words=words,
        run=given.run or run_path(words, Path(__file__).resolve().parents[1] / "configs"),
        nodes=given.nodes,
        devices=given.devices,
        bad_nodes=given.bad_nodes,
        max_restarts=given.max_restarts,
        max_futile_restarts=given.max_futile_restarts,
        stop_within_s=given.stop_within,
        preflight=given.preflight,
        environment=[name for name in given.environment.split(",") if name],
    )


if __name__ == "__main__":
    sys.exit(SlurmJob(settings_of(sys.argv[1:])).run())
