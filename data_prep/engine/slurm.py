"""The Slurm engine: tasks as job arrays, watched through the folders that appear. All nodes must share the disk."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from data_prep.engine.code_version import ROOT
from data_prep.engine.config import SlurmConfig
from data_prep.engine.ledger import Failure, Ledger, TaskError
from data_prep.engine.task import Result, Task, find_result, task_line
from data_prep.engine.worker import ONE_THREAD, TABLE

EXPORTED = ("HOME", "USER", "PATH", "LANG", "HF_HOME", "HF_DATASETS_CACHE", "HF_HUB_OFFLINE")
"""What travels from this shell to the job: no tokens, and no surprise."""

ANSWER_S = 120
"""Seconds after which a command of Slurm's is given up."""

HOPELESS = {
    *("partitiontimelimit", "partitionnodelimit", "badconstraints", "dependencyneversatisfied"),
    *("accountnotallowed", "qosnotallowed", "invalidaccount", "invalidqos", "jobheldadmin"),
    *("launch_failed_requeued_held", "job_requeued_in_held_state"),
}
"""Reasons of squeue's for which a job waits until a person does something."""

HERE = "engine_options.slurm"


class SlurmEngine:
    """Submits arrays through sbatch and waits; needs neither accounting nor a daemon of its own."""

    def __init__(self, work: Path, config: SlurmConfig, *, is_quiet: bool = False, table: str = TABLE) -> None:
        self.work, self.config, self.is_quiet, self.table = work.absolute(), config, is_quiet, table

    def __enter__(self) -> "SlurmEngine":
        if shutil.which("sbatch") is None:
            raise ValueError("engine=slurm needs sbatch on PATH: start it on a login node, or choose another engine")
        if "\\" in str(self.work):
            raise ValueError(f"output: {self.work} has a backslash, which sbatch drops: choose another name")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def run(self, tasks: Sequence[Task], *, title: str) -> list[Result]:
        """As the local engine does. Array after array until nothing is missing; Ctrl-C cancels the one that runs."""
        with Ledger(tasks, self.work, title=title, is_quiet=self.is_quiet) as ledger:
            while batch := ledger.take_all():
                array = self._submit(batch, title)
                try:
                    self._watch(array, ledger)
                except BaseException:
                    _slurm("scancel", array.job)
                    say = f"Slurm job {array.job} is cancelled; {ledger.counts} and kept: the same command goes on from there"
                    print(say, file=sys.stderr)
                    raise
                if not ledger.has_failed:
                    array.give_up(ledger)
                if not ledger.has_failed:
                    shutil.rmtree(array.folder, ignore_errors=True)  # its last element may still write its log
            return ledger.results()

    def _submit(self, batch: list[Task], title: str) -> "_Array":
        """Write what the elements are to do, each its share of the tasks, and queue them."""
        (self.work / "slurm").mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-") or "tasks"
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.work / "slurm"))
        for inner in ("elements", "started", "failed"):
            (folder / inner).mkdir()
        num_elements = min(len(batch), self.config.max_elements)
        for number in range(num_elements):
            lines = "".join(f"{task_line(task)}\n" for task in batch[number::num_elements])
            (folder / "elements" / f"{number}.jsonl").write_text(lines, encoding="ascii")
        script = folder / "job.sh"
        script.write_text(self._script(folder), encoding="utf-8")
        answer = _slurm("sbatch", *self._options(folder, name, num_elements), str(script))
        if answer.returncode != 0:
            shutil.rmtree(folder)
            raise ValueError(f"sbatch refuses the job ({' '.join(answer.stderr.split())}): mend {HERE}")
        elements = {task.key: number % num_elements for number, task in enumerate(batch)}
        return _Array(answer.stdout.strip().partition(";")[0], folder, {task.key: task for task in batch}, elements)

    def _script(self, folder: Path) -> str:
        """What each element runs. Every word that comes from outside is quoted."""
        python = self.config.python or sys.executable
        command = [python, "-m", "data_prep.engine.worker", str(self.work), str(folder)]
        lines = ["#!/bin/bash -l" if self.config.modules else "#!/bin/bash"]  # modules are a login shell's
        lines += [f"module load {shlex.quote(name)} || exit 1" for name in self.config.modules]
        lines += [f'export PYTHONPATH={shlex.quote(str(ROOT))}"${{PYTHONPATH:+:$PYTHONPATH}}"']
        lines += [f"export {name}={value}" for name, value in ONE_THREAD.items()]
        lines += [f'exec {shlex.join(command)} "$SLURM_ARRAY_TASK_ID" --table {shlex.quote(self.table)}']
        return "\n".join(lines) + "\n"

    def _options(self, folder: Path, name: str, num_elements: int) -> list[str]:
        """The arguments of sbatch."""
        limit = f"%{self.config.max_running}" if self.config.max_running else ""
        options = {"array": f"0-{num_elements - 1}{limit}", "job-name": f"mai1-{name}", "ntasks": "1"}
        options |= {"cpus-per-task": "1", "export": ",".join(EXPORTED), "open-mode": "append"}
        options |= {"output": f"{str(folder).replace('%', '%%')}/%a.log"}
        own = {"partition": self.config.partition, "time": self.config.time_limit, **self.config.options}
        options |= {key: value for key, value in own.items() if value}
        return ["--parsable", "--requeue", *(f"--{key}={value}" for key, value in options.items())]

    def _watch(self, array: "_Array", ledger: Ledger) -> None:
        """Until every task is done, or the job is gone and the disk has shown what it left."""
        has_cancelled = False
        while array.missing:
            states = _states_of(array.job)  # asked before looking: what is done after it is found after the job is gone
            array.collect(ledger, self.work)
            if ledger.has_failed and not has_cancelled:
                _slurm("scancel", "--state=PENDING", array.job)
                has_cancelled = True
            if states is not None and not states:
                break
            if states and (reason := _hopeless(states)):
                raise ValueError(f"Slurm will never start its job {array.job} ({reason}): mend {HERE}")
            if array.missing:
                ledger.show(_in_words(states))
                time.sleep(self.config.poll_s)
        deadline = time.monotonic() + self.config.settle_s
        while array.missing and not ledger.has_failed and time.monotonic() < deadline:
            time.sleep(min(1.0, self.config.poll_s))
            array.collect(ledger, self.work)


@dataclass(slots=True)
class _Array:
    """A job and those of its tasks of which nothing is known yet."""

    job: str
    folder: Path
    missing: dict[str, Task]
    elements: dict[str, int]
    """In which element of the array each task is."""

    has_moved: bool = False
    """At least one task was done or failed."""

    def collect(self, ledger: Ledger, work: Path) -> None:
        """Note what has been done or has failed since. Folders are listed: a name asked for too early is remembered as absent."""
        names = {kind: _names(work / "tasks" / kind) for kind in {task.kind for task in self.missing.values()}}
        failed = _names(self.folder / "failed")
        for key, task in list(self.missing.items()):
            if key in names[task.kind] and find_result(task, work):
                ledger.note(self.missing.pop(key), None)
            elif key in failed:
                failure = Failure(**json.loads((self.folder / "failed" / key).read_bytes()))
                ledger.note(self.missing.pop(key), failure)
            self.has_moved |= key not in self.missing

    def give_up(self, ledger: Ledger) -> None:
        """The job is gone. What it had started counts as dead, the rest waits again; TaskError if it started nothing."""
        started = _names(self.folder / "started")
        if self.missing and not self.has_moved and not started & set(self.missing):
            log = self.folder / "0.log"
            raise TaskError(
                f"Slurm job {self.job} ended before it started any task: {_last_line(log) or f'it left nothing in {log}'}; "
                f"do all nodes see {self.folder} and the interpreter?"
            )
        for key, task in self.missing.items():
            if key not in started:
                ledger.put_back(task)
                continue
            log = self.folder / f"{self.elements[key]}.log"
            text = f"element {self.elements[key]} of Slurm job {self.job} ended without finishing it, its log with "
            text += f"'{_last_line(log)}'"
            ledger.note(task, Failure(text, log=str(log), has_died=True))


def _states_of(job: str) -> Counter[tuple[str, str]] | None:
    """How many elements are in each (state, reason); empty when none waits or runs any more, None when nobody knows."""
    answer = _slurm("squeue", "--noheader", "--array", f"--jobs={job}", "--format=%T|%r")
    if answer.returncode != 0:
        return Counter() if "Invalid job id" in answer.stderr else None
    parts = [line.strip().partition("|") for line in answer.stdout.splitlines() if line.strip()]
    return Counter((state, reason if state == "PENDING" else "") for state, _, reason in parts)


def _in_words(states: Counter[tuple[str, str]] | None) -> str:
    """`5 pending (Resources), 2 running`."""
    if states is None:
        return "squeue does not answer"
    return ", ".join(
        f"{count} {state.lower()}{f' ({reason})' if reason else ''}"
        for (state, reason), count in sorted(states.items())
    )


def _hopeless(states: Counter[tuple[str, str]]) -> str:
    """Why none of the elements will start, where waiting does not help; empty when it may."""
    reasons = {reason.replace(" ", "_").lower(): reason for _, reason in states}
    return ", ".join(sorted(reasons.values())) if set(reasons) <= HOPELESS else ""


def _slurm(*command: str) -> subprocess.CompletedProcess[str]:
    """One of Slurm's commands; one that hangs counts as one that fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]} does not answer")


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()


def _last_line(log: Path) -> str:
    """What the log of an element ends with, at most a few hundred characters."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, log.stat().st_size - 2000))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[-300:] for line in reversed(lines) if line.strip()), "")
