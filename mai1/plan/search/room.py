"""Which layouts a device has room for: the one place that decides it."""

from dataclasses import dataclass, field

from mai1.plan.layout import Layout
from mai1.plan.memory.kinds import Memory
from mai1.plan.memory.memory import memory_of
from mai1.plan.search.space import Question
from mai1.plan.workload import Workload


@dataclass(slots=True)
class Room:
    """A device's memory. A sharding whose state alone was too large once need not be looked at again."""

    question: Question
    num_looked_at: int = 0
    """Layouts whose memory was counted."""
    _too_large: set[tuple] = field(default_factory=set)

    def may_hold(self, layout: Layout) -> bool:
        """False where the state of another layout of the same sharding did not fit by itself."""
        return sharding_of(layout) not in self._too_large

    def memory_of(self, workload: Workload, layout: Layout) -> Memory:
        """What a layout takes of the fullest device."""
        self.num_looked_at += 1
        memory = memory_of(workload, layout, imbalance=self.question.imbalance)
        if state_bytes(memory) > self.question.hardware.memory_bytes:
            self._too_large.add(sharding_of(layout))
        return memory

    def fits(self, workload: Workload, layout: Layout) -> bool:
        """Whether there is room for a layout."""
        return self.may_hold(layout) and self.memory_of(workload, layout).total <= self.question.hardware.memory_bytes


def state_bytes(memory: Memory) -> float:
    """What is there whatever goes through the model at once."""
    return memory.weights + memory.masters + memory.moments


def sharding_of(layout: Layout) -> tuple:
    """All that weights and optimizer state of a device depend on."""
    sizes = (layout.pipeline, layout.virtual_stages, layout.tensor, layout.expert)
    return *sizes, layout.zero_stage, layout.offload_optimizer, layout.format
