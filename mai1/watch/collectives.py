"""Which collective the ranks disagree about: a pure function over what each rank called last."""

from collections import defaultdict
from dataclasses import dataclass

SAME_SIZE = ("all_reduce", "broadcast", "reduce_scatter", "reduce")
"""Collectives to which every rank must bring tensors of one size."""


@dataclass(frozen=True, slots=True)
class Call:
    """One collective as one rank called it."""

    group: str
    number: int
    """Counts the group's collectives, from 1."""
    operation: str
    sizes: list[list[int]]
    """Shapes of what the rank brought."""

    def __str__(self) -> str:
        return f"{self.operation} of {self.sizes}" if self.sizes else self.operation


def calls_in(trace: dict, *, most: int = 200) -> list[Call]:
    """The last calls in a dump of torch's flight recorder, which runs by default for NCCL and gloo."""
    return [
        Call(
            group=entry["process_group"][0],
            number=entry["collective_seq_id"],
            operation=entry["profiling_name"].partition(":")[2],
            sizes=entry["input_sizes"],
        )
        for entry in trace["entries"][-most:]
        if not entry["is_p2p"]
    ]


def disagreements(calls: dict[int, list[Call]]) -> list[str]:
    """For each group, a sentence on the first collective that its ranks called differently, or that some never called.

    `calls` has the last calls of each rank. A group's ranks are those that ever called a collective of it.
    """
    groups: dict[str, dict[int, dict[int, Call]]] = defaultdict(lambda: defaultdict(dict))
    for rank, of_rank in calls.items():
        for call in of_rank:
            groups[call.group][rank][call.number] = call
    sentences = (_disagreement(group, of_ranks) for group, of_ranks in sorted(groups.items()))
    return [sentence for sentence in sentences if sentence]


def _disagreement(group: str, calls: dict[int, dict[int, Call]]) -> str:
    first_known = max(min(of_rank) for of_rank in calls.values())
    for number in range(first_known, max(max(of_rank) for of_rank in calls.values()) + 1):
        here = {rank: of_rank.get(number) for rank, of_rank in sorted(calls.items())}
        kinds = {_kind(call) for call in here.values()}
        if len(kinds) > 1:
            parts = [f"{_ranks(ranks)} {_said(call)}" for call, ranks in _by_call(here)]
            return f"collective {number} of group {group}: {'; '.join(parts)}"
    return ""


def _kind(call: Call | None) -> tuple | None:
    if call is None:
        return None
    return call.operation, str(call.sizes) if call.operation in SAME_SIZE else ""


def _by_call(here: dict[int, Call | None]) -> list[tuple[Call | None, list[int]]]:
    """Ranks by what they called, the fewest first, and first those that called nothing: they are the ones to look at."""
    ranks, example = defaultdict(list), {}
    for rank, call in here.items():
        ranks[_kind(call)].append(rank)
        example.setdefault(_kind(call), call)
    return sorted(
        ((example[kind], found) for kind, found in ranks.items()), key=lambda item: (len(item[1]), item[0] is not None)
    )


def _said(call: Call | None) -> str:
    return "never called it" if call is None else f"called {call}"


def _ranks(ranks: list[int]) -> str:
    shown = ", ".join(map(str, ranks[:8])) + (f" and {len(ranks) - 8} more" if len(ranks) > 8 else "")
    return f"rank{'s' * (len(ranks) > 1)} {shown}"
