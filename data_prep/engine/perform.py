"""One task, done once: built in a folder beside its own, flushed to disk, renamed; whoever comes second takes the result."""

import fcntl
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from data_prep.engine.task import DONE, Result, Task, canonical_json, find_result

Functions = dict[str, Callable[[dict, Path], dict]]
"""What each kind of task does: function(arguments, folder) -> summary."""


def perform(task: Task, work: Path, functions: Functions) -> Result:
    """Do the task unless it is done; another live process with the same task is waited for.

    Whatever its function raises is passed on, and then nothing of the attempt is kept.
    """
    if result := find_result(task, work):
        return result
    folder = task.folder(work)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.parent / f".{task.key}.lock"):
        if result := find_result(task, work):
            return result
        yard = folder.parent / f".{task.key}.building"
        _remove(yard, folder)  # what killed processes left, and a result that somebody has broken
        building = yard / uuid4().hex  # a name of its own, so that even where locks fail no two can mix their files
        building.mkdir(parents=True)
        try:
            _build(task, building, functions)
            building.rename(folder)
        finally:
            _remove(yard)
        _flush(folder.parent)
    result = find_result(task, work)
    assert result is not None, f"{folder} was removed while the run needs it"
    return result


def _build(task: Task, building: Path, functions: Functions) -> None:
    started = time.monotonic()
    summary = functions[task.kind](task.arguments, building)
    done = {"kind": task.kind, "arguments": task.arguments, "summary": summary}
    done |= {"seconds": round(time.monotonic() - started, 3), "host": socket.gethostname()}
    (building / DONE).write_text(canonical_json(done) + "\n", encoding="utf-8")
    for path in sorted(building.rglob("*")):
        _flush(path)
    _flush(building)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Held by one process at a time, on any machine; the kernel frees it when that process ends, however it ends.

    The file goes when the task is done: who still waits on the removed one finds the result and does nothing.
    """
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
        path.unlink(missing_ok=True)


def _remove(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
