"""Predicted traffic beside recorded messages: by operation and ranks, bytes and calls."""

from dataclasses import dataclass

from mai1.plan.layout import Layout
from mai1.plan.traffic.recording import Message, Total, totals_of
from mai1.plan.traffic.transfer import Operation, Transfer


@dataclass(frozen=True, slots=True)
class Row:
    """One operation over one group, predicted and recorded."""

    operation: Operation
    ranks: tuple[int, ...]
    what: str
    """Of the predicted transfers, joined."""
    predicted: Total
    recorded: Total

    @property
    def is_exact(self) -> bool:
        """Whether every byte was foreseen."""
        return self.predicted.payload_bytes == self.recorded.payload_bytes


def compare(transfers: list[Transfer], messages: list[Message], layout: Layout, *, rank: int) -> list[Row]:
    """Every operation and group that either side has, largest first."""
    recorded, predicted, what = totals_of(messages), {}, {}
    for transfer in transfers:
        key = (transfer.operation, ranks_of(transfer, layout, rank))
        total = predicted.setdefault(key, Total())
        total.payload_bytes += transfer.payload_bytes
        total.calls += transfer.calls
        what.setdefault(key, []).append(transfer.what)
    keys = [*predicted, *(key for key in recorded if key not in predicted)]
    rows = [
        Row(*key, ", ".join(what.get(key, ())), predicted.get(key, Total()), recorded.get(key, Total())) for key in keys
    ]
    return sorted(rows, key=lambda row: -max(row.predicted.payload_bytes, row.recorded.payload_bytes))


def ranks_of(transfer: Transfer, layout: Layout, rank: int) -> tuple[int, ...]:
    """The members of this rank's group of a transfer; of a message to one rank, that one."""
    if transfer.group == "all":
        return tuple(range(layout.num_devices))
    if transfer.operation is Operation.send:
        is_forward = transfer.what.startswith("activations")
        return ((rank + (layout.per_stage if is_forward else -layout.per_stage)) % layout.num_devices,)
    first = rank - rank // transfer.span % transfer.group_size * transfer.span
    return tuple(range(first, first + transfer.span * transfer.group_size, transfer.span))
