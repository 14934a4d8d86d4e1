import dataclasses
import json
from enum import Enum

import pytest

from data_prep.as_json import changed_settings, from_json, to_json
from data_prep.config import PrepareConfig
from data_prep.contamination.config import TaskConfig
from data_prep.curation import CurateTask
from data_prep.encoding import EncodeTask
from data_prep.instruct import InstructSourceConfig
from data_prep.reading.files import SliceFile
from data_prep.reading.formats import SliceKind
from data_prep.reading.slices import Slice
from data_prep.reading.source import SourceConfig
from data_prep.scores.config import ScorerConfig, ScorerKind
from data_prep.scores.keep import KeepConfig
from data_prep.splitting import HeldoutKind


def everything() -> PrepareConfig:
    """A config with an entry in each mapping, besides all the defaults."""
    config = PrepareConfig(sources={"books": SourceConfig(path="a.jsonl")}, max_bytes=7)
    config.scores.scorers["usual"] = ScorerConfig(kind=ScorerKind.prior, keep=KeepConfig(min_quantile=0.1))
    config.contamination.tasks["quiz"] = TaskConfig(path="quiz.jsonl", choices=["a", "b"])
    config.instructions.sources["talks"] = InstructSourceConfig(path="talks.jsonl")
    return config


@pytest.mark.parametrize("config", [PrepareConfig(), everything()])
def test_a_config_comes_back_from_its_json(config: PrepareConfig):
    line = json.dumps(to_json(config), allow_nan=False)
    again = from_json(PrepareConfig, json.loads(line))
    assert again == config and from_json(PrepareConfig, to_json(again)) == again
    assert kinds_of(again) == kinds_of(config)


def kinds_of(value: object) -> object:
    """The types of everything inside, numbers aside: an enum of strings equals its value, and a tuple no list."""
    if dataclasses.is_dataclass(value):
        return [type(value), *(kinds_of(getattr(value, entry.name)) for entry in dataclasses.fields(value))]
    if isinstance(value, dict | list | tuple):
        return [type(value), *(kinds_of(entry) for entry in (value.values() if isinstance(value, dict) else value))]
    return float if isinstance(value, int) else type(value)


def test_infinite_limits_become_text_and_numbers_again():
    keep = KeepConfig(max_value=3)
    written = to_json(keep)
    assert (written["min_value"], written["max_value"]) == ("-inf", 3)
    assert from_json(KeepConfig, written) == keep and isinstance(from_json(KeepConfig, written).max_value, float)


@pytest.mark.parametrize("kind", [EncodeTask, CurateTask])
def test_tasks_come_back_with_their_enums_and_tuples(kind: type):
    file = SliceFile("/a/b.parquet", "b.parquet", size=7, version="9")
    piece = Slice(kind=SliceKind.parquet, files=(file,), start=1, stop=2, num_bytes=7)
    config = everything()
    if kind is EncodeTask:
        task = EncodeTask("documents", "selected", config.dedup.passages, HeldoutKind.tail, 0.1)
    else:
        task = CurateTask(piece, config.sources["books"], PrepareConfig(), "", {"list.txt": "digest"})
        task = dataclasses.replace(task, config=from_json(type(task.config).__mro__[1], curate_part(task.config)))
    assert from_json(kind, json.loads(json.dumps(to_json(task)))) == task


def curate_part(config: PrepareConfig) -> dict:
    """What of the settings the stages see."""
    names = [entry.name for entry in dataclasses.fields(type(config).__mro__[1])]
    return {name: value for name, value in to_json(config).items() if name in names}


def test_only_changed_settings_are_named():
    assert changed_settings(PrepareConfig()) == {}
    assert changed_settings(everything()) == {
        "sources.books.path": "a.jsonl",
        "max_bytes": 7,
        "scores.scorers.usual.kind": "prior",
        "scores.scorers.usual.keep.min_quantile": 0.1,
        "contamination.tasks.quiz.path": "quiz.jsonl",
        "contamination.tasks.quiz.choices": ["a", "b"],
        "instructions.sources.talks.path": "talks.jsonl",
    }


def test_plain_json_is_all_that_comes_out():
    def check(value: object) -> None:
        assert isinstance(value, dict | list | str | int | float | bool | None) and not isinstance(value, Enum)
        for entry in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(entry)

    check(to_json(everything()))
