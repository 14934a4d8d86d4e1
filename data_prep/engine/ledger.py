"""The account of one run of an engine: what waits, what is done, what failed, and a bar that shows it."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from data_prep.engine.task import Result, Task, find_result
from data_prep.progress import progress_bar

MOST_STARTS = 2
"""A task whose worker died, such as by the kernel's hand for want of memory, is started once more in a fresh one."""


class TaskError(RuntimeError):
    """A task could not be done; the text names the task, what it met, and the log."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task is not done."""

    text: str
    """One line."""

    log: str = ""
    """The file that tells more, such as the worker's traceback."""

    is_mistake: bool = False
    """A person can mend it: the text says what and how."""

    has_died: bool = False
    """Its worker ended without a word; another one may do better."""


class Ledger:
    """The tasks of a run by key: one named twice is done once, and what is done already does not wait."""

    def __init__(self, tasks: Sequence[Task], work: Path, *, title: str, is_quiet: bool) -> None:
        self.work = work
        self._order = [task.key for task in tasks]
        self._tasks = {task.key: task for task in tasks}
        found = {key: find_result(task, work) for key, task in self._tasks.items()}
        self._results: dict[str, Result] = {key: result for key, result in found.items() if result}
        self._failures: dict[str, Failure] = {}
        self._deaths: Counter[str] = Counter()
        self._shown = ""
        self._waiting = deque(task for key, task in self._tasks.items() if key not in self._results)
        counts_tasks = all(task.weight == 1 for task in tasks)
        self._bar = progress_bar(
            title,
            total=sum(task.weight for task in self._tasks.values()),
            done=sum(self._tasks[key].weight for key in self._results),
            unit="task" if counts_tasks else "B",
            is_quiet=is_quiet,
        )

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()

    @property
    def has_failed(self) -> bool:
        """No further task is to be started."""
        return bool(self._failures)

    @property
    def counts(self) -> str:
        """`12 of 40 tasks are done`."""
        return f"{len(self._results)} of {len(self._tasks)} tasks are done"

    def next_task(self) -> Task | None:
        """The next one to start; None when none waits, or one has failed."""
        return self._waiting.popleft() if self._waiting and not self.has_failed else None

    def take_all(self) -> list[Task]:
        """Everything that `next_task` would give."""
        taken = []
        while task := self.next_task():
            taken.append(task)
        return taken

    def put_back(self, task: Task) -> None:
        """It waits again."""
        self._waiting.append(task)

    def note(self, task: Task, failure: Failure | None) -> None:
        """How a task ended. Without a failure its result is there; after a first death it waits again."""
        if failure is None:
            result = find_result(task, self.work)
            assert result is not None, f"{task} is said to be done, but {task.folder(self.work)} is not there"
            self._results[task.key] = result
            self._bar.update(task.weight)
            return
        self._deaths[task.key] += failure.has_died
        if failure.has_died and self._deaths[task.key] < MOST_STARTS:
            self.put_back(task)
        else:
            self._failures[task.key] = failure

    def show(self, text: str) -> None:
        """Draw the bar again, with a word on what is waited for."""
        if text != self._shown:
            self._shown = text
            self._bar.set_postfix_str(text)

    def results(self) -> list[Result]:
        """In the order of the tasks. The first failure in that order is raised: ValueError or TaskError."""
        for key, task in self._tasks.items():
            if failure := self._failures.get(key):
                if failure.is_mistake:
                    raise ValueError(failure.text)
                often = f", in {MOST_STARTS} attempts" if failure.has_died else ""
                log = f"; see {failure.log}" if failure.log else ""
                raise TaskError(f"{task}: {failure.text}{often}{log}; {self.counts} and kept")
        return [self._results[key] for key in self._order]
