"""The best layouts that fit: the fastest possible are looked at first, until no better one can come."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mai1.plan.layout import Layout
from mai1.plan.search.candidate import Candidate, candidate_of, rank_of, settings_of, topology_of
from mai1.plan.search.queue import Queue
from mai1.plan.search.room import Room
from mai1.plan.search.space import Question, is_allowed, keeps_least, shapes, variants
from mai1.plan.workload import Workload

Progress = Callable[[Iterable, str], Iterable]
"""Shows how far something is: what to go through, and its name."""


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
    """The fastest layouts that fit, by tokens a second: once `limit` topologies do, nothing else can be faster."""
    queue, room = Queue(question), Room(question)
    for workload, shape in progress(shapes(question), "layouts"):
        queue.add_shape(workload, shape)
    best: dict[tuple, Candidate] = {}
    too_large: dict[tuple, Candidate] = {}
    for workload, layout in progress(queue.layouts(best), "fitted"):
        if not room.may_hold(layout) and not keeps_least(question, layout):
            continue
        found = candidate_of(question, workload, layout, memory=room.memory_of(workload, layout))
        topology = topology_of(layout)
        if not found.fits:
            too_large[topology] = min(too_large.get(topology, found), found, key=lambda candidate: candidate.bytes_over)
        elif is_allowed(question, workload, layout):
            best[topology] = found
            if len(best) == limit:
                break
    refused = [found for topology, found in too_large.items() if topology not in best]
    return Found(
        best=list(best.values()),
        too_large=sorted(refused, key=lambda found: found.seconds_per_token),
        num_shapes=queue.num_shapes,
        num_fitted=room.num_looked_at,
    )


def nearest_that_fits(question: Question, layout: Layout) -> Candidate | None:
    """Of the layouts that fit, those with the fewest settings changed, and of them the fastest; None where none fits."""
    wanted = settings_of(layout)
    by_distance: dict[int, list[tuple[Workload, Layout]]] = {}
    for workload, shape in shapes(question):
        for variant in variants(question, workload, shape):
            distance = sum(a != b for a, b in zip(settings_of(variant), wanted, strict=True))
            by_distance.setdefault(distance, []).append((workload, variant))
    room = Room(question)
    for distance in sorted(by_distance):
        fitting = [pair for pair in by_distance[distance] if room.fits(*pair)]
        if fitting:
            workload, nearest = min(fitting, key=lambda pair: rank_of(question, *pair))
            return candidate_of(question, workload, nearest, memory=room.memory_of(workload, nearest))
    return None
