"""One rank of a toy run that is watched and goes wrong at its fifth step: python -m tests.watch.faulty_rank FAULT FOLDER."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

from mai1.dist import start_world, stop_world
from mai1.watch.config import WatchConfig
from mai1.watch.heartbeat import Phase
from mai1.watch.witness import start_monitor


def lock_the_interpreter() -> None:
    """A search without end, which never lets another thread run."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def sleep_on() -> None:
    time.sleep(600)


def stop_oneself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(600)  # the monitor wakes it to ask where it is


def skip_a_collective() -> None:
    dist.barrier()


FAULTS = {
    "stop": stop_oneself,
    "lock": lock_the_interpreter,
    "sleep": sleep_on,
    "skip": skip_a_collective,
    "skip, checked": skip_a_collective,
}


def main(fault: str, folder: Path) -> None:
    world = start_world(timeout_s=60, check_collectives=fault == "skip, checked")
    watch = WatchConfig(stuck_after_s=60.0 if fault in ("none", "skip, checked") else 2.0, pause_after_s=60.0)
    heartbeat = start_monitor(watch, world, logs=folder)
    value = torch.ones(3)
    for step in range(1, 10**6):
        if fault in FAULTS and step == 5 and world.rank == 1:
            FAULTS[fault]()
        else:
            dist.all_reduce(value)
        heartbeat.beat(Phase.train, step)
        if fault == "none" and step == 20:
            stop_world()
            return
        time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
