"""Tasks as a person names them."""

from mai1.evaluate.config import TASK_FILES, TasksConfig, name_of
from mai1.evaluate.suite import Task
from mai1.evaluate.task_files import TaskConfig
from mai1.evaluate.tasks import LocalTask


def open_tasks(config: TasksConfig) -> list[Task]:
    """Every task, checked; ValueError before anything is computed."""
    tasks: list[Task] = []
    for name in config.tasks:
        if name in config.definitions:
            tasks.append(LocalTask(name, config.definitions[name], config))
        elif name.endswith(TASK_FILES):
            tasks.append(LocalTask(name_of(name), TaskConfig(path=name), config))
        else:
            tasks += _of_harness(name, config)
    return tasks


def _of_harness(name: str, config: TasksConfig) -> list[Task]:
    try:
        from mai1.evaluate.harness_tasks import open_harness_tasks
    except ImportError as error:
        raise ValueError(
            f"tasks={name} is no .jsonl file and needs lm-evaluation-harness ({error}): pip install 'mai1[eval]'"
        ) from None
    return open_harness_tasks([name], config)
