"""Local tasks: JSON Lines files of questions, in the shapes that people have them. Nothing in them runs.

{"query": ..., "choices": [...], "gold": 2}             choices: which is the most likely one?
{"context": ..., "continuation": ...}                    completion: how likely is it, and is it the greedy one?
{"question": ..., "answer": "... #### 72"}               answer: what is said is compared with it
{"text": ...}                                             text: how likely is it, per byte?
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from mai1.data.instructions import read_records
from mai1.evaluate.extraction import Extraction


class Kind(Enum):
    """What is asked of a model."""

    auto = "auto"  # by the fields of the first record
    choices = "choices"
    completion = "completion"
    answer = "answer"
    text = "text"


QUESTIONS = ("query", "question", "context", "prompt", "goal", "ctx", "instruction", "input")
CHOICES = ("choices", "options", "endings", "sol1,sol2", "A,B,C,D")
COMPLETIONS = ("continuation", "completion")
ANSWERS = ("gold", "answer", "answerKey", "label", "target", "response", "output")
TEXTS = ("text",)
AUTO = "auto"


@dataclass(kw_only=True, slots=True)
class TaskConfig:
    """A file of questions and how they are asked."""

    path: str
    """File: .jsonl, or .json with a list of objects."""
    kind: Kind = Kind.auto
    """auto (by the fields of the first record) | choices | completion | answer | text."""
    question: str = AUTO
    """Field with the question or beginning; auto: query, question, context, prompt, goal, ctx, instruction, input or text."""
    choices: str = AUTO
    """Field with the list of choices, or the fields of one choice each, as in sol1,sol2; auto: choices, options, endings, ..."""
    answer: str = AUTO
    """Field with the answer: a text, or of choices the number from 0, letter, label or text; auto: gold, answer, label, ..."""
    cluster: str = ""
    """Field that is alike in items that are not independent, such as questions on one passage; empty: all are."""
    before: str = AUTO
    """Text before a question; auto: `Question: ` where an answer is generated in plain text, else nothing."""
    after: str = AUTO
    """Text after a question; auto: in plain text `\\nAnswer:` behind one that begins with `Question:`, else nothing."""
    delimiter: str = " "
    """Text between a question and its answer; a chat has none."""
    between: str = "\n\n"
    """Text between examples."""
    examples: str = ""
    """File of the same shape to draw examples from; empty: the items themselves, but for the one that is asked."""
    extraction: Extraction = Extraction.auto
    """auto (number, if each right answer holds one) | number | text: what of a reply counts."""
    until: list[str] = field(default_factory=list)
    """Texts that end a reply; empty: `Question:` for numbers, the end of the line for texts; a chat ends its messages."""
    max_new_tokens: int = 256
    """Longest reply in tokens."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens={self.max_new_tokens} of the task {self.path} must be at least 1")


@dataclass(frozen=True, slots=True)
class Item:
    """One question."""

    number: int
    """Place in the file, from 0."""
    question: str
    answer: str
    """What is right; of choices its text."""
    choices: tuple[str, ...] = ()
    gold: int = -1
    """Which choice is right."""
    cluster: str = ""

    @property
    def forms(self) -> list[list[str]]:
        """The forms in which it may stand in a training text: with its answer, and with all its choices."""
        return [[self.question, self.answer], *([[self.question, *self.choices]] if self.choices else [])]


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A file of items of one kind."""

    kind: Kind
    items: list[Item]
    sha256: str


def read_task_file(config: TaskConfig, path: Path) -> TaskFile:
    """All items of a file; ValueError with the place of what is wrong."""
    if not path.is_file():
        raise ValueError(
            f"the task {path} is no file: name a .jsonl file of questions, or a task of the harness by its name"
        )
    records = list(read_records(path))
    if not records or not isinstance(records[0][1], dict):
        raise ValueError(f"{path} must hold JSON objects with a question each: see docs/evaluation.md")
    fields = _fields(config, records[0][1], path)
    items = [_item(record, fields, number=number, where=where) for number, (where, record) in enumerate(records)]
    return TaskFile(fields.kind, items, hashlib.sha256(path.read_bytes()).hexdigest())


@dataclass(frozen=True, slots=True)
class _Fields:
    kind: Kind
    question: str
    choices: str
    answer: str
    cluster: str


def _fields(config: TaskConfig, record: dict, path: Path) -> _Fields:
    """Which fields hold what, from the first record; the others must be like it."""
    choices = _present(config.choices, CHOICES, record)
    completion, text = _present(AUTO, COMPLETIONS, record), _present(config.question, TEXTS, record)
    question = _present(config.question, QUESTIONS, record)
    answer = _present(config.answer, ANSWERS, record)
    kind = config.kind
    if kind is Kind.auto:
        of_fields = ((Kind.choices, choices), (Kind.completion, completion), (Kind.answer, answer), (Kind.text, text))
        kind = next((kind for kind, name in of_fields if name), Kind.auto)
    if kind is Kind.text:
        question, answer = question or text, question or text
    if kind is Kind.completion:
        answer = config.answer if config.answer != AUTO else completion or answer
    needed = {"question": question, "answer": answer} | ({"choices": choices} if kind is Kind.choices else {})
    if kind is Kind.auto or not all(needed.values()):
        missing = next((key for key, name in needed.items() if not name), "kind")
        raise ValueError(
            f"{path} has the fields {', '.join(map(str, record))}: say which one is the {missing}, as in tasks=[mine] "
            f"'definitions={{mine: {{path: {path}, {missing}: FIELD}}}}'"
        )
    return _Fields(kind, question, choices, answer, config.cluster)


def _present(wanted: str, names: Sequence[str], record: dict) -> str:
    """The field (or fields, with commas) that is wanted, or the first that is there; empty where there is none."""
    wanted_names = (wanted,) if wanted != AUTO else names
    return next((name for name in wanted_names if all(field in record for field in _several(name))), "")


def _several(name: str) -> list[str]:
    return [each.strip() for each in name.split(",")]


def _item(record: object, fields: _Fields, *, number: int, where: str) -> Item:
    question, answer = _text(record, fields.question, where), _value(record, fields.answer, where)
    cluster = str(_value(record, fields.cluster, where)) if fields.cluster else ""
    if fields.kind is not Kind.choices:
        if isinstance(answer, dict | list) or answer is None:
            raise ValueError(f"{where}: {fields.answer} must be a text or a number, but is {type(answer).__name__}")
        return Item(number, question, str(answer), cluster=cluster)
    names = _several(fields.choices)
    values = [_value(record, name, where) for name in names]
    texts, labels = _choices(values if len(names) > 1 else values[0])
    gold = _gold(answer, texts, labels)
    if len(texts) < 2 or not all(texts) or gold is None:
        raise ValueError(
            f"{where}: {fields.choices} must be a list of at least two texts, and {fields.answer}={str(answer)[:40]!r} the "
            "number from 0, letter, label or text of one of them"
        )
    return Item(number, question, texts[gold], tuple(texts), gold, cluster)


def _gold(answer: object, texts: list[str], labels: list[str]) -> int | None:
    if type(answer) is int:
        return answer if 0 <= answer < len(texts) else None
    letters = [chr(ord("A") + number) for number in range(min(len(texts), 26))]
    for names in (labels, texts, letters, [str(number) for number in range(len(texts))]):
        if answer in names:
            return names.index(answer)
    return None


def _choices(value: object) -> tuple[list[str], list[str]]:
    """Texts and labels: a list of texts, a list of {text, label}, or {text: [], label: []}."""
    if isinstance(value, dict):
        texts, labels = value.get("text", []), value.get("label", [])
    elif isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        texts, labels = ([entry.get(key, "") for entry in value] for key in ("text", "label"))
    else:
        texts, labels = value, []
    if not isinstance(texts, list) or not isinstance(labels, list) or not all(isinstance(text, str) for text in texts):
        return [], []
    return texts, [str(label) for label in labels]


def _text(record: object, name: str, where: str) -> str:
    value = _value(record, name, where)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where}: {name} must be a text that is not empty")
    return value


def _value(record: object, name: str, where: str) -> object:
    if not isinstance(record, dict) or name not in record:
        raise ValueError(f"{where} has no field {name}, which the first record has")
    return record[name]
