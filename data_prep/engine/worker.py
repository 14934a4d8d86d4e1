"""A worker's side: a task comes as a line of JSON, what became of it goes back as one.

As a program, `python -m data_prep.engine.worker WORK JOB NUMBER`, it is one element of a Slurm array: it does the tasks of
JOB/elements/NUMBER.jsonl, one after the other, marks each that it starts in JOB/started and a failure in JOB/failed.
"""

import argparse
import errno
import importlib
import json
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from data_prep.engine.ledger import Failure
from data_prep.engine.perform import perform
from data_prep.engine.task import SHORT_KEY, Task, canonical_json, read_task

TABLE = "data_prep.tasks"
"""The module whose TASKS says what each kind of task does."""

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""For NumPy, Arrow and the like, before they are loaded: workers are as many as CPUs, and sums must not depend on threads.
Ray gives its workers the same."""


NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PARTLY_WRITTEN = "requested and"
"""What NumPy says of a full disk, without a number: `1048576 requested and 4096 written`."""


def attempt(line: str, work: Path, table: str) -> Failure | None:
    """Do the task of a line; what it raises becomes a failure, with the traceback in WORK/logs.

    A plain ValueError is a mistake of the user's; its subclasses, such as decoding errors, are not.
    """
    try:
        task = read_task(line)
    except ValueError as error:
        return Failure(f"{error} (worker on {socket.gethostname()})", is_mistake=True)
    try:
        perform(task, work, importlib.import_module(table).TASKS)
    except Exception as error:
        is_mistake = type(error) is ValueError
        text = str(error) if is_mistake else f"{type(error).__name__}: {error}"
        if isinstance(error, OSError) and (error.errno in NO_SPACE or PARTLY_WRITTEN in text):
            text += ": free some space, then run the same command again"
        return Failure(" ".join(text.split()), log=_write_log(task, work), is_mistake=is_mistake)
    return None


def _write_log(task: Task, work: Path) -> str:
    """The traceback of what is being handled, in a file; empty where the disk takes none."""
    path = work / "logs" / f"{task.kind}-{task.key[:SHORT_KEY]}.log"
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        arguments = canonical_json(task.arguments)
        path.write_text(f"{task} on {socket.gethostname()}\n{arguments}\n{traceback.format_exc()}", encoding="utf-8")
        return str(path)
    return ""


def main() -> None:
    """Do the tasks of one array element; ends with code 1 at the first that cannot be done, anywhere in the array."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("job", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("--table", default=TABLE, help="module with the TASKS to use")
    given = parser.parse_args()
    for line in (given.job / "elements" / f"{given.number}.jsonl").read_text(encoding="ascii").splitlines():
        if any((given.job / "failed").iterdir()):
            sys.exit(1)
        content = json.loads(line)
        key = content["key"]
        (given.job / "started" / key).touch()
        print(f"{socket.gethostname()} starts {content['kind']} {key[:SHORT_KEY]}", flush=True)
        if failure := attempt(line, given.work, given.table):
            building = given.job / f"{key}.{given.number}"
            building.write_text(json.dumps(asdict(failure)), encoding="utf-8")
            building.rename(given.job / "failed" / key)
            print(failure.text, file=sys.stderr)
            sys.exit(1)


if __name__ == "__main__":
    main()
