"""How long a rank stands still in collectives: what it took for a step beyond that is its own."""

import time
from collections.abc import Callable

import torch
from torch.distributed import Work


class WaitClock:
    """Measures a stretch of training, `with WaitClock(device) as clock`: afterwards `clock.own_s` is its seconds without
    those in which the rank waited for others.

    Every collective of torch and DeepSpeed, blocking or not, ends in `Work.wait`. On a CPU the call itself waits. On a GPU
    it makes the stream wait, so the stream's standstill lies between an event before it and one after it. Between the
    two collectives of a stretch a slow rank is slow, while the others stand still.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._waited_s, self.own_s = device, 0.0, 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def __enter__(self) -> "WaitClock":
        self._wait, self._started = Work.wait, time.perf_counter()
        Work.wait = self._timed(Work.wait)
        return self

    def __exit__(self, *_: object) -> None:
        Work.wait = self._wait
        if self._events:
            torch.cuda.synchronize(self._device)
        waited_s = self._waited_s + sum(before.elapsed_time(after) for before, after in self._events) / 1000
        self.own_s = time.perf_counter() - self._started - waited_s

    def _timed(self, wait: Callable[..., bool]) -> Callable[..., bool]:
        def on_cpu(work: Work, *arguments: object, **options: object) -> bool:
            started = time.perf_counter()
            try:
                return wait(work, *arguments, **options)
            finally:
                self._waited_s += time.perf_counter() - started

        def on_gpu(work: Work, *arguments: object, **options: object) -> bool:
            before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            before.record()
            try:
                return wait(work, *arguments, **options)
            finally:
                after.record()
                self._events.append((before, after))

        return on_gpu if self._device.type == "cuda" else on_cpu
