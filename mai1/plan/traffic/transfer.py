"""One kind of message of a training step: who exchanges it, how large it is, and what of it leaves a node."""

from dataclasses import dataclass
from enum import Enum

from mai1.plan.hardware import Hardware
from mai1.plan.layout import Layout


class Operation(Enum):
    """What the ranks of a group do together."""

    all_reduce = "all_reduce"
    all_gather = "all_gather"
    reduce_scatter = "reduce_scatter"
    all_to_all = "all_to_all"
    broadcast = "broadcast"
    send = "send"
    """To one other rank."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer:
    """All messages of one kind in one optimizer step, as one rank sees them."""

    what: str
    """In a few words, the same for every layout."""
    operation: Operation
    group: str
    """data | expert | expert_data | tensor | sequence | pipeline | all: the ranks that take part."""
    group_size: int
    span: int
    """How many ranks apart neighbours of the group stand; 1 where they are consecutive."""
    payload_bytes: float
    """Of whole tensors, over all calls: what is reduced, what all ranks together gather, what one rank sends with all_to_all
    (to itself included) or to the next rank."""
    calls: int
    overlaps_with: str = ""
    """What the rank computes meanwhile; empty where it waits."""

    @property
    def bytes_sent(self) -> float:
        """What one rank sends to others in one optimizer step, at the least an algorithm can do with equal shares.

        That is what ring and direct algorithms do (Thakur et al. 2005, doi 10.1177/1094342005051521, section 4): 2(n-1)/n of
        what is reduced, (n-1)/n of what is gathered, scattered or exchanged.
        """
        if self.operation in (Operation.send, Operation.broadcast):
            return self.payload_bytes
        share = (self.group_size - 1) / self.group_size
        return self.payload_bytes * share * (2 if self.operation is Operation.all_reduce else 1)


def share_outside_node(transfer: Transfer, layout: Layout, hardware: Hardware) -> float:
    """What share of a transfer's `bytes_sent` goes to other nodes, on average over the ranks of a node.

    Where m ranks of the group share a node: of a ring, the one hop in m that leaves it; of an exchange with everybody, what
    is not for those m.
    """
    per_node, span = hardware.devices_per_node, transfer.span
    if transfer.operation is Operation.send:
        return min(1.0, span / per_node) if layout.num_devices > per_node else 0.0
    together = max(1, min(transfer.group_size, per_node // span))
    if together == transfer.group_size:
        return 0.0
    if transfer.operation is Operation.all_to_all:
        return (transfer.group_size - together) / (transfer.group_size - 1)
    return 1.0 / together


def copies_between_nodes(*, top_k: int, num_nodes: int, top_groups: int = 0) -> float:
    """How many other nodes a token's rows travel to on average, where a node gets one copy of a token for all its experts.

    That is deduplicating dispatch (DeepEP); plain dispatch sends `top_k * (1 - 1 / num_nodes)` rows. Choices are taken as
    even. With `top_groups`, a token chooses from the experts of so many nodes (DeepSeek-V3, arXiv 2412.19437, section 2.1.2).
    """
    nodes = min(top_groups or num_nodes, num_nodes)
    visited = nodes * (1 - (1 - 1 / nodes) ** top_k)
    return visited * (1 - 1 / num_nodes)
