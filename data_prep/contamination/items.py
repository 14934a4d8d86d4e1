"""Items of evaluation sets from files: the question of each, and the text of its right answer."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow
import pyarrow.parquet

from data_prep.contamination.config import TaskConfig

SCAFFOLD = re.compile(r"\A\s*(question|q)\s*:\s*|\s*\b(answer|a)\s*:\s*\Z", re.IGNORECASE)
"""What evaluation harnesses put around a question and no document need hold."""

MAX_FILE_BYTES = 1 << 30


class Item(NamedTuple):
    """One question of an evaluation set."""

    question: str
    answer: str
    """Empty where the task gives none."""


def read_items(name: str, task: TaskConfig) -> list[Item]:
    """All items of a task in the order of its file. ValueError where the file cannot be read or lacks a field."""
    key, path = f"contamination.tasks.{name}", Path(task.path).expanduser()
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"it has {path.stat().st_size} bytes, at most {MAX_FILE_BYTES}")
        records = list(_records(path))
    except (OSError, ValueError, RecursionError, csv.Error, pyarrow.ArrowException) as error:
        raise ValueError(
            f"{key}.path={task.path} must be a readable .jsonl, .json, .csv or .parquet file: {error}"
        ) from error
    if not records:
        raise ValueError(f"{key}.path={task.path} must hold at least one item: name the file with the questions")
    return [_item(record, task, f"{key} (item {number})") for number, record in enumerate(records)]


def _records(path: Path) -> Iterator[dict]:
    match path.suffix:
        case ".jsonl":
            with path.open(encoding="utf-8") as lines:
                yield from (json.loads(line) for line in lines if line.strip())
        case ".json":
            yield from json.loads(path.read_text(encoding="utf-8"))
        case ".csv":
            with path.open(encoding="utf-8", newline="") as lines:
                yield from (dict(zip(map(str, range(len(row))), row, strict=True)) for row in csv.reader(lines))
        case ".parquet":
            with pyarrow.parquet.ParquetFile(path) as table:
                for batch in table.iter_batches():
                    yield from batch.to_pylist()
        case _:
            raise ValueError(f"{path.suffix or 'no suffix'} is none of these")


def _item(record: object, task: TaskConfig, key: str) -> Item:
    question = _text(record, task.question, f"{key}: question")
    question = SCAFFOLD.sub("", question).strip()
    if not task.answer:
        return Item(question, "")
    if not task.choices:
        return Item(question, _text(record, task.answer, f"{key}: answer"))
    return Item(question, _right_choice(record, task, key))


def _right_choice(record: object, task: TaskConfig, key: str) -> str:
    """The text of the choice that the answer field points to, by number, letter, label or its own text."""
    answer = _text(record, task.answer, f"{key}: answer")
    if len(task.choices) > 1:
        texts, labels = [_text(record, field, f"{key}: choices") for field in task.choices], []
    else:
        texts, labels = _choices(_field(record, task.choices[0], f"{key}: choices"))
    letters = [chr(ord("A") + number) for number in range(len(texts))]
    for names in (labels, letters, list(map(str, range(len(texts)))), texts):
        if answer in names:
            return texts[names.index(answer)]
    raise ValueError(
        f"{key}: answer={answer!r} must be the number, letter, label or text of one of {len(texts)} choices"
    )


def _choices(value: object) -> tuple[list[str], list[str]]:
    """Texts and labels: a list of texts, a list of {text, label} (ARC as published), or {text: [], label: []}."""
    if isinstance(value, dict):
        texts, labels = value.get("text", []), value.get("label", [])
    else:
        entries = list(value) if isinstance(value, list) else []
        is_labelled = all(isinstance(entry, dict) for entry in entries)
        texts = [entry.get("text", "") for entry in entries] if is_labelled else entries
        labels = [entry.get("label", "") for entry in entries] if is_labelled else []
    return list(map(str, texts)), list(map(str, labels))


def _text(record: object, field: str, key: str) -> str:
    value = _field(record, field, key)
    if isinstance(value, dict | list):
        raise ValueError(f"{key}={field} must name a text, but holds a {type(value).__name__}: name a field within it")
    return str(value)


def _field(record: object, field: str, key: str) -> object:
    """The value under a dotted name."""
    value = record
    for part in field.split("."):
        if not isinstance(value, dict) or part not in value:
            has = ", ".join(map(str, list(value)[:20])) if isinstance(value, dict) else type(value).__name__
            raise ValueError(f"{key}={field} must name a field of the record: it has {has}")
        value = value[part]
    return value
