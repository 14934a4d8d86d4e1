"""`mai1 export` from a run to a directory: every key has its effect, and a failure leaves what was there."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from mai1.checkpoint import commit
from mai1.checkpoint.manifest import read_manifest
from mai1.checkpoint.verify import problems_in
from tests.run.conftest import TINY_RUN
from tests.support.commands import run_command

pytest.importorskip("gguf")


@pytest.fixture(scope="session")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tuned run on a pretrained one."""
    folder = tmp_path_factory.mktemp("runs")
    for command in (
        ["pretrain", *TINY_RUN, f"data.path={corpus}", "run.name=first", "train.steps=3"],
        ["sft", f"checkpoint.init_from={folder / 'first'}", f"data.train={corpus / 'instruct/train.jsonl'}",
         f"data.heldout={corpus / 'instruct/heldout.jsonl'}", "run.name=tuned", "train.steps=2", "samples.questions=2",
         "samples.count=1", "data.sequence_length=64", "sampling.max_new_tokens=4", "train.heldout_rows=2",
         "batch.sequences_per_step=2", "batch.sequences_per_microbatch=2"],
    ):  # fmt: skip
        done = run_command(*command, f"run.directory={folder}")
        assert done.code == 0, done.err
    return folder / "tuned"


def test_a_release_of_a_tuned_run_holds_all_it_should(mai1, run: Path, tmp_path: Path):
    output = tmp_path / "out" / "spruce"
    done = mai1(
        "export", f"checkpoint={run}", f"output={output}", "formats=[huggingface,gguf]", "gguf_types=[q8_0,f32]",
        "license=apache-2.0", "base_model=org/base", "dtype=bf16", "max_shard_size=30KB", "sampling.top_p=0.5",
    )  # fmt: skip
    assert done.code == 0 and "files" in done.out, done.err
    names = {path.name for path in output.iterdir()}
    assert {"README.md", "loss.svg", "proof.json", "config.json", "spruce-Q8_0.gguf", "spruce-F32.gguf"} <= names
    assert "trainer" not in names and not list(output.parent.glob(".staging-*"))
    manifest = read_manifest(output)
    assert manifest["files"].keys() == names - {"manifest.json"} and not problems_in(output, manifest)
    assert manifest["step"] == 2 and manifest["exported_from"] == {"step": 2}
    assert len(list(output.glob("model-*.safetensors"))) > 2
    assert json.loads((output / "generation_config.json").read_text())["top_p"] == 0.5
    card = (output / "README.md").read_text()
    assert "in the run tuned, started from first" in card and "apply_chat_template" in card and "org/base" in card
    assert str(run.parent) not in card and str(tmp_path) not in card
    proof = json.loads((output / "proof.json").read_text())
    assert proof["max_logit_difference"] < 1e-4 and proof["gguf"]["spruce-F32.gguf"]["max_difference"] == 0
    assert proof["as_released"]["dtype"] == "bfloat16"
    assert "bit for bit" in card and "logits differ by at most" in card
    for command in ("verify", "show"):
        assert mai1("checkpoint", command, output).code == 0


def test_defaults_are_bf16_weights_with_a_proof_and_no_gguf(mai1, run: Path, tmp_path: Path):
    assert mai1("export", f"checkpoint={run}", f"output={tmp_path / 'r'}").code == 0
    assert not list((tmp_path / "r").glob("*.gguf")) and (tmp_path / "r" / "proof.json").is_file()
    [file] = (tmp_path / "r").glob("model-*.safetensors")
    assert str(load_file(file)["model.norm.weight"].dtype) == "torch.bfloat16"


def test_a_text_of_ones_own_is_what_is_proven_on(mai1, run: Path, tmp_path: Path):
    (tmp_path / "text.txt").write_text("A lambda expression yields a function object. " * 20)
    done = mai1(
        "export", f"checkpoint={run}", f"output={tmp_path / 'r'}", f"text={tmp_path / 'text.txt'}", "dtype=fp32"
    )
    proof = json.loads((tmp_path / "r" / "proof.json").read_text())
    assert done.code == 0 and 100 < proof["tokens"] < 700 and proof["as_released"]["max_logit_difference"] < 1e-4


def test_without_proof_there_is_none(mai1, run: Path, tmp_path: Path):
    assert mai1("export", f"checkpoint={run}", f"output={tmp_path / 'r'}", "prove=false").code == 0
    assert not (tmp_path / "r" / "proof.json").exists()
    assert "not compared with transformers" in (tmp_path / "r" / "README.md").read_text()


def test_gguf_alone_has_no_safetensors(mai1, run: Path, tmp_path: Path):
    assert mai1("export", f"checkpoint={run}", f"output={tmp_path / 'r'}", "formats=[gguf]").code == 0
    names = {path.name for path in (tmp_path / "r").iterdir()}
    assert names == {"r-F16.gguf", "README.md", "loss.svg", "proof.json", "manifest.json"}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("output=", "output= is missing"),
        ("formats=[]", "formats=[] must not be empty: use formats=[huggingface]"),
        ("gguf_types=[]", "gguf_types=[] must not be empty: use gguf_types=[f16]"),
        ("dtype=fp8", "dtype=fp8"),
        ("max_shard_size=large", "max_shard_size=large must be a size"),
        ("license='my own'", "license='my own' must be a name of the Hub"),
        ("text=/nowhere/text.txt", "text=/nowhere/text.txt cannot be read"),
        ("checkpoint=/nowhere", "checkpoint=/nowhere holds no checkpoint"),
        ("further_layers=some", "further_layers=some"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(mai1, run: Path, tmp_path: Path, override: str, words: str):
    done = mai1("export", f"checkpoint={run}", f"output={tmp_path / 'r'}", override)
    assert done.code == 2 and words in done.err and not list(tmp_path.iterdir())


def test_a_release_is_overwritten_on_request_alone(mai1, run: Path, tmp_path: Path):
    command = ("export", f"checkpoint={run}", f"output={tmp_path / 'r'}", "prove=false")
    assert mai1(*command).code == 0
    first = (tmp_path / "r" / "manifest.json").read_text()
    done = mai1(*command)
    assert done.code == 2 and "set overwrite=true" in done.err
    assert (tmp_path / "r" / "manifest.json").read_text() == first
    assert mai1(*command, "overwrite=true", "dtype=fp32").code == 0
    assert read_manifest(tmp_path / "r")["dtype"] == "float32" and {p.name for p in tmp_path.iterdir()} == {"r"}


def test_a_release_that_disagrees_with_transformers_is_not_written(mai1, run: Path, tmp_path: Path, monkeypatch):
    from mai1.export import parity

    monkeypatch.setattr(parity, "MAX_LOGIT_DIFFERENCE", -1.0)
    done = mai1("export", f"checkpoint={run}", f"output={tmp_path / 'r'}")
    assert done.code == 2 and "logits differ from transformers'" in done.err and not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_leaves_the_old_release(mai1, run: Path, tmp_path: Path, monkeypatch):
    command = ("export", f"checkpoint={run}", f"output={tmp_path / 'r'}", "prove=false", "formats=[huggingface,gguf]")
    assert mai1(*command).code == 0
    written, write = 0, os.write

    def failing(descriptor: int, data: memoryview) -> int:
        nonlocal written
        written += len(data)
        if written > 60_000:
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr("mai1.checkpoint.tensor_file.os.write", failing)
    done = mai1(*command, "overwrite=true")
    assert done.code == 2 and "free some space" in done.err
    monkeypatch.undo()
    assert {path.name for path in tmp_path.iterdir()} == {"r"}
    assert not problems_in(tmp_path / "r", read_manifest(tmp_path / "r"))


KILLED = """
import os, signal, sys
from mai1.checkpoint import tensor_file
written, write = 0, os.write
def killing(descriptor, data):
    global written
    written += len(data)
    if written > 60_000:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(descriptor, data)
os.write = killing
from mai1.run.cli import main
main(sys.argv[1:])
"""


def test_a_kill_leaves_the_old_release_and_the_next_one_clears_up(mai1, run: Path, tmp_path: Path):
    command = ["export", f"checkpoint={run}", f"output={tmp_path / 'r'}", "prove=false"]
    assert mai1(*command).code == 0
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *command, "overwrite=true"],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": "."},
        capture_output=True,
        timeout=100,
    )
    assert killed.returncode == -signal.SIGKILL
    assert {path.name for path in tmp_path.iterdir()} == {"r", ".staging-r", ".r.lock"}
    assert not problems_in(tmp_path / "r", read_manifest(tmp_path / "r"))
    shutil.rmtree(tmp_path / "r")
    assert mai1(*command).code == 0 and {path.name for path in tmp_path.iterdir()} == {"r"}


def die_before_the_old_one_is_deleted() -> None:
    """Kill this process as soon as the stage has changed places with what it replaces."""
    whole = commit.exchange

    def exchange(one: Path, other: Path) -> bool:
        if whole(one, other):
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    commit.exchange = exchange


def test_a_kill_in_the_exchange_leaves_the_new_release_whole_and_the_next_one_clears_up(
    mai1, run: Path, tmp_path: Path
):
    command = ["export", f"checkpoint={run}", f"output={tmp_path / 'r'}", "prove=false"]
    assert mai1(*command).code == 0
    killed = run_command(*command, "overwrite=true", "dtype=fp32", before=die_before_the_old_one_is_deleted)
    if killed.code == 0:
        pytest.skip("this file system exchanges no names")
    assert killed.code == -signal.SIGKILL
    assert {path.name for path in tmp_path.iterdir()} == {"r", ".staging-r", ".r.lock"}
    assert not problems_in(tmp_path / "r", read_manifest(tmp_path / "r"))
    assert read_manifest(tmp_path / "r")["dtype"] == "float32"
    assert mai1(*command, "overwrite=true").code == 0 and {path.name for path in tmp_path.iterdir()} == {"r"}


@pytest.fixture
def foreign(mai1, run: Path, tmp_path: Path) -> Path:
    """The release of a run without mai1's own tokenizer files, as somebody else's model comes."""
    assert mai1("export", f"checkpoint={run}", f"output={tmp_path / 'foreign'}", "prove=false", "dtype=fp32").code == 0
    for name in ("vocabulary.json", "tokenizer.model", "manifest.json"):
        (tmp_path / "foreign" / name).unlink()
    return tmp_path / "foreign"


def test_somebody_elses_model_is_proven_but_its_template_is_rendered_by_nobody(mai1, foreign: Path, tmp_path: Path):
    (foreign / "chat_template.jinja").write_text("{% for i in range(10**12) %}{% endfor %}")
    done = mai1("export", f"checkpoint={foreign}", f"output={tmp_path / 'r'}")
    assert done.code == 0, done.err
    proof = json.loads((tmp_path / "r" / "proof.json").read_text())
    assert proof["ids_identical"] and "chat_identical" not in proof and proof["max_logit_difference"] < 1e-4
    assert "It was not recorded how it was trained" in (tmp_path / "r" / "README.md").read_text()
    done = mai1("export", f"checkpoint={foreign}", f"output={tmp_path / 'g'}", "formats=[gguf]")
    assert done.code == 2 and "formats=gguf has no form for a tokenizer of ForeignModel" in done.err


def test_files_that_name_code_are_never_released(mai1, foreign: Path, tmp_path: Path):
    path = foreign / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": {"AutoTokenizer": "evil.Evil"}}))
    done = mai1("export", f"checkpoint={foreign}", f"output={tmp_path / 'r'}", "prove=false")
    assert done.code == 2 and "auto_map names code" in done.err and {p.name for p in tmp_path.iterdir()} == {"foreign"}
