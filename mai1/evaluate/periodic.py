"""Tasks that are evaluated again and again while a model learns."""

from collections.abc import Callable
from dataclasses import dataclass

from mai1.evaluate.likelihood import SharedModel
from mai1.evaluate.suite import ALL, Task, evaluate_task
from mai1.tokenizer.tokenizer import Tokenizer


@dataclass(kw_only=True, slots=True)
class PeriodicTasks:
    """Asks the live model, where it is: nothing is copied, and every rank takes part."""

    every_steps: int
    tasks: list[Task]
    shared: SharedModel
    tokenizer: Tokenizer
    keep: Callable[[int, dict[str, dict]], None]
    """Called on rank 0 with the step and each task's record."""

    def are_due(self, step: int, *, last: int) -> bool:
        """Every so many steps, and before the first and after the last one."""
        return step % self.every_steps == 0 or step == last

    def measure(self, step: int) -> dict[str, dict[str, float | None]]:
        """Each task's scores on all items, with their standard errors as `METRIC_error`; every rank must call this."""
        records, figures = {}, {}
        for task in self.tasks:
            result = evaluate_task(task, self.shared, self.tokenizer)
            records[task.name], figures[task.name] = result.record(), {}
            for metric, score in result.scores[ALL].items():
                figures[task.name] |= {metric: score.value, f"{metric}_error": score.standard_error}
        if self.shared.world.is_main:
            self.keep(step, records)
        return figures
