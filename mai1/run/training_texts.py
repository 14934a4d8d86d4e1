"""The texts that a model was trained on, in which items of tasks are looked for: prepared data, files, and those a run names."""

from collections.abc import Callable, Iterator
from pathlib import Path

from mai1.data.instructions import read_records
from mai1.data.shards import Shard
from mai1.dist import World, gather_json
from mai1.evaluate.contamination import ItemIndex
from mai1.evaluate.suite import SeenItems
from mai1.report.records import RunRecords, read_ancestors, read_run
from mai1.run.datasets import open_shards
from mai1.run.directory import read_config
from mai1.run.text_files import read_samples
from mai1.tokenizer.tokenizer import Tokenizer

RECORD_FILES = (".jsonl", ".json")


def training_texts(named: str, checkpoint: Path) -> list[Path]:
    """What `training_text` means. `auto`: what the checkpoint's run and those that it started from were trained on.

    Of models of others, which a run may have started from, nothing is known. ValueError where nothing is known at all, or what
    is known is not there any more.
    """
    if named != "auto":
        return [Path(named)] if named else []
    run = checkpoint.parent.parent
    newest = read_run(run) if (run / "run.json").is_file() else None
    stages = [newest, *read_ancestors(newest)] if newest is not None else []
    found = [_text_of(stage) for stage in stages if "stage" in stage.run]
    if not found:
        raise ValueError(f"training_text=auto but {checkpoint} does not say what it was trained on: name the data")
    for path in found:
        if not path.exists():
            raise ValueError(f"training_text=auto but {path}, which {run} was trained on, is not there: name the data")
    return found


def _text_of(records: RunRecords) -> Path:
    """Prepared data of a pretraining run; the file of conversations or pairs of another."""
    if records.run["stage"] == "pretrain":
        return Path(records.run["data"])
    return Path(read_config(records.directory / "config.yaml")["data"]["train"])


def seen_items(texts: list[Path], tokenizer: Tokenizer, world: World) -> SeenItems:
    """Looks for items in prepared data (its training shards), files and directories of them.

    Ranks share the documents. ValueError where there is nothing to look at.
    """
    documents = [_documents_of(text, tokenizer) for text in texts]

    def look(index: ItemIndex) -> set[int]:
        every = (document for of_text in documents for document in of_text())
        mine = (document for number, document in enumerate(every) if number % world.size == world.rank)
        found = gather_json(sorted(index.seen_in(mine)), world)
        return {item for of_rank in found for item in of_rank}

    return look


def _documents_of(text: Path, tokenizer: Tokenizer) -> Callable[[], Iterator[str]]:
    if not text.exists():
        raise ValueError(
            f"training_text={text} must be prepared data, a text file or a directory of them: check the path"
        )
    if text.suffix in RECORD_FILES and text.is_file():
        return lambda: ("\n".join(_strings(record)) for _, record in read_records(text))
    if not (text / "manifest.json").is_file():
        return lambda: (sample.text for sample in read_samples([str(text)], text_field="text"))
    shards = open_shards(text / "train", tokenizer)
    return lambda: (_text(document, tokenizer) for shard in shards for document in _ids(shard))


def _strings(value: object) -> Iterator[str]:
    """Every text in a record, whatever its shape."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _ids(shard: Shard) -> Iterator[list[int]]:
    return (shard.document(number).tolist() for number in range(shard.num_documents))


def _text(ids: list[int], tokenizer: Tokenizer) -> str:
    return tokenizer.decode([token for token in ids if token < tokenizer.vocabulary.text_size])
