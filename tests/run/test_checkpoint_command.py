"""`mai1 checkpoint` as a person uses it."""

import json
from pathlib import Path

import pytest

from mai1.checkpoint.saver import save_checkpoint
from mai1.checkpoint.verify import checkpoints_in
from tests.support.checkpoints import publish
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train


def _save_three(world, folder: str) -> None:
    trainer = tiny_trainer(world, Path(folder), expert_parallel=2)
    trainer.state.run = {"batch": {"sequences_per_step": 8}, "engine": {"zero_stage": 2}}
    for loss in (5.5, 4.5, None):
        figures = train(trainer, 1)
        trainer.state.heldout_loss = loss
        save_checkpoint(Path(folder) / "checkpoints", trainer.engine, trainer.state, files=trainer.files)
    assert figures


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with three checkpoints, the second of which has the best loss."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "checkpoints").mkdir()
    run_ranks(_save_three, 2, str(folder))
    return folder


def test_show_says_what_a_checkpoint_is(run, mai1):
    shown = mai1("checkpoint", "show", run)
    assert shown.code == 0, shown.err
    for text in (
        "Glm4MoeForCausalLM",
        "3 after ",
        "world size 2, expert parallel 2",
        "zero stage 2",
        "adamw, 3 updates",
        "next sample 24",
        "not measured at this step",
        "experts 98,304",
    ):
        assert text in shown.out, text
    assert "held-out loss 4.5000" in mai1("checkpoint", "show", run / "checkpoints" / "step_00000002").out


def test_show_gives_the_same_as_json(run, mai1):
    found = json.loads(mai1("checkpoint", "show", run / "checkpoints" / "step_00000002", "json=true").out)
    assert (found["step"], found["heldout_loss"]) == (2, 4.5)
    assert found["topology"]["expert_parallel"] == 2 and found["data"]["next_sample"] == 16
    files = [path for path in (run / "checkpoints" / "step_00000002").rglob("*") if path.name != "manifest.json"]
    assert found["bytes"]["all"] == sum(path.stat().st_size for path in files if path.is_file())
    assert sum(found["parameters"]["by group"].values()) >= found["parameters"]["total"]


def test_verify_names_what_is_damaged_and_ends_with_code_2(run, mai1):
    assert "is sound" in mai1("checkpoint", "verify", run).out
    path = run / "checkpoints" / "latest" / "trainer" / "state.json"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole.replace(b"1", b"2"))
        verified = mai1("checkpoint", "verify", run)
        assert verified.code == 2 and "trainer/state.json has another SHA-256" in verified.err
    finally:
        path.write_bytes(whole)


def test_average_makes_a_model_of_the_last_or_of_those_named(run, tmp_path, mai1):
    averaged = mai1("checkpoint", "average", run, "last=2", f"output={tmp_path}/mean")
    assert averaged.code == 0 and "mean of step_00000002, step_00000003" in averaged.out
    named = [run / "checkpoints" / f"step_0000000{step}" for step in (1, 3)]
    assert mai1("checkpoint", "average", *named, f"output={tmp_path}/other").code == 0
    shown = mai1("checkpoint", "show", tmp_path / "other").out
    assert "step_00000001, " in shown and "step_00000003" in shown
    assert mai1("checkpoint", "verify", tmp_path / "mean").code == 0


def test_prune_says_what_would_go_and_deletes_only_when_told(tmp_path, mai1):
    for step, loss in ((1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)):
        publish(tmp_path / "checkpoints", step, heldout_loss=loss)
    asked = mai1("checkpoint", "prune", tmp_path, "keep=1", "keep_best=1")
    assert asked.code == 0 and "2 of 4 checkpoints" in asked.out and "add delete=true" in asked.out
    assert len(checkpoints_in(tmp_path / "checkpoints")) == 4
    done = mai1("checkpoint", "prune", tmp_path, "keep=1", "keep_best=1", "delete=true")
    assert done.code == 0 and "bytes, deleted" in done.out
    assert [path.name for path in checkpoints_in(tmp_path / "checkpoints")] == ["step_00000004", "step_00000001"]


def test_prune_keeps_the_newest_that_is_sound(tmp_path, mai1):
    for step in (1, 2, 3):
        publish(tmp_path / "checkpoints", step)
    (tmp_path / "checkpoints" / "step_00000003" / "config.json").write_text("torn")
    mai1("checkpoint", "prune", tmp_path, "keep=1", "delete=true")
    assert [path.name for path in checkpoints_in(tmp_path / "checkpoints")] == ["step_00000003", "step_00000002"]
    for step in (2, 3):
        (tmp_path / "checkpoints" / f"step_0000000{step}" / "config.json").write_text("torn")
    refused = mai1("checkpoint", "prune", tmp_path, "keep=1", "delete=true")
    assert refused.code == 2 and "has no sound checkpoint: nothing is deleted" in refused.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verfy", "x"], "give an action (show, verify, average, prune, prove)"),
        (["verify"], "give a directory"),
        (["verify", "a", "b"], "give one directory"),
        (["verify", "nowhere"], "DIR=nowhere holds no checkpoint"),
        (["show", "nowhere", "keep=1"], "keep is no option: use json"),
        (["average", "nowhere"], "output= is missing"),
        (["average", "nowhere", "output=x"], "DIR=nowhere holds no checkpoints"),
        (["prune", "."], "holds no checkpoints"),
    ],
)
def test_mistakes_are_said_in_one_line(mai1, monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    outcome = mai1("checkpoint", *arguments)
    assert outcome.code == 2 and message in outcome.err and outcome.err.count("\n") == 1


def test_prune_asks_for_a_number(run, mai1):
    for arguments in ([], ["keep=-1"], ["keep=some"]):
        outcome = mai1("checkpoint", "prune", run, *arguments)
        assert outcome.code == 2 and "use keep=3, for example" in outcome.err
