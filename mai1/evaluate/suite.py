"""Evaluate a model on tasks: scores with their errors, on all items and on those that training never saw, and a record."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from mai1.evaluate.contamination import ItemIndex, Part
from mai1.evaluate.grading import Graded
from mai1.evaluate.likelihood import SharedModel
from mai1.evaluate.statistics import METRICS, Score, score
from mai1.tokenizer.tokenizer import Tokenizer

ALL = "all"
NUM_SAMPLES = 12


class Task(Protocol):
    """Items and how they are asked: `tasks.LocalTask`, `harness.HarnessTask`."""

    name: str
    generates: bool
    """Whether the model has to say something."""

    def grade(self, shared: SharedModel, tokenizer: Tokenizer) -> list[Graded]:
        """Ask all items; every rank must call this, and gets all of them."""

    def facts(self) -> dict:
        """What decides the prompts, as JSON-able values; known when they were asked."""

    def further_scores(self) -> dict[str, Score]:
        """Scores that are no ratio of sums over items."""


@dataclass(slots=True)
class TaskResult:
    """One task, evaluated."""

    name: str
    graded: list[Graded]
    facts: dict
    scores: dict[str, dict[str, Score]]
    """By part of the items and metric: `all`, and where training text was looked at `clean`, `dirty` and `short`."""
    parts: list[Part]
    """Of each item; empty where no training text was looked at."""

    @property
    def main_metric(self) -> str:
        """The one that a line of figures shows."""
        names = list(self.scores[ALL])
        return next((name for name in ("acc_norm", "acc", "exact_match", "bits_per_byte") if name in names), names[0])

    def record(self) -> dict:
        """As JSON-able values: scores, what is needed to repeat them, each item's share, and some items with their answers."""
        count = len(self.graded)
        picked = sorted({i * count // NUM_SAMPLES for i in range(NUM_SAMPLES)} & set(range(count)))
        return {
            "items": count,
            **self.facts,
            "main_metric": self.main_metric,
            "scores": {
                part: {metric: _with_margin(each) for metric, each in scores.items()}
                for part, scores in self.scores.items()
            },
            "numbers": [graded.number for graded in self.graded],
            "figures": {
                metric: [graded.figures[metric].numerator for graded in self.graded]
                for metric in self.graded[0].figures
            },
            "parts": [part.value for part in self.parts],
            "samples": [self._sample(number) for number in picked],
        }

    def _sample(self, place: int) -> dict:
        graded = self.graded[place]
        shown = {key: getattr(graded, key) for key in ("number", "question", "answer", "reply", "log_likelihoods")}
        shown["figures"] = {metric: figure.numerator for metric, figure in graded.figures.items()}
        return shown | ({"part": self.parts[place].value} if self.parts else {})


SeenItems = Callable[[ItemIndex], set[int]]
"""Looks for items in the training text: numbers of those that stand in it, the same on every rank."""


def evaluate_task(
    task: Task, shared: SharedModel, tokenizer: Tokenizer, *, seen_items: SeenItems | None = None
) -> TaskResult:
    """Ask, grade and score a task; every rank must call this."""
    graded = task.grade(shared, tokenizer)
    parts: list[Part] = []
    if seen_items is not None:
        index = ItemIndex([each.forms for each in graded])
        parts = index.parts(seen_items(index))
    scores = {ALL: _scores(graded) | task.further_scores()}
    for part in Part if parts else ():
        if chosen := [each for each, its_part in zip(graded, parts, strict=True) if its_part is part]:
            scores[part.value] = _scores(chosen)
    return TaskResult(task.name, graded, task.facts(), scores, parts)


def _scores(graded: Sequence[Graded]) -> dict[str, Score]:
    has_clusters = any(each.cluster for each in graded)
    clusters = [each.cluster for each in graded] if has_clusters else None
    return {
        metric: score([each.figures[metric] for each in graded], METRICS[metric], clusters=clusters)
        for metric in graded[0].figures
    }


def _with_margin(each: Score) -> dict:
    return asdict(each) | {"margin_95": each.margin}


def lines_of(result: TaskResult) -> list[str]:
    """The scores as a person reads them: value, 95% margin, what guessing scores, and how many standard errors lie between."""
    lines = []
    for part, scores in result.scores.items():
        for metric, each in scores.items():
            name = result.name if part == ALL else f"  {part}"
            margin = f"+- {each.margin:.4f}" if each.margin is not None else ""
            chance = f"chance {each.chance:.4f}" if each.chance is not None else ""
            z = f"z {each.z:+.1f}" if each.z is not None else ""
            lines.append(
                f"{name:<20} {metric:<16} {each.value:>9.4f} {margin:<12} {chance:<14} {z:<9} {each.items:,} items"
            )
    return [line.rstrip() for line in lines]
