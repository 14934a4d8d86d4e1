"""One layout with what it takes, and how layouts are told apart and put in order."""

from dataclasses import dataclass, fields
from enum import Enum

from mai1.plan.layout import Layout
from mai1.plan.memory.kinds import Memory
from mai1.plan.search.space import Question
from mai1.plan.search.support import obstacles
from mai1.plan.timing.step_time import StepTime, step_time
from mai1.plan.workload import Workload


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


def candidate_of(question: Question, workload: Workload, layout: Layout, *, memory: Memory) -> Candidate:
    """One layout whose memory is known, whether it fits or not."""
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


def rank_of(question: Question, workload: Workload, layout: Layout) -> tuple:
    """Sorts the faster first; of equals what runs today, then what is simpler."""
    seconds_per_token = time_of(question, workload, layout).total / workload.tokens_per_step
    return seconds_per_token, bool(obstacles(workload, layout)), settings_of(layout)


def topology_of(layout: Layout) -> tuple:
    """How ranks are grouped; layouts of one topology differ in what they keep and compute again."""
    return layout.pipeline, layout.tensor, layout.sequence, layout.expert, layout.format


def settings_of(layout: Layout) -> tuple[int, ...]:
    """A layout's fields as numbers: the smaller, the simpler or more usual."""
    values = {entry.name: getattr(layout, entry.name) for entry in fields(layout)}
    values["zero_stage"] = (2, 1, 3, 0).index(layout.zero_stage)
    return tuple(list(type(value)).index(value) if isinstance(value, Enum) else int(value) for value in values.values())
