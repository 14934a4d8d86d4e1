"""Which requests pass through a model together, and as what tensors: a pure function of the requests.

Legend: B rows, T positions, N ids whose likelihood is wanted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from mai1.data.batch import Batch
from mai1.evaluate.requests import Request


@dataclass(slots=True)
class ContextGroup:
    """Continuations of one context, each with the number of its request."""

    context: tuple[int, ...]
    continuations: list[tuple[int, tuple[int, ...]]]

    @property
    def length(self) -> int:
        """Positions of its row: the context and all but the last id of the first continuation."""
        return len(self.context) + len(self.continuations[0][1]) - 1

    @property
    def later(self) -> list[tuple[int, tuple[int, ...]]]:
        """Continuations that go on behind their first id, for which the context alone is enough."""
        return [(number, ids) for number, ids in self.continuations[1:] if len(ids) > 1]


@dataclass(slots=True)
class Row:
    """Ids from some position on, and which ids are wanted after them."""

    ids: tuple[int, ...]
    start: int
    """Position of the first of them."""
    wanted: list[tuple[int, int, int]]
    """(place in the row, id that should follow, number of the request)."""


@dataclass(slots=True)
class Rows:
    """Rows of one forward, padded on the right."""

    rows: list[Row]
    length: int
    contexts: list[int] = field(default_factory=list)
    """The group that each row goes on from."""

    def inputs(self, pad_id: int, *, device: torch.device) -> dict[str, torch.Tensor]:
        """What `MoETransformer.forward` takes; segments stay on the CPU for it."""
        tokens_BT, positions_BT, segments_BT = self._tensors(pad_id)
        return {
            "tokens_BT": tokens_BT.to(device),
            "positions_BT": positions_BT.to(device),
            "segments_BT": segments_BT,
        }

    def places(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Row and position of each hidden state that predicts a wanted id: int64 `[N]` each."""
        pairs = [(row, place) for row, each in enumerate(self.rows) for place, _, _ in each.wanted]
        rows_N, places_N = torch.tensor(pairs, dtype=torch.int64, device=device).view(-1, 2).unbind(1)
        return rows_N, places_N

    def wanted(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Wanted ids and the numbers of their requests: int64 `[N]` each."""
        pairs = [(token, number) for each in self.rows for _, token, number in each.wanted]
        tokens_N, numbers_N = torch.tensor(pairs, dtype=torch.int64, device=device).view(-1, 2).unbind(1)
        return tokens_N, numbers_N

    def batch(self, pad_id: int, *, sequence_rank: int, sequence_size: int) -> Batch:
        """As a microbatch; what a request is stands in the place of sources."""
        tokens_BT, positions_BT, segments_BT = self._tensors(pad_id)
        targets_BT, owners_BT, mask_BT = tokens_BT.clone(), torch.zeros_like(tokens_BT), torch.zeros(tokens_BT.shape)
        (rows_N, places_N), (tokens_N, numbers_N) = self.places(torch.device("cpu")), self.wanted(torch.device("cpu"))
        targets_BT[rows_N, places_N], owners_BT[rows_N, places_N], mask_BT[rows_N, places_N] = tokens_N, numbers_N, 1.0
        return Batch(
            tokens_BT=tokens_BT,
            targets_BT=targets_BT,
            positions_BT=positions_BT,
            segments_BT=segments_BT,
            loss_mask_BT=mask_BT,
            sources_BT=owners_BT,
            samples_B=torch.arange(len(self.rows)),
            epochs_BT=torch.zeros_like(tokens_BT),
            is_packed=bool((segments_BT != 0).any()),
            sequence_rank=sequence_rank,
            sequence_size=sequence_size,
        )

    def _tensors(self, pad_id: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        padded = [list(row.ids) + [pad_id] * (self.length - len(row.ids)) for row in self.rows]
        lengths_B1 = torch.tensor([[len(row.ids)] for row in self.rows])
        index_T = torch.arange(self.length)
        positions_BT = torch.tensor([[row.start] for row in self.rows]) + index_T
        segments_BT = torch.where(index_T < lengths_B1, 0, -1)
        return torch.tensor(padded), torch.where(segments_BT == 0, positions_BT, 0), segments_BT


@dataclass(slots=True)
class Turn:
    """What one rank passes through the model at a time."""

    groups: list[ContextGroup]

    @classmethod
    def of_padding(cls, pad_id: int) -> "Turn":
        """For a rank that has nothing left to ask while others have."""
        return cls([ContextGroup((pad_id,), [])])

    @property
    def has_second(self) -> bool:
        """Whether something goes on from the contexts' keys and values."""
        return any(group.later for group in self.groups)

    def first_rows(self, *, multiple_of: int = 1) -> Rows:
        """Every context with its first continuation; of the others the first id is wanted."""
        rows = []
        for group in self.groups:
            end = len(group.context) - 1
            wanted = [(end, ids[0], number) for number, ids in group.continuations]
            begun = group.continuations[0] if group.continuations else (0, (0,))
            wanted += [(end + i, token, begun[0]) for i, token in enumerate(begun[1]) if i]
            rows.append(Row(group.context + begun[1][:-1], 0, wanted))
        longest = max(len(row.ids) for row in rows)
        return Rows(rows, length=-(-longest // multiple_of) * multiple_of)

    def second_rows(self, pad_id: int) -> Rows:
        """What goes on from the contexts' keys and values; padding where nothing does."""
        rows, contexts = [], []
        for place, group in enumerate(self.groups):
            for number, ids in group.later:
                wanted = [(i, token, number) for i, token in enumerate(ids[1:])]
                rows.append(Row(ids[:-1], len(group.context), wanted))
                contexts.append(place)
        rows, contexts = (rows, contexts) if rows else ([Row((pad_id,), 0, [])], [0])
        return Rows(rows, length=max(len(row.ids) for row in rows), contexts=contexts)


def plan_turns(requests: Sequence[Request], *, tokens_at_once: int, shares_contexts: bool) -> list[Turn]:
    """Requests in groups of one context, the longest first, so that rows of one turn are about equally long.

    The first rows of a turn have up to `tokens_at_once` positions, padding included, and so many ids have the second ones.
    """
    groups: dict[object, ContextGroup] = {}
    for number, request in enumerate(requests):
        key = request.context if shares_contexts else number
        groups.setdefault(key, ContextGroup(request.context, [])).continuations.append((number, request.continuation))
    for group in groups.values():
        group.continuations.sort(key=lambda each: -len(each[1]))  # the longest goes with the context
    ordered = sorted(groups.values(), key=lambda group: (-group.length, group.context, group.continuations))
    turns: list[Turn] = []
    num_first = num_second = 0
    for group in ordered:
        second = sum(len(ids) for _, ids in group.later)
        if turns and num_first + turns[-1].groups[0].length <= tokens_at_once and num_second + second <= tokens_at_once:
            turns[-1].groups.append(group)
            num_first, num_second = num_first + turns[-1].groups[0].length, num_second + second
        else:
            turns.append(Turn([group]))
            num_first, num_second = group.length, second
    return turns
