"""What engines run: a task is data, its key says whether it is done, and its folder holds what it made."""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from data_prep.engine.code_version import code_version

DONE = "done.json"
"""A task's folder is complete when it stands under its own name; this file in it says what was done."""

KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")
SHORT_KEY = 12
"""Characters of a key that people are shown."""


@dataclass(frozen=True)
class Task:
    """One errand, the same on any machine: `TASKS[kind](arguments, folder)`."""

    kind: str
    arguments: dict
    """Plain JSON values: everything that decides what the task writes."""

    weight: int = 1
    """How much of the progress bar it is, such as the bytes it reads; decides nothing else."""

    def __post_init__(self) -> None:
        assert KIND.fullmatch(self.kind), self.kind
        assert self.weight >= 0, self.weight
        assert json.loads(canonical_json(self.arguments)) == self.arguments, "arguments must be plain JSON values"

    @cached_property
    def key(self) -> str:
        """SHA-256 over code version, kind and arguments: another program or setting is another task."""
        return hashlib.sha256(f"{code_version()} {self.kind} {canonical_json(self.arguments)}".encode()).hexdigest()

    def __str__(self) -> str:
        """`curate 3f2a1b0c9d8e (slice=3, source='books')`, the short ones first, cut off where they are long."""
        given = sorted(
            (len(repr(value)), name, value) for name, value in self.arguments.items() if value not in ("", {})
        )
        arguments = ", ".join(f"{name}={value!r}" for _, name, value in given)
        shown = arguments if len(arguments) <= 160 else arguments[:157] + "..."
        return f"{self.kind} {self.key[:SHORT_KEY]} ({shown})"

    def folder(self, work: Path) -> Path:
        """Where its files are when it is done."""
        return work / "tasks" / self.kind / self.key


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished task left."""

    folder: Path
    summary: dict
    """What its function returned."""


def find_result(task: Task, work: Path) -> Result | None:
    """The result of a task that is done already, by whomever; None when it is not."""
    folder = task.folder(work)
    try:
        done = json.loads((folder / DONE).read_bytes())
        return Result(folder, done["summary"]) if isinstance(done["summary"], dict) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def task_line(task: Task) -> str:
    """A task as one line of JSON, with its key, so that a worker can tell whether it runs the same program."""
    return canonical_json({"kind": task.kind, "arguments": task.arguments, "weight": task.weight, "key": task.key})


def read_task(line: str | bytes) -> Task:
    """The task of a line. ValueError when this process runs other code than the one that wrote it."""
    content = json.loads(line)
    task = Task(content["kind"], content["arguments"], content["weight"])
    if task.key != content["key"]:
        raise ValueError(
            f"task {content['kind']} {content['key'][:SHORT_KEY]} was made by another version of the sources or packages "
            "than its worker has: give every machine the same ones, change none during a run, and start again"
        )
    return task


def canonical_json(value: object) -> str:
    """The one JSON text of a value: keys sorted, no spaces, ASCII, no NaN. ValueError for what JSON has not."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
