"""Tasks as a person names them, and the training text in which their items are looked for."""

from collections.abc import Callable, Iterator
from pathlib import Path

from mai1.data.shards import Shard
from mai1.dist import World, gather_json
from mai1.evaluate.config import TASK_FILES, TasksConfig, name_of
from mai1.evaluate.contamination import ItemIndex
from mai1.evaluate.suite import SeenItems, Task
from mai1.evaluate.task_files import TaskConfig
from mai1.evaluate.tasks import LocalTask
from mai1.run.datasets import open_shards
from mai1.run.text_files import read_samples
from mai1.tokenizer.tokenizer import Tokenizer


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


def seen_items(text: Path, tokenizer: Tokenizer, world: World) -> SeenItems:
    """Looks for items in prepared data (its training shards), or in a text file or a directory of them.

    Ranks share the documents. ValueError where there is nothing to look at.
    """
    documents = _documents_of(text, tokenizer)

    def look(index: ItemIndex) -> set[int]:
        mine = (document for number, document in enumerate(documents()) if number % world.size == world.rank)
        found = gather_json(sorted(index.seen_in(mine)), world)
        return {item for of_rank in found for item in of_rank}

    return look


def _documents_of(text: Path, tokenizer: Tokenizer) -> Callable[[], Iterator[str]]:
    if not text.exists():
        raise ValueError(
            f"training_text={text} must be prepared data, a text file or a directory of them: check the path"
        )
    if not (text / "manifest.json").is_file():
        return lambda: (sample.text for sample in read_samples([str(text)], text_field="text"))
    shards = open_shards(text / "train", tokenizer)
    return lambda: (_text(document, tokenizer) for shard in shards for document in _ids(shard))


def _ids(shard: Shard) -> Iterator[list[int]]:
    return (shard.document(number).tolist() for number in range(shard.num_documents))


def _text(ids: list[int], tokenizer: Tokenizer) -> str:
    return tokenizer.decode([token for token in ids if token < tokenizer.vocabulary.text_size])
