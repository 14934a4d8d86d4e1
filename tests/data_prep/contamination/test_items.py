"""Evaluation files as they are published: the question and the text of the right answer."""

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from data_prep.contamination.config import ContaminationConfig, TaskConfig
from data_prep.contamination.items import Item, read_items


def written(path: Path, *records: dict) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return str(path)


def test_gsm8k(tmp_path: Path):
    path = written(tmp_path / "t.jsonl", {"question": "How many?", "answer": "4 + 4\n#### 8"})
    assert read_items("gsm8k", TaskConfig(path=path, answer="answer")) == [Item("How many?", "4 + 4\n#### 8")]
    assert read_items("gsm8k", TaskConfig(path=path)) == [Item("How many?", "")]


def test_choices_by_number_with_the_harness_around_the_question(tmp_path: Path):
    record = {"choices": ["sand", "salt"], "query": "Question: What melts ice?\nAnswer:", "gold": 1}
    task = TaskConfig(path=written(tmp_path / "t.jsonl", record), question="query", answer="gold", choices=["choices"])
    assert read_items("arc_easy", task) == [Item("What melts ice?", "salt")]


def test_arc_as_published_and_as_hugging_face_has_it(tmp_path: Path):
    choices = [{"text": "sand", "label": "1"}, {"text": "salt", "label": "2"}]
    published = {"question": {"stem": "What melts ice?", "choices": choices}, "answerKey": "2"}
    path = written(tmp_path / "t.jsonl", published)
    task = TaskConfig(path=path, question="question.stem", answer="answerKey", choices=["question.choices"])
    assert read_items("arc", task) == [Item("What melts ice?", "salt")]
    row = {"question": "What melts ice?", "choices": {"text": ["sand", "salt"], "label": ["A", "B"]}, "answerKey": "B"}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "t.parquet")
    task = TaskConfig(path=str(tmp_path / "t.parquet"), answer="answerKey", choices=["choices"])
    assert read_items("arc", task) == [Item("What melts ice?", "salt")]


def test_mmlu_as_csv_and_as_json(tmp_path: Path):
    (tmp_path / "t.csv").write_text('"What melts, say, ice?",sand,salt,oil,air,B\n', encoding="utf-8")
    task = TaskConfig(path=str(tmp_path / "t.csv"), question="0", answer="5", choices=["1", "2", "3", "4"])
    assert read_items("mmlu", task) == [Item("What melts, say, ice?", "salt")]
    records = [{"question": "What?", "choices": ["sand", "salt"], "answer": 0}]
    (tmp_path / "t.json").write_text(json.dumps(records), encoding="utf-8")
    task = TaskConfig(path=str(tmp_path / "t.json"), answer="answer", choices=["choices"])
    assert read_items("mmlu", task) == [Item("What?", "sand")]


@pytest.mark.parametrize(
    ("name", "content", "changes", "message"),
    [
        ("t.jsonl", "", {}, r"tasks\.t\.path=\S+ must hold at least one item"),
        ("t.jsonl", "{", {}, r"tasks\.t\.path=\S+ must be a readable"),
        ("t.jsonl", "[" * 100_000, {}, r"tasks\.t\.path=\S+ must be a readable"),
        ("t.txt", "x", {}, "must be a readable .*: .txt is none of these"),
        ("t.parquet", "x", {}, r"tasks\.t\.path=\S+ must be a readable"),
        ("t.jsonl", "[1]", {}, r"question=question must name a field of the record: it has list"),
        (
            "t.jsonl",
            '{"q": 1}',
            {},
            r"tasks\.t \(item 0\): question=question must name a field of the record: it has q",
        ),
        ("t.jsonl", '{"question": {"stem": 1}}', {}, "question=question must name a text, but holds a dict"),
        (
            "t.jsonl",
            '{"question": "a", "gold": 7, "choices": ["b"]}',
            {"answer": "gold", "choices": ["choices"]},
            "answer='7' must be the number, letter, label or text of one of 1 choices",
        ),
    ],
)
def test_wrong_files_and_fields_are_explained(tmp_path: Path, name: str, content: str, changes: dict, message: str):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_items("t", TaskConfig(path=str(tmp_path / name), **changes))


def test_a_missing_file_is_explained():
    with pytest.raises(ValueError, match="tasks.t.path=nowhere.jsonl must be a readable"):
        read_items("t", TaskConfig(path="nowhere.jsonl"))


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="contamination.tasks.a b must be named with letters"):
        ContaminationConfig(tasks={"a b": TaskConfig(path="x")})
    for key in ("margin_characters", "max_cuts"):
        with pytest.raises(ValueError, match=f"contamination.{key}=-1 must be at least 0"):
            ContaminationConfig(**{key: -1})
