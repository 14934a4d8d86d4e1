"""`mai1 grow` from run to run: what it writes resumes, starts new runs, is shown, and is whole or not there."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mai1.checkpoint.checkpoint import read_state
from mai1.checkpoint.inference import load_model, resolve_checkpoint
from mai1.checkpoint.manifest import read_manifest
from tests.run.conftest import TINY_RUN
from tests.support.commands import Ended, run_command

TEXT = ["row_length=64", "measured_rows=8", "compared_rows=2"]


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory) -> Path:
    """A tiny run of six steps."""
    folder = tmp_path_factory.mktemp("runs")
    done = pretrain(corpus, folder / "first")
    assert done.code == 0, done.err
    return folder / "first"


def grow(mai1, run: Path, output: Path, *settings: str):
    return mai1("grow", f"checkpoint={run}", f"output={output}", *TEXT, *settings)


def pretrain(corpus: Path, run: Path, *settings: str) -> Ended:
    """In a process of its own, as process groups are made once."""
    where = [f"data.path={corpus}", f"run.directory={run.parent}", f"run.name={run.name}"]
    return run_command("pretrain", *TINY_RUN, *where, *settings)


def test_a_grown_run_goes_on_at_its_step_and_says_what_it_grew_from(mai1, corpus, run, tmp_path):
    done = grow(mai1, run, tmp_path / "fine", "method=split", "parts=2")
    assert done.code == 0 and "experts 4 top-2 -> 8 top-4" in done.out and "logits differ by" in done.out
    shape = next(line for line in done.out.splitlines() if "model.moe." in line).split("model.", 1)[1].split()
    shape = ["model." + shape[0], *shape[1:]]
    assert {"model.moe.num_experts=8", "model.moe.top_k=4", "model.moe.expert_width=16"} < set(shape)
    resumed = pretrain(corpus, tmp_path / "fine", *shape, "train.steps=9")
    assert resumed.code == 0 and "going on from step 6 of 9" in resumed.err, resumed.err
    assert mai1("checkpoint", "verify", tmp_path / "fine").code == 0
    shown = mai1("checkpoint", "show", tmp_path / "fine").out
    assert "step          9" in shown and "growth 1" in shown and "method split" in shown
    assert mai1("checkpoint", "prove", tmp_path / "fine").code == 0


def test_new_experts_alone_learn_a_new_domain_and_the_rest_stays(mai1, corpus, run, texts, tmp_path):
    old, new = (sorted(texts.iterdir())[i] for i in (0, 5))
    apart = ["rows=apart", f"text=[{old}]", f"new_text=[{new}]", "experts=2"]
    assert grow(mai1, run, tmp_path / "grown", "method=add", *apart).code == 0
    assert read_manifest(tmp_path / "grown/checkpoints/latest")["lineage"][0]["new_experts"] == [4, 5]
    settings = ["model.moe.num_experts=6", f"checkpoint.init_from={tmp_path / 'grown'}", "balance.method=none"]
    settings += ["trainable.part=experts_and_rows"]
    tuned = pretrain(corpus, tmp_path / "tuned", *settings)
    assert tuned.code == 0, tuned.err
    before, after = (load_model(resolve_checkpoint(tmp_path / n, key="x")).state_dict() for n in ("grown", "tuned"))
    for name, weight in before.items():
        rows = (weight != after[name]).reshape(len(weight), -1).any(1).nonzero().flatten().tolist()
        is_expert = ".experts." in name or "router.weight" in name
        assert set(rows) <= ({4, 5} if is_expert else set()), name
    assert mai1("checkpoint", "show", tmp_path / "tuned").out.count("method add") == 1


def test_a_grown_model_of_a_plain_directory_has_weights_alone_and_starts_runs(mai1, run, tmp_path):
    source = tmp_path / "plain"
    source.mkdir()
    for path in (run / "checkpoints/latest").iterdir():
        if path.is_file() and path.name != "manifest.json":
            (source / path.name).write_bytes(path.read_bytes())
    assert grow(mai1, source, tmp_path / "out", "method=clone", "copies=2").code == 0
    assert not (tmp_path / "out/trainer").exists()
    assert "growth 1" in mai1("checkpoint", "show", tmp_path / "out").out
    with pytest.raises(ValueError, match=r"holds weights alone.*checkpoint\.init_from="):
        read_state(tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["method=split", "parts=3"], "parts=3 must divide model.moe.expert_width=32"),
        (["method=split", "parts=1"], "parts=1 must be at least 2"),
        (["method=clone", "copies=1"], "copies=1 must be at least 2"),
        (["method=prune", "experts=1"], "experts=1 must be from top_k=2 to 3"),
        (["method=add", "experts=1", "sources=[9]"], "sources: 9 is none of the 4 experts"),
        (["method=add", "rows=apart"], "rows=apart tells two domains apart"),
        (["method=upcycle"], "must be those of the layers that are mixtures already"),
        (["method=upcycle", "experts=4", "expert_width=32", "shared_experts=1", "dense_layers=1"], "has nothing to do"),
        (["method=upcycle", "dense_layers=2"], "dense_layers=2 must not exceed the 1 dense layers there are"),
        (["method=melt"], "melt"),
        (["redrawn=2"], "redrawn=2.0 must be from 0 to 1"),
        (["noise=-1"], "noise=-1.0 must not be negative"),
        (["method=split", "text=[nowhere.txt]"], "input=nowhere.txt must be a file"),
        (["method=split", "text=[SHORT]"], "fewer than row_length=64"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_grown_is_refused_in_one_line_and_nothing_is_left(mai1, run, tmp_path, settings, message):
    (tmp_path / "short.txt").write_text("too short")
    settings = [setting.replace("SHORT", str(tmp_path / "short.txt")) for setting in settings]
    done = grow(mai1, run, tmp_path / "out", *settings)
    assert done.code == 2 and message in done.err and len(done.err.strip().splitlines()) == 1, done.err
    assert not (tmp_path / "out").exists()


def test_an_output_that_exists_and_a_damaged_source_are_refused(mai1, run, tmp_path):
    assert "exists: choose another directory" in grow(mai1, run, run, "method=split").err
    shutil.copytree(run, tmp_path / "damaged", symlinks=True)
    file = next((tmp_path / "damaged/checkpoints/latest").glob("model-*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    done = grow(mai1, tmp_path / "damaged", tmp_path / "out", "method=split")
    assert done.code == 2 and "is damaged" in done.err


HOSTILE = [
    {"architectures": ["LlamaForCausalLM"]},
    {"architectures": [["LlamaForCausalLM"]]},
    {"architectures": {"LlamaForCausalLM": 1}},
    {"architectures": ["Qwen2ForCausalLM"], "hidden_size": 64},
    {"architectures": ["LlamaForCausalLM"], "intermediate_size": "96", "hidden_size": 64},
    {"architectures": ["LlamaForCausalLM"], "intermediate_size": 96, "layer_types": 3},
    {"architectures": ["LlamaForCausalLM"], "intermediate_size": 96, "layer_types": ["sliding_attention"]},
    {"architectures": ["LlamaForCausalLM"], "intermediate_size": 96, "mlp_bias": True},
    {"architectures": ["MistralForCausalLM"], "intermediate_size": 96, "sliding_window": 4096},
    {"architectures": ["LlamaForCausalLM"], "intermediate_size": 96, "rope_scaling": {"rope_type": "llama3"}},
    {"architectures": ["LlamaForCausalLM"], "intermediate_size": 2**41},
    [],
]


@pytest.mark.parametrize("content", HOSTILE, ids=[str(i) for i in range(len(HOSTILE))])
def test_dense_sources_that_cannot_be_expressed_are_refused(mai1, tmp_path, content):
    (tmp_path / "dense").mkdir()
    (tmp_path / "dense/config.json").write_text(json.dumps(content))
    done = grow(mai1, tmp_path / "dense", tmp_path / "out", "method=upcycle")
    assert done.code == 2 and len(done.err.strip().splitlines()) == 1, done.err
    assert not (tmp_path / "out").exists()


KILLED = """
import os, signal, sys
from mai1.checkpoint import commit
from mai1.growth import write
from mai1.run import cli, growth
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
points = {"publish": (commit, "publish"), "pieces": (write, "_write_pieces"), "rename": (growth.os, "rename")}
setattr(*points[sys.argv[1]], die)
cli.main(sys.argv[2:])
"""


@pytest.mark.parametrize("point", ["pieces", "publish", "rename"])
def test_a_kill_on_the_way_leaves_no_result_and_no_obstacle(mai1, run, tmp_path, point):
    arguments = ["grow", f"checkpoint={run}", f"output={tmp_path / 'out'}", "method=split", "compared_rows=0"]
    killed = subprocess.run([sys.executable, "-c", KILLED, point, *arguments], env=os.environ, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert mai1("checkpoint", "show", tmp_path / "out").code == 2
    assert mai1(*arguments).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
