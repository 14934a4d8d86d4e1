"""What this machine's processor can do, for a hardware file: `python -m mai1.plan.timing.measure` prints its figures."""

import time
from collections.abc import Callable

import torch

from mai1.plan.hardware import Hardware

SIDE = 1536
"""Of the square matrices whose product is timed: 27 MB together, more than most caches of one core."""
COPIED = 32 * 2**20
"""Numbers copied at once: 128 MB, more than any cache."""
ROUNDS = 5


def measure_device() -> Hardware:
    """Peak of fp32 matrix products and bandwidth of memory with torch's present number of threads, the best of some rounds.

    By processor time over threads, so that other work on the machine counts less. What is not measured is a placeholder.
    """
    left, right, result = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE), torch.empty(SIDE, SIDE)
    source, target = torch.ones(COPIED), torch.zeros(COPIED)
    multiplying = best_seconds(lambda: torch.mm(left, right, out=result))
    copying = best_seconds(lambda: target.copy_(source))
    return Hardware(
        name="this processor",
        memory_bytes=8e9,
        peak_flops={"fp32": 2 * SIDE**3 / multiplying},
        memory_bytes_per_s=2 * COPIED * 4 / copying,
        devices_per_node=1,
        node_bytes_per_s=1e9,
        network_bytes_per_s=1e9,
    )


def best_seconds(compute: Callable[[], object]) -> float:
    """Processor seconds of one call over the threads that share it."""
    compute()
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        compute()
        times.append(time.process_time() - started)
    return min(times) / torch.get_num_threads()


if __name__ == "__main__":
    device = measure_device()
    print(f"peak_flops: {{fp32: {device.peak_flops['fp32']:.3e}}}\nmemory_bytes_per_s: {device.memory_bytes_per_s:.3e}")
