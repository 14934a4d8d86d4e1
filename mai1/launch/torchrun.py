"""The command that starts one node's ranks: torchrun, which alone makes ranks of processes."""

from pathlib import Path

NODE_FOLDER = "node-{number}-{name}"
"""Within an attempt's logs; the number is that of the node among the nodes, so global ranks follow from it."""
NODE_LOG = "torchrun.log"
"""In it: what torchrun itself says, with rank 0 of the node."""


def torchrun(
    words: list[str], *, python: str, nodes: int, devices: int, head: str, port: int, before: list[str]
) -> list[str]:
    """torchrun for `mai1 WORDS`; `before` holds what differs between nodes: --node-rank and --log-dir."""
    meeting = [
        "--nnodes",
        str(nodes),
        "--nproc-per-node",
        str(devices),
        "--master-addr",
        head,
        "--master-port",
        str(port),
    ]
    logs = ["--tee", "3", "--local-ranks-filter", "0"]
    return [python, "-m", "torch.distributed.run", *before, *meeting, *logs, "-m", "mai1", *words]


def threads_of(cpus: int, devices: int) -> int:
    """Threads of a rank: without a limit each would take every core, and they would fight for the caches."""
    return max(1, cpus // devices)


def node_folder(logs: Path, number: int, name: str) -> Path:
    """Where a node logs in an attempt."""
    return logs / NODE_FOLDER.format(number=number, name=name)
