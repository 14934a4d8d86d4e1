"""Run a function on several real gloo processes and collect what each returns."""

import multiprocessing
import os
import queue
import socket
import time
import traceback
from collections.abc import Callable

_CONTEXT = multiprocessing.get_context("forkserver")  # fork hangs once the parent ran autograd; spawn takes 20 s
_CONTEXT.set_forkserver_preload(
    [
        "mai1.run.compose",
        "mai1.train.trainer",
        "deepspeed.runtime.zero.muon.muon_optimizer",  # every engine imports it: 1.6 s, torch's compiler with it
    ]
)


def run_ranks(function: Callable, num_ranks: int, *arguments: object, timeout_s: float = 300.0) -> list:
    """Call `function(world, *arguments)` on every rank; returns the results in rank order.

    AssertionError with the rank's traceback when one fails, or when they take longer than the timeout.
    """
    results, port = _CONTEXT.Queue(), _free_port()
    processes = [
        _CONTEXT.Process(target=_rank_main, args=(function, rank, num_ranks, port, results, arguments), daemon=True)
        for rank in range(num_ranks)
    ]
    for process in processes:
        process.start()
    found, deadline = {}, time.monotonic() + timeout_s
    try:
        while len(found) < num_ranks:
            try:
                rank, value, error = results.get(timeout=1.0)
            except queue.Empty:
                assert time.monotonic() < deadline, (
                    f"only ranks {sorted(found)} of {num_ranks} finished in {timeout_s} s"
                )
                dead = [r for r, p in enumerate(processes) if p.exitcode not in (None, 0) and r not in found]
                assert not dead, f"ranks {dead} died with {[processes[r].exitcode for r in dead]}"
                continue
            assert error is None, f"rank {rank}:\n{error}"
            found[rank] = value
    finally:
        for process in processes:
            process.join(timeout=10 if len(found) == num_ranks else 0.1)
            process.kill()
    return [found[rank] for rank in range(num_ranks)]


def _rank_main(function, rank, num_ranks, port, results, arguments) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(num_ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    import torch

    from mai1.dist import start_world, stop_world
    from mai1.engine.engine import start_deepspeed

    torch.set_num_threads(1)
    try:
        world = start_world(timeout_s=60)
        start_deepspeed()
        results.put((rank, function(world, *arguments), None))
        stop_world()
    except BaseException:
        results.put((rank, None, traceback.format_exc()))
        raise


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
