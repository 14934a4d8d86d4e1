from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Union, get_args, get_origin

import pytest
import yaml

from data_prep.prepare import PrepareConfig
from mai1.checkpoint.families import family_of
from mai1.launch.config import JobConfig
from mai1.run.arena import ArenaConfig
from mai1.run.chat import ChatConfig
from mai1.run.compose import compose_config, key_names
from mai1.run.config import AlignConfig, PretrainConfig, SftConfig
from mai1.run.evaluate import EvaluateConfig
from mai1.run.export import ExportConfig
from mai1.run.generate import GenerateConfig
from mai1.run.grow import GrowConfig
from mai1.run.help import field_notes
from mai1.run.import_checkpoint import ImportConfig
from mai1.run.inspect import InspectConfig
from mai1.run.plan import PlanConfig
from mai1.run.preflight import PreflightCommand
from mai1.run.rehearse import RehearseConfig
from mai1.run.score import ScoreConfig
from mai1.run.tokenizer import TrainTokenizerConfig
from tests.model.test_counts import SHAPES, shape

SCHEMAS = {
    "arena": ArenaConfig,
    "prepare": PrepareConfig,
    "pretrain": PretrainConfig,
    "sft": SftConfig,
    "align": AlignConfig,
    "generate": GenerateConfig,
    "chat": ChatConfig,
    "evaluate": EvaluateConfig,
    "export": ExportConfig,
    "grow": GrowConfig,
    "import": ImportConfig,
    "inspect": InspectConfig,
    "launch": JobConfig,
    "plan": PlanConfig,
    "preflight": PreflightCommand,
    "rehearse": RehearseConfig,
    "score": ScoreConfig,
    "tokenizer": TrainTokenizerConfig,
}
NEEDED = {
    "import": ["checkpoint=there", "output=here"],
    "sft": ["checkpoint.init_from=runs/x"],
    "align": ["checkpoint.init_from=runs/x"],
}
GROUPS = sorted(path for path in Path("configs").rglob("*.yaml") if path.parent.name != "configs")


def composed(command: str, *overrides: str) -> object:
    return compose_config(command, SCHEMAS[command], NEEDED.get(command, []) + list(overrides))


def refusal(command: str, *overrides: str) -> str:
    """The one line a person reads."""
    with pytest.raises(ValueError) as caught:
        composed(command, *overrides)
    message = str(caught.value)
    assert "\n" not in message.strip()
    return message


def assert_types(value: object, kind: object, where: str) -> None:
    """Every value, however deep, is an instance of its field's type."""
    if is_dataclass(kind):
        assert type(value) is kind, where
        for entry in fields(kind):
            assert_types(getattr(value, entry.name), entry.type, f"{where}.{entry.name}")
    elif get_origin(kind) in (list, dict):
        assert isinstance(value, get_origin(kind)), where
        for item in value.values() if isinstance(value, dict) else value:
            assert_types(item, get_args(kind)[-1], where)
    elif get_origin(kind) in (Union, UnionType):
        assert isinstance(value, tuple(get_args(kind))), where
    else:
        assert type(value) is kind, f"{where}={value!r}"


def test_every_yaml_file_belongs_to_a_command_or_a_group():
    commands = {path.stem for path in Path("configs").glob("*.yaml")}
    assert commands == set(SCHEMAS)
    assert {path.parent.name for path in GROUPS} == {"model", "experiment", "curation", "hardware"}
    for command in commands:  # without its schema line a file would silently lose its types
        assert f"{command}_schema" in yaml.safe_load(Path(f"configs/{command}.yaml").read_text())["defaults"]


@pytest.mark.parametrize("command", SCHEMAS)
def test_every_command_composes_to_its_typed_dataclass(command: str):
    assert_types(composed(command), SCHEMAS[command], command)


@pytest.mark.parametrize("path", GROUPS, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_every_option_composes_to_what_its_file_says(path: Path):
    content = yaml.safe_load(path.read_text())
    command = {"curation": "prepare", "hardware": "plan"}.get(path.parent.name, "pretrain")
    command = "sft" if path.stem.endswith("_sft") else command
    config = compose_config(command, SCHEMAS[command], [f"{path.parent.name}={path.stem}"])
    assert_types(config, SCHEMAS[command], command)
    group = path.parent.name
    for key, expected in leaves(content, prefix=f"{group}." if group in ("model", "hardware") else ""):
        value = config
        for name in key.split("."):
            value = value[name] if isinstance(value, dict) else getattr(value, name)
        value = value.value if isinstance(value, Enum) else value
        assert value == (float(expected) if isinstance(value, float) else expected), key


def leaves(content: dict, *, prefix: str) -> list[tuple[str, object]]:
    found = []
    for key, value in content.items():
        if key != "defaults":
            found += leaves(value, prefix=f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_one_that_hugging_face_expresses_and_kernels_like(name: str):
    config = shape(name)
    assert family_of(config)
    assert config.moe.expert_width % 64 == 0 and config.d_model % 64 == 0 and config.vocab_size % 128 == 0


@pytest.mark.parametrize("command", SCHEMAS)
def test_every_key_of_a_command_is_documented_under_its_field(command: str):
    missing = []

    def visit(schema: type, prefix: str) -> None:
        notes = field_notes(schema)
        for entry in fields(schema):
            if len(notes.get(entry.name, "")) < 5:
                missing.append(prefix + entry.name)
            kinds = [entry.type, *get_args(entry.type)]
            for kind in kinds:
                if is_dataclass(kind):
                    visit(kind, f"{prefix}{entry.name}.")

    visit(SCHEMAS[command], f"{command}: ")
    assert not missing


@pytest.mark.parametrize("command", SCHEMAS)
def test_every_yaml_key_is_a_key_of_the_schema(command: str):
    content = yaml.safe_load(Path(f"configs/{command}.yaml").read_text())
    known = key_names(SCHEMAS[command])
    assert [key for key, _ in leaves(content, prefix="") if key not in known and not key.startswith("sources.")] == []


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("run.nme=x", ["run.nme is no key of `mai1 pretrain`", "run.name"]),
        ("traim.steps=3", ["traim.steps", "train.steps"]),
        ("zzz=1", ["zzz is no key", "--help"]),
        ("+zzz=1", ["zzz is no key"]),
        ("++model.topk=1", ["model.topk is no key", "model.moe.top_k"]),
        ("model.topk=1", ["model.topk is no key", "model.moe.top_k"]),
        ("train.steps=many", ["train.steps=many", "Integer"]),
        ("train.steps=1.5", ["train.steps=1.5", "Integer"]),
        ("train.steps=null", ["train.steps=null"]),
        ("train=null", ["train=null"]),
        ("optim.learning_rate=fast", ["optim.learning_rate=fast", "Float"]),
        ("model.tie_embeddings=maybe", ["model.tie_embeddings=maybe", "bool"]),
        ("balance.method=magic", ["balance.method=magic", "bias, switch_loss, sequence_loss, global_loss, none"]),
        ("balance.counted=words", ["balance.counted=words", "targets, tokens"]),
        ("routing.choice=magic", ["routing.choice=magic", "token, expert"]),
        ("routing.capacity=1", ["routing.capacity is no key", "routing.capacity_factor"]),
        ("routing.jitter=1.5", ["routing.jitter=1.5 must be at least 0 and below 1"]),
        ("model.moe.scores=Sigmoid", ["model.moe.scores=Sigmoid", "softmax, sigmoid"]),
        ("model=huge", ["model=huge", "small", "tiny"]),
        ("experiment=nope", ["experiment=nope", "smoke"]),
        ("train.steps=0", ["train.steps=0 must be at least 1"]),
        ("train.steps=[1", ["train.steps=[1"]),
        ("train", ["'train' is no key=value"]),
        ("=3", ["'=3' is no key=value"]),
        ("hydra.run.dir=x", ["hydra.run.dir=x", "no effect"]),
        ("_target_=os.system", ["_target_ is no key"]),
        ("+_target_=os.system", ["_target_ is no key"]),
        ("+run._target_=os.system", ["run._target_ is no key"]),
        ("run={_target_: os.system}", ["_target_"]),
    ],
)
def test_a_mistake_is_one_line_with_key_and_hint(override: str, parts: list[str]):
    message = refusal("pretrain", override)
    assert [part for part in parts if part not in message] == [], message


def test_a_target_inside_a_mapping_of_ones_own_names_is_refused():
    assert "_target_" in refusal("prepare", "sources={mine: {path: x, _target_: os.system}}")


def test_a_missing_value_is_named():
    with pytest.raises(ValueError, match="checkpoint.init_from"):
        compose_config("sft", SftConfig, [])


@pytest.mark.parametrize(
    "value",
    ["${oc.env:SECRET_OF_TEST}", "${oc.env:SECRET_OF_TEST,x}", "a/${oc.decode:${oc.env:SECRET_OF_TEST}}", "${now:%Y}"]
    + ["${${run.name}:SECRET_OF_TEST}", "${hydra:runtime.cwd}"],
)
@pytest.mark.parametrize("key", ["data.path", "model", "+data.path"])
def test_no_override_reads_the_environment(key: str, value: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET_OF_TEST", "hunter2")
    message = refusal("pretrain", f"{key}={value}")
    assert "hunter2" not in message and "reads nothing from outside" in message


def test_a_value_may_repeat_another_key_and_name_anything():
    config = composed("pretrain", "data.path=data/${run.name}", "run.name=a_target_b")
    assert config.data.path == "data/a_target_b" and config.run.name == "a_target_b"


@pytest.mark.parametrize(
    "text",
    [
        "läufe/größe",
        "日本",
        "it's (a) test, yes",
        "a=b",
        "{x}",
        "[a",
        "C:\\x",
        "\\",
        "a\\'b",
        'a"b',
        "x#y",
        "1e3",
        "true",
        "☃ 'q'",
    ],
)
def test_a_text_is_what_was_typed(text: str):
    assert compose_config("pretrain", PretrainConfig, [f"run.directory={text}"]).run.directory == text
    assert compose_config("arena", ArenaConfig, [f"checkpoints.a={text}"]).checkpoints == {"a": text}


def test_a_text_may_still_be_quoted_or_name_another_key():
    assert compose_config("pretrain", PretrainConfig, ["run.name='a b'"]).run.name == "a b"
    assert (
        compose_config("pretrain", PretrainConfig, ["run.directory=ü/${run.name}", "run.name=x"]).run.directory == "ü/x"
    )


def test_what_cannot_be_read_says_how_to_quote():
    with pytest.raises(ValueError, match="and quote texts that hold more") as error:
        compose_config("prepare", PrepareConfig, ["sources={a: {path: bü.txt}}"])
    assert str(error.value).startswith("sources={a: {path: bü.txt}}")  # as typed, without the plus that Hydra gets


@pytest.mark.parametrize(
    ("command", "override", "mend"),
    [
        ("prepare", "sources=books", "this is a mapping: write 'sources={NAME: {path: ...}}'"),
        ("prepare", "sources=[books]", "this is a mapping: write 'sources={NAME: {path: ...}}'"),
        ("prepare", "sources={a: books}", "this is a mapping: write 'sources={NAME: {path: ...}}'"),
        ("prepare", "urls.blocked_domain_files=a.txt", "this is a list: write urls.blocked_domain_files=[a.txt]"),
        ("evaluate", "tasks=quiz.jsonl", "this is a list: write tasks=[quiz.jsonl]"),
        ("generate", "stop=END", "this is a list: write stop=[END]"),
        ("arena", "checkpoints=runs/a", "this is a mapping: write 'checkpoints={NAME: ...}'"),
        ("pretrain", "data.mixture.weights=[1]", "this is a mapping: write 'data.mixture.weights={NAME: ...}'"),
    ],
)
def test_one_value_where_several_go_is_answered_with_how_they_are_written(command: str, override: str, mend: str):
    assert refusal(command, override) == f"{override}: {mend}"


def test_an_entry_can_be_made_key_by_key():
    whole = composed("prepare", "sources={a: {path: 'b ü', text_field: body}, c: {path: d}}")
    parts = ("sources.a.path=b ü", "sources.a.text_field=body", "sources.c={path: d}")
    assert composed("prepare", *parts).sources == whole.sources
    task = composed("evaluate", "definitions.a.path=q.jsonl", "definitions.a.until=[x,y]").definitions["a"]
    assert (task.path, task.until) == ("q.jsonl", ["x", "y"])


def sections(config: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """A configuration and everything in it that has keys, with what stands before these."""
    yield prefix, config
    for entry in fields(config):
        if is_dataclass(value := getattr(config, entry.name)):
            yield from sections(value, f"{prefix}{entry.name}.")


SIGNED = {
    *("sampling.seed", "evaluation.seed", "ranking.seed", "ranking.anchor_rating"),
    *("arena.seed", "evaluate.seed", "grow.seed"),
}
"""Numbers that may be below 0."""


@pytest.mark.parametrize("command", SCHEMAS)
def test_a_number_out_of_its_bounds_is_refused_under_the_key_that_was_typed(command: str):
    for prefix, section in sections(composed(command)):
        for entry in (each for each in fields(section) if each.type in (int, float)):
            key, accepted = (
                f"{prefix}{entry.name}",
                {f"{prefix}{entry.name}", f"{command}.{prefix}{entry.name}"} & SIGNED,
            )
            try:
                replace(section, **{entry.name: entry.type(-1)})
                assert accepted, f"{key}=-1 is accepted"
            except ValueError as error:
                assert str(error).startswith(f"{key}=-1"), str(error)


@pytest.mark.parametrize(
    ("command", "key"),
    [
        *(("pretrain", key) for key in ("engine.timeout_s", "balance.bias_rate", "model.rope_theta", "lora.alpha")),
        *(("prepare", key) for key in ("rules.fineweb.max_line_breaks_per_word", "engine_options.slurm.poll_s")),
        *(("grow", "margin"), ("plan", "hardware.memory_bytes"), ("arena", "ranking.anchor_rating")),
    ],
)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_number_without_end_is_refused(command: str, key: str, value: str):
    assert refusal(command, f"{key}={value}").startswith(f"{key}={value} must ")


def test_a_bound_that_begins_without_end_may_stay_so():
    keep = "scores.scorers={q: {kind: prior, keep: {min_value: NUMBER}}}"
    assert composed("prepare", keep.replace("NUMBER", "0.5")).scores.scorers["q"].keep.max_value == float("inf")
    assert refusal("prepare", keep.replace("NUMBER", "nan")).startswith("scores.scorers.*.keep.min_value=nan must ")


def test_the_allow_list_of_hydra_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE", "os.system")
    assert "unset it" in refusal("pretrain")
