"""The commands together, as a person runs them: prepare, pretrain, resume, tune, ask, evaluate, prove, report."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mai1.train.stop import StopRequest
from tests.run.conftest import TINY_RUN
from tests.support.commands import command_on_ranks, run_command

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def trained(corpus, tmp_path_factory) -> Path:
    """A run stopped halfway and resumed by the same command."""
    runs = tmp_path_factory.mktemp("runs")
    run = [*TINY_RUN, f"data.path={corpus}", f"run.directory={runs}", "run.name=first"]
    stopped = run_command("pretrain", *run, "train.stop_after_steps=4")
    assert stopped.code == 0, stopped.err
    assert "saved at step 4; to go on, run the same command again" in stopped.err
    resumed = run_command("pretrain", *run)
    assert resumed.code == 0, resumed.err
    assert "going on from step 4 of 6" in resumed.err
    return runs / "first"


@pytest.fixture(scope="session")
def tuned(corpus, trained) -> Path:
    done = run_command(
        "sft",
        f"checkpoint.init_from={trained}",
        f"data.train={corpus}/instruct/train.jsonl",
        f"data.heldout={corpus}/instruct/heldout.jsonl",
        f"run.directory={trained.parent}",
        "run.name=tuned",
        "data.sequence_length=256",
        "batch.sequences_per_step=4",
        "batch.sequences_per_microbatch=2",
        "train.steps=3",
        "train.log_every=1",
        "sampling.max_new_tokens=4",
        "samples.questions=3",
        "wandb.mode=offline",
        WANDB_SILENT="true",
        WANDB_API_KEY="0123456789abcdef0123456789abcdef01234567",
    )
    assert done.code == 0, done.err
    return trained.parent / "tuned"


def _records(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_writes_every_figure_once(trained):
    train = [record for record in _records(trained) if record["kind"] == "train"]
    assert [record["step"] for record in train] == [2, 4, 6]
    assert [record["tokens"] for record in train] == [512, 1024, 1536]
    heldout = [(r["step"], r["tokens"]) for r in _records(trained) if r["kind"] == "heldout"]
    assert heldout == [(0, 0), (3, 768), (6, 1536)]
    for record in train:
        assert record["loss"] > 0 and record["grad_norm"] > 0 and 0 < record["mfu"] < 1.5 and record["tokens_per_s"] > 0
        for layer in record["layers"].values():
            assert abs(sum(layer["load"]) - 1) < 1e-9 and len(layer["load"]) == 4
            assert list(layer["sources"]) == ["topics"] and layer["router_drift"] > 0
        assert record["alarms"] == []


def test_an_interrupted_run_ends_bitwise_like_an_uninterrupted_one(corpus, trained, tmp_path):
    straight = run_command(
        "pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={tmp_path}", "run.name=straight"
    )
    assert straight.code == 0, straight.err
    name = "checkpoints/latest/model-00001-of-00001.safetensors"
    assert (tmp_path / "straight" / name).read_bytes() == (trained / name).read_bytes()


def test_two_ranks_through_the_cluster_entry_learn_the_same(corpus, trained, tmp_path):
    two = command_on_ranks(
        2,
        "pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={tmp_path}", "run.name=two",
        "engine.expert_parallel=2",
    )  # fmt: skip
    assert two.returncode == 0, two.stderr
    for one_rank, two_ranks in zip(_records(trained), _records(tmp_path / "two"), strict=True):
        assert abs(one_rank["loss"] - two_ranks["loss"]) < 1e-5


@pytest.mark.parametrize("stage", ["trained", "tuned"])
def test_every_checkpoint_is_a_stock_transformers_model(stage, request, mai1):
    run = request.getfixturevalue(stage)
    proof = mai1("checkpoint", "prove", run)
    assert proof.code == 0, proof.err
    parity = json.loads((run / "parity.json").read_text())
    assert parity["architecture"] == "Glm4MoeForCausalLM"
    assert parity["max_logit_difference"] < 1e-4 and parity["routing_agreement"] == 1.0


def test_tuning_lowers_the_loss_of_held_out_answers(tuned):
    heldout = [record["loss"] for record in _records(tuned) if record["kind"] == "heldout"]
    assert heldout[-1] < heldout[0]
    answers = json.loads((tuned / "answers.json").read_text())
    assert answers["after"]["answer_loss"] < answers["before"]["answer_loss"]


def test_wandb_keeps_the_metrics_offline_and_no_key(tuned):
    files = [path for path in (tuned / "wandb").rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    for path in [*files, tuned / "config.yaml", tuned / "environment.json", tuned / "report.html"]:
        assert b"0123456789abcdef0123456789abcdef01234567" not in path.read_bytes(), path


def test_generation_is_seeded(tuned, mai1):
    ask = (
        "generate",
        f"checkpoint={tuned}",
        "chat=true",
        "prompt=What's `len` (or else), a=b?",
        "sampling.max_new_tokens=8",
    )
    first, second = mai1(*ask), mai1(*ask)
    assert first.code == 0, first.err
    assert first.out == second.out
    assert mai1(*ask, "sampling.seed=1").out != first.out


def test_messages_from_a_file_are_answered_one_by_one(tuned, tmp_path, mai1):
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"messages": [{"role": "user", "content": "Hello"}]}\n' * 2)
    answered = mai1("generate", f"checkpoint={tuned}", f"messages={questions}", "sampling.max_new_tokens=1")
    assert answered.code == 0, answered.err
    assert len(answered.out.splitlines()) == 2


def test_evaluation_gives_the_loss_of_every_source_and_of_answers(corpus, tuned, tmp_path, mai1):
    output = tmp_path / "figures.json"
    done = mai1(
        "evaluate", f"checkpoint={tuned}", f"data={corpus}", "sequence_length=64", "rows=2", f"output={output}",
        f"questions={corpus}/instruct/heldout.jsonl", "max_questions=2", "sampling.max_new_tokens=2",
    )  # fmt: skip
    assert done.code == 0, done.err
    figures = json.loads(output.read_text())
    assert figures["heldout"]["topics"]["bits_per_byte"] > 0 and figures["answers"]["questions"] == 2
    assert f"{figures['heldout']['all']['loss']:.4f}" in done.out


def test_evaluation_takes_the_data_of_the_run_unless_told_otherwise(trained, tmp_path, mai1):
    assert "topics" in mai1("evaluate", f"checkpoint={trained}", "sequence_length=64", "rows=1").out
    nothing = mai1("evaluate", f"checkpoint={trained}", "data=''")
    assert nothing.code == 2 and "nothing to evaluate on" in nothing.err


def test_the_report_shows_the_run(trained, mai1):
    done = mai1("report", trained)
    assert done.code == 0 and "held-out" in done.out
    page = (trained / "report.html").read_text()
    assert "<svg" in page and "Glm4MoeForCausalLM" in page


def test_a_finished_run_is_left_as_it_is(corpus, trained):
    before = (trained / "metrics.jsonl").read_bytes()
    again = run_command(
        "pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={trained.parent}", "run.name=first"
    )
    assert again.code == 0, again.err
    assert (trained / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    "command", ["prepare", "pretrain", "sft", "generate", "evaluate", "score", "checkpoint", "report"]
)
def test_help_teaches_every_command(command, mai1):
    shown = mai1(command, "--help")
    assert shown.code == 0 and "mai1 " in shown.out


def test_general_help_comes_at_once():
    """Without torch or Hydra: what costs the time is not imported."""
    code = "import sys\ntry:\n from mai1.run.cli import main; main(['--help'])\nexcept SystemExit: pass\n"
    code += "assert not {'torch', 'hydra', 'numpy'} & set(sys.modules), 'heavy imports'"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"pretrain" in done.stdout


def test_signals_ask_for_a_checkpoint_and_a_second_ctrl_c_ends_at_once(capfd):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        stop = StopRequest()
        assert not stop
        signal.raise_signal(signal.SIGUSR1)
        assert stop and stop.reason == "SIGUSR1"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(run: list) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "mai1", *map(str, run)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for_step(process: subprocess.Popen, run_directory: Path, step: int) -> None:
    for _ in range(1200):
        if any(path.name >= f"step_{step:08d}" for path in (run_directory / "checkpoints").glob("step_*")):
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    raise AssertionError(f"no checkpoint of step {step} in a minute")


def test_a_signal_stops_a_run_with_a_checkpoint_that_resumes(corpus, tmp_path):
    run = ["pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={tmp_path}", "run.name=stopped"]
    process = _start([*run, "train.steps=100000"])
    try:
        _wait_for_step(process, tmp_path / "stopped", 3)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "to go on, run the same command again" in err
    assert (tmp_path / "stopped" / "checkpoints" / "latest" / "manifest.json").is_file()


def test_a_killed_run_ends_bitwise_like_one_that_was_left_alone(corpus, tmp_path):
    run = ["pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={tmp_path}", "train.steps=60"]
    killed = _start([*run, "run.name=killed"])
    _wait_for_step(killed, tmp_path / "killed", 9)
    killed.kill()
    killed.communicate()
    for name in ("killed", "alone"):
        done = run_command(*run, f"run.name={name}")
        assert done.code == 0, done.err
    for file in ("model-00001-of-00001.safetensors", "trainer/optimizer-00001-of-00001.safetensors"):
        ours, theirs = (tmp_path / name / "checkpoints" / "latest" / file for name in ("killed", "alone"))
        assert ours.read_bytes() == theirs.read_bytes(), file
    steps = [record["step"] for record in _records(tmp_path / "killed") if record["kind"] == "train"]
    assert steps == sorted(set(steps)) and steps[-1] == 60
