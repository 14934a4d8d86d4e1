"""A pool of processes that maps a function over a stream, in order and with bounded memory."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Protocol, TypeVar

BATCH_CHARACTERS = 1 << 20


class HasText(Protocol):
    """A document or a part of one."""

    text: str


Item = TypeVar("Item")
Result = TypeVar("Result")
Text = TypeVar("Text", bound=HasText)


class Workers:
    """`map` like the built-in, on `num_workers` processes; with one worker everything happens in this process."""

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        if self.num_workers > 1:
            method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
            context = multiprocessing.get_context(method)
            self._pool = ProcessPoolExecutor(self.num_workers, mp_context=context, initializer=_end_with_parent)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in the order of the items; at most three items a worker are in flight."""
        if self._pool is None:
            yield from map(function, items)
            return
        stream, running = iter(items), deque[Future]()
        for item in islice(stream, 3 * self.num_workers):
            running.append(self._pool.submit(function, item))
        while running:
            result = running.popleft().result()
            for item in islice(stream, 1):
                running.append(self._pool.submit(function, item))
            yield result


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever: a thread ends it."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def batches(items: Iterable[Text]) -> Iterator[list[Text]]:
    """Items in lists of about a million characters: one errand for a worker."""
    batch: list[Text] = []
    characters = 0
    for item in items:
        batch.append(item)
        characters += len(item.text) + 100
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
