"""What a rank really sends: every collective that torch runs while a recording is on, with its group and bytes."""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode

from mai1.plan.traffic.transfer import Operation


@dataclass(frozen=True, slots=True)
class Message:
    """One collective as this rank called it."""

    operation: Operation
    ranks: tuple[int, ...]
    """Of the group; for `send` the receiver alone."""
    payload_bytes: int
    """As in `Transfer`."""
    shape: tuple[int, ...]
    """Of the tensor that `payload_bytes` counts."""
    dtype: torch.dtype
    own_bytes: int = 0
    """Of all_to_all: what this rank keeps."""


@dataclass(slots=True)
class Total:
    """Messages of one kind together."""

    payload_bytes: float = 0
    calls: int = 0


OPERATIONS = {  # name in torch -> what it is, and the number of the argument that is counted
    "allreduce_": (Operation.all_reduce, 0),
    "allgather_": (Operation.all_gather, 0),
    "_allgather_base_": (Operation.all_gather, 0),
    "reduce_scatter_": (Operation.reduce_scatter, 1),
    "_reduce_scatter_base_": (Operation.reduce_scatter, 1),
    "alltoall_base_": (Operation.all_to_all, 1),
    "broadcast_": (Operation.broadcast, 0),
    "send": (Operation.send, 0),
}
NOT_SENT = ("recv_", "barrier", "monitored_barrier_")
"""What another rank's recording counts, and what carries nothing."""


class Recording(TorchDispatchMode):
    """Inside, every collective of this process is noted, whoever calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "c10d":
            self.note(func._schema.name.removeprefix("c10d::"), args)
        return func(*args, **(kwargs or {}))

    def note(self, name: str, args: tuple) -> None:
        """Add one call of torch's operator of this name."""
        if name in NOT_SENT:
            return
        if name not in OPERATIONS:
            raise NotImplementedError(f"a recording does not know the collective {name}")
        operation, place = OPERATIONS[name]
        tensors = _flat(args[place])
        group = dist.ProcessGroup.unbox(next(a for a in args if isinstance(a, torch.ScriptObject)))
        ranks, own_bytes = tuple(dist.get_process_group_ranks(group)), 0
        if operation is Operation.send:
            ranks = (ranks[args[2]],)
        if operation is Operation.all_to_all:
            me, rows = group.rank(), tensors[0].shape[0]
            own_rows = args[4][me] if args[4] else rows // group.size()
            own_bytes = tensors[0].nbytes // rows * own_rows if rows else 0
        self.messages.append(
            Message(
                operation,
                ranks,
                sum(tensor.nbytes for tensor in tensors),
                tuple(tensors[0].shape),
                tensors[0].dtype,
                own_bytes,
            )
        )


def totals_of(messages: list[Message]) -> dict[tuple[Operation, tuple[int, ...]], Total]:
    """By operation and ranks; groups of one rank send nothing and are left out."""
    totals: dict[tuple[Operation, tuple[int, ...]], Total] = {}
    for message in messages:
        if len(message.ranks) > 1 or message.operation is Operation.send:
            total = totals.setdefault((message.operation, message.ranks), Total())
            total.payload_bytes += message.payload_bytes
            total.calls += 1
    return totals


def _flat(value: object) -> list[torch.Tensor]:
    """The tensors of a tensor, a list or a list of lists of them."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for entry in value for tensor in _flat(entry)]
