"""What people get wrong ends with exit code 2 and one line that names key, value, rule and mend, and writes nothing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mai1.run.cli import main
from tests.run.conftest import TINY_RUN, Outcome


def _assert_mistake(outcome, *words: str) -> None:
    assert outcome.code == 2, (outcome.code, outcome.err)
    lines = [line for line in outcome.err.splitlines() if line.startswith("mai1: ")]
    assert len(lines) == 1 and "Traceback" not in outcome.err, outcome.err
    for word in words:
        assert word in lines[0], lines[0]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.d_modle=64", ["model.d_modle", "did you mean model.d_model"]),
        ("trian.steps=5", ["trian.steps", "did you mean"]),
        ("train.steps=many", ["train.steps=many", "Integer"]),
        ("train.steps=0", ["train.steps=0", "at least 1"]),
        ("balance.method=magic", ["balance.method", "magic", "bias"]),
        ("model=enormous", ["model", "enormous", "tiny"]),
        ("model.moe.top_k=9", ["model.moe.top_k=9", "num_experts=4", "use 4 or fewer"]),
        ("model.attention.num_kv_heads=3", ["num_kv_heads=3", "must divide", "use 1, 2"]),
        ("model.num_dense_layers=2", ["num_dense_layers=2", "at least one layer"]),
        ("model.moe.scores=softmax", ["num_shared_experts=1", "scores=softmax", "use 0"]),
        ("engine.expert_parallel=3", ["engine.expert_parallel=3", "must divide", "use 1"]),
        ("engine.zero_stage=4", ["engine.zero_stage=4", "must be 1, 2 or 3"]),
        ("batch.sequences_per_step=5", ["sequences_per_step=5", "multiple of", "use 4"]),
        ("data.sequence_length=4096", ["sequence_length=4096", "max_positions"]),
        ("data.sequence_length=1", ["sequence_length=1", "at least 2"]),
        ("data.path=/nowhere", ["data.path=/nowhere", "mai1 prepare"]),
        ("checkpoint.init_from=/nowhere", ["checkpoint.init_from=/nowhere", "no checkpoint"]),
        ("run.name=../up", ["run.name", "../up", "folder name"]),
        ("model.vocab_size=64", ["model.vocab_size=64", "smaller than the tokenizer's"]),
        ("optim.learning_rate=-1", ["optim.learning_rate=-1", "above 0"]),
        ("optim.learning_rate=inf", ["optim.learning_rate=inf", "finite"]),
        ("data.path=", ["data.path=''", "mai1 prepare"]),
        ("run.seed=-1", ["run.seed=-1", "must not be negative"]),
        ("evaluation.limit=-1", ["evaluation.limit=-1", "use 0 for all"]),
        ("model.moe.scaling_factor=0", ["model.moe.scaling_factor=0", "above 0"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_mend(mai1, corpus, tmp_path, override, words):
    outcome = mai1("pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={tmp_path}", override)
    _assert_mistake(outcome, *words)
    assert not list(tmp_path.iterdir())


def test_an_unknown_command_is_answered_with_the_known_ones(mai1):
    _assert_mistake(mai1("pretrian"), "pretrian", "pretrain")


def test_a_corpus_too_small_for_the_sequence_is_refused(mai1, texts, tmp_path):
    small = tmp_path / "small"
    for file in sorted(texts.iterdir())[:4]:
        (tmp_path / "text").mkdir(exist_ok=True)
        (tmp_path / "text" / file.name).write_text(file.read_text()[:300])
    made = mai1("prepare", f"output={small}", f"sources={{a: {{path: {tmp_path / 'text'}}}}}", "tokenizer.kind=char",
                "heldout_fraction=0.3", "workers=1")  # fmt: skip
    assert made.code == 0, made.err
    outcome = mai1("pretrain", *TINY_RUN, f"data.path={small}", f"run.directory={tmp_path / 'runs'}",
                   "train.steps=2", "data.sequence_length=2048", "model.max_positions=4096")  # fmt: skip
    _assert_mistake(outcome, "data.sequence_length=2048", "tokens", "shorter")
    assert not (tmp_path / "runs").exists()


def test_shards_of_another_tokenizer_are_refused(mai1, corpus, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(corpus, mixed)
    shard = mixed / "train" / "topics.json"
    shard.write_text(json.dumps(json.loads(shard.read_text()) | {"tokenizer_hash": "f" * 64}))
    outcome = mai1("pretrain", *TINY_RUN, f"data.path={mixed}", f"run.directory={tmp_path}")
    _assert_mistake(outcome, "tokenizer_hash=ffffffffffff", "another tokenizer", "mai1 prepare")


@pytest.mark.parametrize("damage", ["truncated bin", "foreign idx", "missing json"])
def test_damaged_shards_are_refused_by_name(mai1, corpus, tmp_path, damage):
    broken = tmp_path / "broken"
    shutil.copytree(corpus, broken)
    stem = broken / "train" / "topics"
    if damage == "truncated bin":
        stem.with_suffix(".bin").write_bytes(stem.with_suffix(".bin").read_bytes()[:-7])
    elif damage == "foreign idx":
        stem.with_suffix(".idx").write_bytes(b"PK\x03\x04 not an index at all" * 20)
    else:
        stem.with_suffix(".json").unlink()
    outcome = mai1("pretrain", *TINY_RUN, f"data.path={broken}", f"run.directory={tmp_path}")
    _assert_mistake(outcome, "topics")


@pytest.fixture(scope="module")
def a_run(corpus, tmp_path_factory) -> Path:
    """One finished run, made in this process."""
    runs = tmp_path_factory.mktemp("finished")
    with pytest.raises(SystemExit) as ended:
        main(["pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={runs}", "run.name=done", "train.steps=2"])
    assert ended.value.code in (0, None)
    return runs / "done"


def test_a_directory_of_another_run_is_refused_and_left_alone(mai1, corpus, a_run):
    before = sorted((path, path.stat().st_mtime_ns) for path in a_run.rglob("*"))
    outcome = mai1("pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={a_run.parent}", "run.name=done",
                   "optim.learning_rate=0.5", "train.steps=2")  # fmt: skip
    _assert_mistake(outcome, "optim.learning_rate=0.5", "choose another run.name")
    assert sorted((path, path.stat().st_mtime_ns) for path in a_run.rglob("*")) == before


def test_a_directory_of_other_things_is_refused(mai1, corpus, tmp_path):
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "thesis.txt").write_text("do not touch")
    outcome = mai1("pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={tmp_path}")
    _assert_mistake(outcome, "first", "holds something else")
    assert [path.name for path in (tmp_path / "first").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("damage", ["flipped weights", "no weights", "foreign config"])
def test_a_damaged_checkpoint_is_refused_by_name(mai1, a_run, tmp_path, damage):
    copy = tmp_path / "copy"
    shutil.copytree((a_run / "checkpoints" / "latest").resolve(), copy)
    weights = copy / "model-00001-of-00001.safetensors"
    if damage == "flipped weights":
        data = weights.read_bytes()
        weights.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
        _assert_mistake(mai1("checkpoint", "verify", copy), weights.name, "SHA-256")
    elif damage == "no weights":
        weights.unlink()
        _assert_mistake(mai1("generate", f"checkpoint={copy}", "prompt=x"), weights.name)
    else:
        (copy / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
        _assert_mistake(mai1("generate", f"checkpoint={copy}", "prompt=x"), "LlamaForCausalLM", "Glm4MoeForCausalLM")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["empty"]),
        ("{not json}\n", [":1", "not JSON"]),
        ('{"question": "x"}\n', [":1", "question", "messages"]),
        ('{"messages": [{"role": "user", "content": "x"}]}\n', ["conversation 1", "assistant"]),
        ('{"messages": [{"role": "boss", "content": "x"}, {"role": "assistant", "content": "y"}]}\n', ["boss"]),
        ('{"prompt": "x", "completion": 7}\n', [":1", "completion", "string"]),
        ('{"prompt": "x", "completion": "' + "long " * 2000 + '"}\n', ["sequence_length", "longer sequence"]),
    ],
)
def test_wrong_instruction_files_are_refused_with_the_place(mai1, a_run, tmp_path, content, words):
    file = tmp_path / "talk.jsonl"
    file.write_text(content)
    outcome = mai1("sft", f"checkpoint.init_from={a_run}", f"data.train={file}", "data.heldout=''",
                   "data.sequence_length=64", f"run.directory={tmp_path / 'runs'}")  # fmt: skip
    _assert_mistake(outcome, *words)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("command", "override", "words"),
    [
        ("sft", "data.train=", ["data.train='' is no file", "name a .jsonl"]),
        ("sft", "data.train={folder}", ["data.train={folder} is no file"]),
        ("sft", "data.heldout=nowhere.jsonl", ["data.heldout=nowhere.jsonl is no file", "leave it empty"]),
        ("align", "data.train=nowhere.jsonl", ["data.train=nowhere.jsonl is no file"]),
    ],
)
def test_a_tuning_file_that_is_not_there_is_named_with_its_key(mai1, a_run, tmp_path, command, override, words):
    (tmp_path / "talk.jsonl").write_text('{"prompt": "x", "completion": "y"}\n')
    given = [f"checkpoint.init_from={a_run}", f"data.train={tmp_path / 'talk.jsonl'}", "data.heldout=''"]
    outcome = mai1(command, *given, f"run.directory={tmp_path / 'runs'}", override.format(folder=tmp_path))
    _assert_mistake(outcome, *(word.format(folder=tmp_path) for word in words))
    assert not (tmp_path / "runs").exists()


def test_tuning_without_a_model_is_refused(mai1, tmp_path):
    _assert_mistake(mai1("sft", f"run.directory={tmp_path}"), "checkpoint.init_from")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prompt=a", "messages=b"], ["exactly one"]),
        ([], ["exactly one"]),
        (["prompt=a", "sampling.top_p=0"], ["sampling.top_p=0", "above 0"]),
        (["prompt=a", "sampling.max_new_tokens=100000"], ["max_new_tokens=100000", "positions"]),
    ],
)
def test_wrong_generation_settings_are_refused(mai1, a_run, arguments, words):
    _assert_mistake(mai1("generate", f"checkpoint={a_run}", *arguments), *words)


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("generate", ["prompts={file}"]),
        ("generate", ["messages={file}"]),
        ("inspect", ["text_file={file}", "data="]),
        ("evaluate", ["tasks=[{file}]", "data="]),
        ("evaluate", ["questions={file}", "data="]),
    ],
)
def test_a_file_that_is_read_is_not_overwritten_with_the_result(mai1, a_run, tmp_path, command, given):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"prompt": "x", "completion": "y"}\n')
    outcome = mai1(command, f"checkpoint={a_run}", *(each.format(file=file) for each in given), f"output={file}")
    _assert_mistake(outcome, f"output={file} is a file that is read")
    assert file.read_text() == '{"prompt": "x", "completion": "y"}\n'


def test_a_checkpoint_gets_no_page_of_a_corpus(mai1, a_run):
    checkpoint = (a_run / "checkpoints" / "latest").resolve()
    before = sorted(checkpoint.iterdir())
    _assert_mistake(mai1("report", checkpoint), "is a checkpoint", "name its run")
    _assert_mistake(mai1("report", a_run, a_run), "give one directory")
    assert sorted(checkpoint.iterdir()) == before


def test_a_number_of_rows_below_none_is_refused(mai1, a_run):
    _assert_mistake(mai1("evaluate", f"checkpoint={a_run}", "rows=-1"), "rows=-1 must be at least 0")
    _assert_mistake(mai1("evaluate", f"checkpoint={a_run}", "data=nowhere"), "data=nowhere holds no prepared data")


def test_a_full_disk_is_reported_before_anything_is_written(corpus, tmp_path):
    run = [*TINY_RUN, f"data.path={corpus}", f"run.directory={tmp_path}", "train.steps=2"]
    full = "import shutil; u = shutil.disk_usage('/'); shutil.disk_usage = lambda _: u._replace(free=1000)"
    _assert_mistake(_in_own_process(run, before=full), "MiB", "disk", "run.directory")
    assert not list((tmp_path / "first" / "checkpoints").iterdir())


def test_a_disk_that_fills_during_a_save_loses_nothing(corpus, tmp_path):
    run = [*TINY_RUN, f"data.path={corpus}", f"run.directory={tmp_path}", "train.steps=4", "checkpoint.every_steps=2"]
    assert _in_own_process([*run, "train.stop_after_steps=2"]).code == 0
    small_files = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"
    _assert_mistake(_in_own_process(run, before=small_files), "safetensors", "free some space", "run the same command")
    assert [path.name for path in (tmp_path / "first" / "checkpoints").glob("step_*")] == ["step_00000002"]
    assert _in_own_process(run).code == 0


def test_a_corpus_without_held_out_text_can_be_trained_on(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "heldout")
    run = [*TINY_RUN, f"data.path={tmp_path / 'data'}", f"run.directory={tmp_path}", "train.steps=2"]
    assert _in_own_process(run).code == 0


def _in_own_process(run: list[str], *, before: str = "") -> Outcome:
    """`mai1 pretrain`, which can join a process group only once per process."""
    code = f"{before}\nimport sys\nfrom mai1.run.cli import main\nmain(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, "pretrain", *run], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
