"""SIGKILL at every named point of a save, on one rank of two and on both: a sound checkpoint is left, and all agree on it."""

import os
import signal
from pathlib import Path

import pytest

from mai1.checkpoint import commit, saver, tensor_file
from mai1.checkpoint.checkpoint import load_checkpoint
from mai1.checkpoint.verify import newest_sound_checkpoint
from tests.checkpoint.test_asynchronous import saver_of
from tests.support.checkpoints import ALONE
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train

DEATH = r"died with \[-9|closed by peer|reset by peer"
"""How the death of a rank shows, whoever notices first."""
POINTS = {  # what is called there -> the module it is looked up in
    "before a file": (saver, "write_tensors"),
    "in a file": (tensor_file.os, "fsync"),
    "before the report": (commit, "report"),
    "before the manifest": (commit, "publish"),
    "before the rename": (commit.os, "rename"),
    "before latest": (commit, "point_latest"),
    "before old ones are deleted": (saver, "prune"),
}


def _save_until_killed(world, folder: str, point: str, ranks: list[int]) -> None:
    trainer = tiny_trainer(world, Path(folder), expert_parallel=2)
    writer = saver_of(trainer, Path(folder), keep=1)
    train(trainer, 1)
    writer.save(trainer.state)
    writer.wait()
    train(trainer, 1)
    if world.rank in ranks:
        setattr(*POINTS[point], lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    writer.save(trainer.state)
    writer.wait()


def _resume(world, folder: str) -> int:
    """Each rank finds the checkpoint by itself; then a save works again."""
    trainer = tiny_trainer(world, Path(folder), expert_parallel=2)
    trainer.state = load_checkpoint(newest_sound_checkpoint(Path(folder), world), trainer.engine)
    step = trainer.state.step
    train(trainer, 1)
    writer = saver_of(trainer, Path(folder), keep=1)
    writer.save(trainer.state)
    writer.wait()
    return step


@pytest.mark.parametrize(
    ("point", "ranks", "survivor"),
    [
        ("before a file", [0], 1),
        ("in a file", [1], 1),
        ("in a file", [0, 1], 1),
        ("before the report", [1], 1),
        ("before the report", [0, 1], 1),
        ("before the manifest", [0], 1),
        ("before the rename", [0], 1),
        ("before latest", [0], 2),  # complete by then: only the convenience link is behind
        ("before old ones are deleted", [0], 2),
    ],
)
def test_a_kill_at_any_point_of_a_save_leaves_a_sound_checkpoint(tmp_path, point, ranks, survivor):
    with pytest.raises(AssertionError, match=DEATH):
        run_ranks(_save_until_killed, 2, str(tmp_path), point, ranks)
    assert newest_sound_checkpoint(tmp_path, ALONE) == tmp_path / f"step_{survivor:08d}"
    linked = 2 if point == "before old ones are deleted" else 1
    assert (tmp_path / "latest").resolve() == tmp_path / f"step_{linked:08d}"


def test_both_ranks_go_on_from_the_survivor_and_leave_nothing_behind(tmp_path):
    with pytest.raises(AssertionError, match=DEATH):
        run_ranks(_save_until_killed, 2, str(tmp_path), "in a file", [1])
    assert list(tmp_path.glob(commit.STAGE_PREFIX + "*"))
    assert run_ranks(_resume, 2, str(tmp_path)) == [1, 1]
    assert [path.name for path in tmp_path.glob("step_*")] == ["step_00000002"]
    assert not list(tmp_path.glob(commit.STAGE_PREFIX + "*"))
