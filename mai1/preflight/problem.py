"""What makes nodes unfit, and the names of ranks and nodes in a sentence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MAX_NAMES = 8


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding that must be mended before training."""

    check: str
    """versions, clocks, disk, memory, compute, exchange, all_reduce or all_to_all."""
    message: str
    """What was found, against which limit, and what to do."""
    nodes: list[str] = field(default_factory=list)
    """Nodes to leave out; empty where it is no single node's fault."""


def nodes_of(ranks: Iterable[int], hosts: Sequence[str]) -> list[str]:
    """The nodes of some ranks, each once, in the order of ranks."""
    return list(dict.fromkeys(hosts[rank] for rank in ranks))


def named(ranks: Sequence[int], hosts: Sequence[str]) -> str:
    """`rank 3 on n0`, `ranks 0, 1 on n0; 8 on n1`: the first few, and how many more."""
    by_node: dict[str, list[int]] = {}
    for rank in ranks[:MAX_NAMES]:
        by_node.setdefault(hosts[rank], []).append(rank)
    places = "; ".join(f"{', '.join(map(str, found))} on {node}" for node, found in by_node.items())
    more = f" and {len(ranks) - MAX_NAMES} more" if len(ranks) > MAX_NAMES else ""
    return f"rank{'s' if len(ranks) > 1 else ''} {places}{more}"


def listed(nodes: Iterable[str]) -> str:
    """`n0, n1`: the first few, and how many more."""
    names = list(nodes)
    return ", ".join(names[:MAX_NAMES]) + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")


def first_ranks(hosts: Sequence[str]) -> list[int]:
    """The first rank of each node: what is a node's own is measured by it alone."""
    return sorted({host: rank for rank, host in reversed(list(enumerate(hosts)))}.values())
