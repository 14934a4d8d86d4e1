"""The commit protocol's small promises: retention, disk space, leftovers."""

import shutil
from pathlib import Path

import pytest
import torch

from mai1.checkpoint import commit
from mai1.checkpoint.checkpoint import prune
from mai1.checkpoint.inference import load_model, resolve_checkpoint
from mai1.dist import World

ALONE = World(0, 1, 0, torch.device("cpu"))


def _publish(folder: Path, step: int) -> Path:
    directory = folder / f"step_{step:08d}"
    stage = commit.begin(directory, ALONE)
    commit.write_json(stage / "config.json", {"step": step})
    commit.commit(
        stage,
        directory,
        written=[stage / "config.json"],
        manifest={"format": "mai1-checkpoint", "version": 1},
        world=ALONE,
    )
    return directory


def test_a_published_checkpoint_is_sound_and_is_the_latest(tmp_path):
    first, second = _publish(tmp_path, 1), _publish(tmp_path, 2)
    assert not commit.verify(first, ALONE)
    assert commit.checkpoints_in(tmp_path) == [second, first]
    assert (tmp_path / "latest").resolve() == second


@pytest.mark.parametrize(("keep", "left"), [(0, 4), (1, 1), (2, 2), (9, 4)])
def test_pruning_keeps_the_newest(tmp_path, keep, left):
    published = [_publish(tmp_path, step) for step in range(1, 5)]
    prune(tmp_path, keep=keep)
    assert commit.checkpoints_in(tmp_path) == published[::-1][:left]
    assert (tmp_path / "latest").resolve() == published[-1]


def test_leftovers_of_a_killed_save_are_removed_by_the_next(tmp_path):
    leftover = tmp_path / (commit.STAGE_PREFIX + "step_00000001")
    leftover.mkdir()
    (leftover / "model-00001-of-00001.safetensors").write_bytes(b"half")
    _publish(tmp_path, 2)
    assert not leftover.exists()


def test_a_damaged_checkpoint_is_replaced_when_its_step_is_reached_again(tmp_path):
    _publish(tmp_path, 1)
    (_publish(tmp_path, 2) / "config.json").write_text("{}")
    assert commit.newest_sound_checkpoint(tmp_path, ALONE) == tmp_path / "step_00000001"
    _publish(tmp_path, 2)
    assert commit.newest_sound_checkpoint(tmp_path, ALONE) == tmp_path / "step_00000002"
    assert not list(tmp_path.glob(commit.STAGE_PREFIX + "*"))


def test_an_error_while_staging_publishes_nothing(tmp_path, monkeypatch):
    before = _publish(tmp_path, 1)
    monkeypatch.setattr(commit, "write_json", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        _publish(tmp_path, 2)
    assert commit.newest_sound_checkpoint(tmp_path, ALONE) == before


def test_a_run_whose_checkpoints_are_all_damaged_does_not_start_anew(tmp_path):
    assert commit.newest_sound_checkpoint(tmp_path, ALONE) is None
    for step in (1, 2):
        (_publish(tmp_path, step) / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="no sound checkpoint, 2 are damaged"):
        commit.newest_sound_checkpoint(tmp_path, ALONE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no checkpoint"),
        ("{", "is not JSON"),
        ('{"architectures": ["LlamaForCausalLM"]}', "is not one that mai1 trains"),
    ],
)
def test_a_foreign_directory_is_refused_by_name(tmp_path, content, message):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_model(resolve_checkpoint(tmp_path, key="checkpoint"))
    assert str(tmp_path) in str(caught.value)


def test_verification_names_a_missing_file_on_every_rank(tmp_path):
    directory = _publish(tmp_path, 1)
    (directory / "config.json").unlink()
    assert commit.verify(directory, ALONE) == ["config.json is missing"]
    shutil.rmtree(directory)
    assert "has no manifest.json" in commit.verify(directory, ALONE)[0]
