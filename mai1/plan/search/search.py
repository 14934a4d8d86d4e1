"""The best layouts that fit: the fastest possible are looked at first, until no better one can come."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from enum import Enum

from mai1.plan.layout import Layout
from mai1.plan.memory.kinds import Memory
from mai1.plan.memory.memory import memory_of
from mai1.plan.search.space import Question, is_allowed, keeps_least, shapes, sharded, sparing, variants
from mai1.plan.search.support import obstacles
from mai1.plan.timing.step_time import StepTime, step_time
from mai1.plan.workload import Workload

Progress = Callable[[Iterable, str], Iterable]
"""Shows how far something is: what to go through, and its name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A layout and what it takes."""

    workload: Workload
    layout: Layout
    memory: Memory
    time: StepTime
    obstacles: tuple[str, ...]
    """Why this version cannot run it; empty where it can."""
    bytes_over: float
    """What one device lacks; not above 0 where the layout fits."""

    @property
    def fits(self) -> bool:
        """Whether the fullest device has room for it."""
        return self.bytes_over <= 0

    @property
    def seconds_per_token(self) -> float:
        """Of all devices together."""
        return self.time.total / self.workload.tokens_per_step


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a search brought."""

    best: list[Candidate]
    """Fastest first, the best of each topology."""
    too_large: list[Candidate]
    """Of topologies that are not among the best, the smallest layout that would be; fastest first."""
    num_shapes: int
    """All that divide as they must, each to be sharded and computed again in several ways."""
    num_fitted: int
    """Layouts whose memory had to be looked at; no other is as fast as the last of the best."""


def search(question: Question, *, limit: int = 10, progress: Progress = lambda items, _: items) -> Found:
    """The fastest layouts that fit, by tokens a second.

    What a shape computes and exchanges whatever is sharded bounds the time of all its layouts, and a lavish layout's time that
    of those which compute more again or keep state on the host. Whatever has the least bound is looked at first: a shape
    makes room for its lavish layouts, one of these that does not fit for its sparing ones. Once `limit` topologies fit,
    nothing else can be faster.
    """
    queue = _Queue(question)
    for workload, shape in progress(shapes(question), "layouts"):
        queue.add_shape(workload, shape)
    num_shapes, num_fitted = len(queue.entries), 0
    best: dict[tuple, Candidate] = {}
    too_large: dict[tuple, Candidate] = {}
    hopeless: set[tuple] = set()
    for entry in progress(queue, "fitted"):
        topology = topology_of(entry.layout)
        if topology in best:
            continue
        if entry.kind is _Kind.shape:
            queue.add_lavish(entry)
            continue
        if sharding_of(entry.layout) in hopeless and not keeps_least(question, entry.layout):
            if entry.kind is _Kind.lavish:
                queue.add_sparing(entry)
            continue
        found = measured(question, entry.workload, entry.layout)
        num_fitted += 1
        if state_bytes(found.memory) > question.hardware.memory_bytes:
            hopeless.add(sharding_of(entry.layout))
        if found.fits and is_allowed(question, entry.workload, entry.layout):
            best[topology] = found
            too_large.pop(topology, None)
            if len(best) == limit:
                break
            continue
        if entry.kind is _Kind.lavish:
            queue.add_sparing(entry)
        if not found.fits and (topology not in too_large or found.bytes_over < too_large[topology].bytes_over):
            too_large[topology] = found
    return Found(
        best=list(best.values()),
        too_large=sorted(too_large.values(), key=lambda found: found.seconds_per_token),
        num_shapes=num_shapes,
        num_fitted=num_fitted,
    )


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
class _Queue:
    """What is still to be looked at, a heap."""

    question: Question
    entries: list[_Entry] = field(default_factory=list)

    def __iter__(self) -> Iterator[_Entry]:
        """Takes out the one with the least bound as long as there is any."""
        while self.entries:
            yield heapq.heappop(self.entries)

    def add_shape(self, workload: Workload, shape: Layout) -> None:
        """A shape, before the layouts that take as long as it must at least."""
        bound = shortest_time(self.question, workload, shape)
        self._add(_Kind.shape, (bound, False, settings_of(shape)), workload, shape)

    def add_lavish(self, entry: _Entry) -> None:
        """The layouts of a shape that compute nothing again."""
        for layout in sharded(self.question, entry.workload, entry.layout):
            self._add(_Kind.lavish, rank_of(self.question, entry.workload, layout), entry.workload, layout)

    def add_sparing(self, entry: _Entry) -> None:
        """Those that take less memory than a lavish one."""
        for layout in sparing(self.question, entry.layout):
            if is_allowed(self.question, entry.workload, layout):
                self._add(_Kind.sparing, rank_of(self.question, entry.workload, layout), entry.workload, layout)

    def _add(self, kind: _Kind, rank: tuple, workload: Workload, layout: Layout) -> None:
        heapq.heappush(self.entries, _Entry(rank, kind, workload, layout))


def shortest_time(question: Question, workload: Workload, shape: Layout) -> float:
    """Seconds a token below which no variant of a shape can come."""
    time = time_of(question, workload, shape)
    return (time.total - time.state_exchange - time.optimizer) / workload.tokens_per_step


def rank_of(question: Question, workload: Workload, layout: Layout) -> tuple:
    """Sorts the faster first; of equals what runs today, then what is simpler."""
    seconds_per_token = time_of(question, workload, layout).total / workload.tokens_per_step
    return seconds_per_token, bool(obstacles(workload, layout)), settings_of(layout)


def measured(question: Question, workload: Workload, layout: Layout) -> Candidate:
    """One layout, whether it fits or not."""
    memory = memory_of(workload, layout, imbalance=question.imbalance)
    return Candidate(
        workload=workload,
        layout=layout,
        memory=memory,
        time=time_of(question, workload, layout),
        obstacles=tuple(obstacles(workload, layout)),
        bytes_over=memory.total - question.hardware.memory_bytes,
    )


def time_of(question: Question, workload: Workload, layout: Layout) -> StepTime:
    """Of one step, as far as the fullest rank's experts hold it up."""
    return step_time(workload, layout, question.hardware, imbalance=question.imbalance)


def nearest_that_fits(question: Question, layout: Layout) -> Candidate | None:
    """Of the layouts that fit, those with the fewest settings changed, and of them the fastest; None where none fits."""
    wanted = settings_of(layout)
    by_distance: dict[int, list[tuple[Workload, Layout]]] = {}
    for workload, shape in shapes(question):
        for variant in variants(question, workload, shape):
            distance = sum(a != b for a, b in zip(settings_of(variant), wanted, strict=True))
            by_distance.setdefault(distance, []).append((workload, variant))
    hopeless: set[tuple] = set()
    for distance in sorted(by_distance):
        fitting = [pair for pair in by_distance[distance] if _fits(question, *pair, hopeless=hopeless)]
        if fitting:
            return measured(question, *min(fitting, key=lambda pair: rank_of(question, *pair)))
    return None


def _fits(question: Question, workload: Workload, layout: Layout, *, hopeless: set[tuple]) -> bool:
    """Whether there is room for a layout; what is found not to fit for its state alone is remembered in `hopeless`."""
    if sharding_of(layout) in hopeless:
        return False
    memory = memory_of(workload, layout, imbalance=question.imbalance)
    if state_bytes(memory) > question.hardware.memory_bytes:
        hopeless.add(sharding_of(layout))
    return memory.total <= question.hardware.memory_bytes


def state_bytes(memory: Memory) -> float:
    """What is there whatever goes through the model at once."""
    return memory.weights + memory.masters + memory.moments


def sharding_of(layout: Layout) -> tuple:
    """All that weights and optimizer state of a device depend on."""
    sizes = (layout.pipeline, layout.virtual_stages, layout.tensor, layout.expert)
    return *sizes, layout.zero_stage, layout.offload_optimizer, layout.format


def topology_of(layout: Layout) -> tuple:
    """How ranks are grouped; layouts of one topology differ in what they keep and compute again."""
    return layout.pipeline, layout.tensor, layout.sequence, layout.expert, layout.format


def settings_of(layout: Layout) -> tuple[int, ...]:
    """A layout's fields as numbers: the smaller, the simpler or more usual."""
    values = {entry.name: getattr(layout, entry.name) for entry in fields(layout)}
    values["zero_stage"] = (2, 1, 3, 0).index(layout.zero_stage)
    return tuple(list(type(value)).index(value) if isinstance(value, Enum) else int(value) for value in values.values())
