"""What is kept: the last ones, every n-th, the best; never is the newest sound one deleted."""

import math
import shutil
from pathlib import Path

import pytest

from mai1.checkpoint.checkpoint import CheckpointConfig
from mai1.checkpoint.retention import Retention, prune, to_delete
from mai1.checkpoint.verify import checkpoints_in, newest_sound_checkpoint
from tests.support.checkpoints import ALONE, publish

LOSSES = {10: 3.0, 20: None, 30: 1.0, 40: 2.0, 50: 1.5, 60: math.nan}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for step, loss in LOSSES.items():
        publish(tmp_path, step, heldout_loss=loss)
    return tmp_path


def steps_in(folder: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step_")) for path in folder.glob("step_*"))


@pytest.mark.parametrize(
    ("retention", "left"),
    [
        (Retention(0), [10, 20, 30, 40, 50, 60]),
        (Retention(1), [60]),
        (Retention(2), [50, 60]),
        (Retention(9), [10, 20, 30, 40, 50, 60]),
        (Retention(1, keep_every=20), [20, 40, 60]),
        (Retention(1, keep_every=30), [30, 60]),
        (Retention(1, keep_best=1), [30, 60]),
        (Retention(1, keep_best=2), [30, 50, 60]),
        (Retention(2, keep_best=9), [10, 30, 40, 50, 60]),
        (Retention(1, keep_every=40, keep_best=1), [30, 40, 60]),
    ],
)
def test_the_last_every_nth_and_the_best_are_kept(folder, retention, left):
    assert not prune(folder, retention, newest=folder / "step_00000060")
    assert steps_in(folder) == left
    assert (folder / "latest").resolve().name == "step_00000060"


def test_after_going_back_damaged_later_ones_do_not_push_out_the_sound_ones(folder):
    """The run found 50 and 60 damaged, went on from 40 and has saved 45: that one, not 60, is the newest."""
    for step in (50, 60):
        (folder / f"step_{step:08d}" / "config.json").write_text("{}")
    newest = publish(folder, 45)
    assert not prune(folder, Retention(2), newest=newest)
    assert steps_in(folder) == [40, 45, 50, 60]
    assert newest_sound_checkpoint(folder, ALONE) == newest


def test_what_latest_names_stays(folder):
    (folder / "latest").unlink()
    (folder / "latest").symlink_to("step_00000020")
    prune(folder, Retention(1), newest=folder / "step_00000060")
    assert steps_in(folder) == [20, 60]


def test_a_checkpoint_whose_manifest_cannot_be_read_is_not_deleted_unasked(folder):
    (folder / "step_00000010" / "manifest.json").write_text("torn")
    prune(folder, Retention(1), newest=folder / "step_00000060")
    assert steps_in(folder) == [10, 60]


def test_a_failed_delete_is_said_and_the_others_go(folder, monkeypatch):
    whole = shutil.rmtree

    def stubborn(path: Path, **options) -> None:
        if "00000020" in path.name:
            raise PermissionError(13, "Permission denied", str(path))
        whole(path, **options)

    monkeypatch.setattr(shutil, "rmtree", stubborn)
    [failure] = prune(folder, Retention(1), newest=folder / "step_00000060")
    assert "step_00000020 could not be deleted" in failure and "Permission denied" in failure
    assert [path.name for path in checkpoints_in(folder)] == ["step_00000060"]


def test_nothing_is_deleted_by_asking(folder):
    assert [path.name for path in to_delete(folder, Retention(4), newest=folder / "step_00000060")] == [
        "step_00000020",
        "step_00000010",
    ]
    assert steps_in(folder) == list(LOSSES)


@pytest.mark.parametrize("key", ["keep", "keep_every", "keep_best"])
def test_a_negative_number_is_refused(key):
    with pytest.raises(ValueError, match=rf"checkpoint\.{key}=-1 must not be negative: use 0"):
        CheckpointConfig(**{key: -1})
