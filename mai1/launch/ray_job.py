"""The driver of a job on a Ray cluster: `python -m mai1.launch.ray_job` reserves whole nodes and starts torchrun on each.

Ray chooses the machines and sees them fail; the ranks themselves are torchrun's, as everywhere.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable

import ray
from ray.remote_function import RemoteFunction
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from mai1.launch.node import FINAL_CODE

RESERVE_S = 600


def run_node(command: list[str], directory: str) -> int:
    """On a node: run its starter and return its code. Cancelled, it lets the ranks save before they end."""
    with subprocess.Popen(command, cwd=directory) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            raise


def address() -> str:
    """On a node: where the others reach it."""
    return ray.util.get_node_ip_address()


def main(arguments: list[str]) -> int:
    """Start after start, until one is done or another would end alike."""
    parser = argparse.ArgumentParser(prog="python -m mai1.launch.ray_job", allow_abbrev=False)
    for name in ("nodes", "cpus", "gpus", "max-restarts"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--directory", required=True, help="working directory, which all machines see")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- and what every node runs: mai1.launch.node")
    given = parser.parse_args(arguments)
    ray.init(address="auto")
    for _ in range(given.max_restarts + 1):
        codes = _start(given)
        if set(codes) == {0}:
            return 0
        if FINAL_CODE in codes:
            return FINAL_CODE
        print(f"mai1 launch: nodes ended with {codes}; starting again", file=sys.stderr, flush=True)
    return 1


def _start(given: argparse.Namespace) -> list[int]:
    """The codes of all nodes of one start; 1 for a node that was lost, and for those that were ended with it."""
    bundle = {"CPU": given.cpus, **({"GPU": given.gpus} if given.gpus else {})}
    group = placement_group([bundle] * given.nodes, strategy="STRICT_SPREAD" if given.nodes > 1 else "PACK")
    try:
        if not group.wait(RESERVE_S):
            print(f"mai1 launch: {given.nodes} nodes with {bundle} did not come free in {RESERVE_S} s", file=sys.stderr)
            return [FINAL_CODE]
        head = ray.get(_task(address, group, 0, given).remote())
        python, dash_m, module, *rest = given.command[1:]
        running = []
        for number in range(given.nodes):
            command = [python, dash_m, module, f"--number={number}", f"--head={head}", *rest]
            running.append(_task(run_node, group, number, given).remote(command, given.directory))
        return _codes(running)
    finally:
        remove_placement_group(group)


def _task(function: Callable, group: PlacementGroup, number: int, given: argparse.Namespace) -> RemoteFunction:
    where = PlacementGroupSchedulingStrategy(placement_group=group, placement_group_bundle_index=number)
    asked = {"num_cpus": given.cpus, "num_gpus": given.gpus, "max_retries": 0}
    return ray.remote(function).options(scheduling_strategy=where, **asked)


def _codes(running: list[ray.ObjectRef]) -> list[int]:
    """Of all nodes; when one fails the others, which would wait for it, are ended."""
    codes: list[int] = []
    while running:
        done, running = ray.wait(running)
        try:
            codes.append(ray.get(done[0]))
        except ray.exceptions.RayError as error:
            print(f"mai1 launch: a node was lost: {error}", file=sys.stderr, flush=True)
            codes.append(1)
        if codes[-1]:
            for reference in running:
                ray.cancel(reference)
    return codes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
