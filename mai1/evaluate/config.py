"""Which tasks are evaluated, and how their items are asked."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from mai1.evaluate.requests import Beginning
from mai1.evaluate.task_files import TaskConfig

TASK_FILES = (".jsonl", ".json")
NEVER = (".yaml", ".yml", ".py")
"""Task files of the harness hold Python, or names of it, that would run."""


class Prompting(Enum):
    """The form of a prompt."""

    text = "text"
    chat = "chat"  # questions as a user's messages, with the model's chat template


@dataclass(kw_only=True, slots=True)
class AskConfig:
    num_fewshot: int = 0
    """Examples with their answers before each question."""
    limit: int = 0
    """Items of each task, evenly taken; 0 takes all. Tasks of the harness take their first ones."""
    seed: int = 0
    """Seed of the examples."""
    prompting: Prompting = Prompting.text
    """text | chat (questions as a user's messages, for models tuned on conversations)."""
    beginning: Beginning = Beginning.stock
    """stock (as the harness's own class: nothing with our tokenizers) | document (end-of-text, as in training): what stands
    before a plain text."""

    def __post_init__(self) -> None:
        for key in ("num_fewshot", "limit"):
            if getattr(self, key) < 0:
                raise ValueError(
                    f"{key}={getattr(self, key)} must not be negative: use 0 for {'none' if key[0] == 'n' else 'all'}"
                )


@dataclass(kw_only=True, slots=True)
class TasksConfig(AskConfig):
    tasks: list[str] = field(default_factory=list)
    """.jsonl files, names of `definitions`, or tasks of lm-evaluation-harness, which need a network or what is cached of it."""
    definitions: dict[str, TaskConfig] = field(default_factory=dict)
    """Files whose fields or prompts are not the usual ones, by a name of one's own."""
    tokens_at_once: int = 4096
    """Positions that pass through the model at a time, on each rank."""

    def __post_init__(self) -> None:
        AskConfig.__post_init__(self)
        if self.tokens_at_once < 1:
            raise ValueError(f"tokens_at_once={self.tokens_at_once} must be at least 1")
        for name in self.tasks:
            if Path(name).suffix in NEVER:
                raise ValueError(
                    f"tasks={name}: task files with code are not run: describe the items in `definitions`, or name a task "
                    "of the harness's own package"
                )
        if len(set(map(name_of, self.tasks))) < len(self.tasks):
            raise ValueError(
                f"tasks={', '.join(self.tasks)}: a name is there twice: name files differently in `definitions`"
            )


@dataclass(kw_only=True, slots=True)
class PeriodicConfig(TasksConfig):
    every_steps: int = 500
    """Steps between evaluations of `tasks`; one is always made at the start and the end."""

    def __post_init__(self) -> None:
        try:
            TasksConfig.__post_init__(self)
        except ValueError as error:  # keys of a command of their own are those of a section here
            raise ValueError(f"evaluation.{error}") from None
        if self.every_steps < 1:
            raise ValueError(f"evaluation.every_steps={self.every_steps} must be at least 1: use tasks=[] for none")


def name_of(task: str) -> str:
    """How a task is called in results: a file by its name without ending."""
    return Path(task).stem if task.endswith(TASK_FILES) else task
