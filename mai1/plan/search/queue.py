"""Layouts from the fastest possible on, without timing all of them."""

import heapq
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from enum import Enum

from mai1.plan.layout import Layout
from mai1.plan.search.candidate import rank_of, settings_of, time_of, topology_of
from mai1.plan.search.space import Question, is_allowed, sharded, sparing
from mai1.plan.workload import Workload


class _Kind(Enum):
    """What an entry of the queue stands for."""

    shape = "shape"
    lavish = "lavish"
    sparing = "sparing"


@dataclass(frozen=True, slots=True)
class _Entry:
    """Something that may be among the best."""

    rank: tuple
    """Begins with the seconds a token below which it cannot come."""
    kind: _Kind
    workload: Workload
    layout: Layout

    def __lt__(self, other: "_Entry") -> bool:
        return self.rank < other.rank


@dataclass(slots=True)
class Queue:
    """What is still to be looked at, a heap: the least bound first.

    What a shape computes and exchanges whatever is sharded bounds the time of all its layouts, and a lavish layout's time that
    of those which compute more again or keep state on the host. So a shape makes room for its lavish layouts, and one of
    these, once it was looked at, for its sparing ones.
    """

    question: Question
    num_shapes: int = 0
    _entries: list[_Entry] = field(default_factory=list)

    def add_shape(self, workload: Workload, shape: Layout) -> None:
        """A shape, before the layouts that take as long as it must at least."""
        self.num_shapes += 1
        bound = shortest_time(self.question, workload, shape)
        heapq.heappush(self._entries, _Entry((bound, False, settings_of(shape)), _Kind.shape, workload, shape))

    def layouts(self, done: Container[tuple]) -> Iterator[tuple[Workload, Layout]]:
        """Fastest first, but those of topologies in `done`, which may grow meanwhile."""
        while self._entries:
            entry = heapq.heappop(self._entries)
            workload, layout = entry.workload, entry.layout
            if topology_of(layout) in done:
                continue
            if entry.kind is _Kind.shape:
                self._add(_Kind.lavish, workload, sharded(self.question, workload, layout))
                continue
            yield workload, layout
            if entry.kind is _Kind.lavish and topology_of(layout) not in done:
                others = sparing(self.question, layout)
                allowed = [other for other in others if is_allowed(self.question, workload, other)]
                self._add(_Kind.sparing, workload, allowed)

    def _add(self, kind: _Kind, workload: Workload, layouts: list[Layout]) -> None:
        for layout in layouts:
            rank = rank_of(self.question, workload, layout)
            heapq.heappush(self._entries, _Entry(rank, kind, workload, layout))


def shortest_time(question: Question, workload: Workload, shape: Layout) -> float:
    """Seconds a token below which no variant of a shape can come."""
    time = time_of(question, workload, shape)
    return (time.total - time.state_exchange - time.optimizer) / workload.tokens_per_step
