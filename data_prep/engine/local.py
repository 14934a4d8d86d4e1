"""The local engine: tasks in processes of this machine, which end with the one that started them."""

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType

from data_prep.engine.ledger import Failure, Ledger
from data_prep.engine.task import Result, Task, task_line
from data_prep.engine.worker import ONE_THREAD, TABLE, attempt


class LocalEngine:
    """Runs tasks on `num_workers` processes (0: one per CPU that this process may use); with one, in this process."""

    def __init__(self, work: Path, *, num_workers: int = 0, is_quiet: bool = False, table: str = TABLE) -> None:
        self.work, self.is_quiet, self.table = work, is_quiet, table
        self.num_workers = num_workers or len(os.sched_getaffinity(0))
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []

    def __enter__(self) -> "LocalEngine":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for worker in (*self._idle, *self._busy):
            worker.stop()

    def run(self, tasks: Sequence[Task], *, title: str) -> list[Result]:
        """Results in the order of the tasks; those that are done already are taken as they are.

        ValueError for a mistake that a person can mend, TaskError for anything else; what runs then is finished and kept.
        """
        with Ledger(tasks, self.work, title=title, is_quiet=self.is_quiet) as ledger:
            if self.num_workers == 1:
                while task := ledger.next_task():
                    ledger.note(task, attempt(task_line(task), self.work, self.table))
            self._start(ledger)
            while self._busy:
                for worker in self._wait_for_any():
                    ledger.note(worker.task, worker.listen())
                    if worker.is_alive:
                        self._idle.append(worker)
                self._start(ledger)
            return ledger.results()

    def _start(self, ledger: Ledger) -> None:
        """Give every free worker a task."""
        while len(self._busy) < self.num_workers and (task := ledger.next_task()):
            worker = self._idle.pop() if self._idle else _Worker(self.work, self.table)
            worker.give(task)
            self._busy.append(worker)

    def _wait_for_any(self) -> "list[_Worker]":
        """Workers that have answered or died, at least one; they are no longer busy."""
        ready = wait([handle for worker in self._busy for handle in worker.handles])
        finished = [worker for worker in self._busy if any(handle in ready for handle in worker.handles)]
        self._busy = [worker for worker in self._busy if worker not in finished]
        return finished


class _Worker:
    """One process that does one task after another; lines of JSON travel both ways."""

    def __init__(self, work: Path, table: str) -> None:
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        context = multiprocessing.get_context(method)
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, str(work), table))
        self._process.start()
        theirs.close()
        self.handles = (self._connection, self._process.sentinel)
        self.task: Task
        self.is_alive = True

    def give(self, task: Task) -> None:
        """Start a task; a worker that is dead already is found out when it is listened to."""
        self.task = task
        with suppress(BrokenPipeError):
            self._connection.send_bytes(task_line(task).encode())

    def listen(self) -> Failure | None:
        """How the task ended."""
        try:
            answer = json.loads(self._connection.recv_bytes())
        except (EOFError, OSError):
            self.stop()
            return Failure(_how_it_ended(self._process.exitcode), has_died=True)
        return Failure(**answer) if answer else None

    def stop(self) -> None:
        """End the process, whatever it does."""
        self.is_alive = False
        self._connection.close()
        self._process.kill()
        self._process.join()


def _how_it_ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"its worker ended with code {code}"
    hint = " (out of memory? use fewer workers)" if -code == signal.SIGKILL else ""
    return f"its worker was killed by {signal.Signals(-code).name}{hint}"


def _serve(connection: Connection, work: str, table: str) -> None:
    """The life of a worker: until its engine closes the connection or ends. Ctrl-C is the engine's to handle."""
    os.environ.update(ONE_THREAD)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError):
        while True:
            failure = attempt(connection.recv_bytes().decode(), Path(work), table)
            connection.send_bytes(json.dumps(asdict(failure) if failure else None).encode())


def _end_with_parent() -> None:
    """A worker whose engine was killed ends at once; what it left is removed when its task is done again."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
