"""Saving beside the training: the same bytes, one at a time, and every failure heard of on every rank."""

import contextlib
import errno
import io
import resource
import threading
from pathlib import Path

import pytest

from mai1.checkpoint import saver as saver_module
from mai1.checkpoint.checkpoint import CheckpointConfig, OnError, load_checkpoint
from mai1.checkpoint.saver import Saver, save_checkpoint
from mai1.checkpoint.verify import checkpoints_in, newest_sound_checkpoint, verify
from mai1.train.trainer import Trainer
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train

WRITE = saver_module.write_tensors


def saver_of(trainer: Trainer, folder: Path, **options) -> Saver:
    timeout = {"timeout_s": options.pop("timeout_s", 60.0)}
    trainer.saver = Saver(folder, trainer.engine, CheckpointConfig(**options), files=trainer.files, **timeout)
    return trainer.saver


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def _save_both_ways(world, folder: str, settings: dict) -> dict:
    """A synchronous save, and one whose writer has to wait until training has gone on for two steps."""
    trainer = tiny_trainer(world, Path(folder), **settings)
    train(trainer, 2)
    there = save_checkpoint(Path(folder) / "there", trainer.engine, trainer.state, files=trainer.files)
    may_write = threading.Event()
    saver_module.write_tensors = lambda *arguments: may_write.wait() and WRITE(*arguments)
    saver, here = saver_of(trainer, Path(folder) / "here"), Path(folder) / "here" / "step_00000002"
    here.parent.mkdir(exist_ok=True)
    saver.save(trainer.state)
    train(trainer, 2)
    was_early = here.exists()
    may_write.set()
    saver.wait()
    names = [name for name, data in content(here).items() if data != content(there)[name]]
    return {"early": was_early, "differing": names, "files": (len(content(here)), len(content(there)))}


@pytest.fixture(autouse=True)
def restore_writer():
    yield
    saver_module.write_tensors = WRITE


@pytest.mark.parametrize(
    ("num_ranks", "settings"), [(1, {}), (2, {"expert_parallel": 2})], ids=["one rank", "two ranks, expert parallel"]
)
def test_training_goes_on_while_a_checkpoint_of_the_same_bytes_is_written(tmp_path, num_ranks, settings):
    (tmp_path / "there").mkdir()
    for result in run_ranks(_save_both_ways, num_ranks, str(tmp_path), settings):
        assert not result["early"]
        assert not result["differing"]
        assert result["files"][0] == result["files"][1] > 5


def _save_twice(world, folder: str) -> tuple:
    trainer = tiny_trainer(world, Path(folder))
    saver = saver_of(trainer, Path(folder), keep=0)
    running, most = [], []

    def counted(path, *arguments):
        running.append(path.parent)
        most.append(len({parent for parent in running if parent.name != "trainer"}))
        facts = WRITE(path, *arguments)
        running.remove(path.parent)
        return facts

    saver_module.write_tensors = counted
    for _ in range(3):
        train(trainer, 1)
        saver.save(trainer.state)
    saver.wait()
    return max(most), [verify(path, world) for path in checkpoints_in(Path(folder))]


def test_a_second_save_waits_for_the_first(tmp_path):
    for most_at_once, problems in run_ranks(_save_twice, 2, str(tmp_path)):
        assert most_at_once <= 1
        assert problems == [[], [], []]


def _fail_on_rank_1(world, folder: str, on_error: OnError) -> dict:
    """A sound checkpoint, then one that rank 1 cannot write, and steps until that is noticed; then another try."""
    trainer = tiny_trainer(world, Path(folder))
    saver, said = saver_of(trainer, Path(folder), on_error=on_error), []
    train(trainer, 1)
    saver.save(trainer.state)
    saver.wait()
    train(trainer, 1)
    failed = threading.Event()

    def full(path, *arguments):
        failed.set()
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    if world.rank == 1:
        saver_module.write_tensors = full
    saver.save(trainer.state)
    if world.rank == 1:
        failed.wait()
        saver._thread.join()
    try:
        with contextlib.redirect_stderr(io.StringIO()) as warned:
            train(trainer, 1)
    except ValueError as error:
        said.append(str(error))
    trainer.state.step = 3
    saver_module.write_tensors = WRITE
    after_failure = newest_sound_checkpoint(Path(folder), world)
    saver.save(trainer.state)
    saver.wait()
    newest = newest_sound_checkpoint(Path(folder), world)
    return {"said": said, "warned": warned.getvalue(), "after": after_failure.name, "finally": newest.name}


def test_a_writer_that_fails_on_one_rank_stops_all_within_a_step(tmp_path):
    for result in run_ranks(_fail_on_rank_1, 2, str(tmp_path), OnError.stop):
        [message] = result["said"]
        assert "step_00000002 could not be written: rank 1: [Errno 28] No space left on device" in message
        assert "the checkpoints before it are as they were" in message and "free some space" in message
        assert result["after"] == "step_00000001"


def test_training_may_go_on_without_a_checkpoint_and_save_the_next(tmp_path):
    results = run_ranks(_fail_on_rank_1, 2, str(tmp_path), OnError.go_on)
    for result in results:
        assert (result["said"], result["after"], result["finally"]) == ([], "step_00000001", "step_00000003")
    assert "WARNING: " in results[0]["warned"] and "rank 1: [Errno 28] No space left on device" in results[0]["warned"]


def _lose_a_writer(world, folder: str) -> str:
    trainer = tiny_trainer(world, Path(folder))
    saver = saver_of(trainer, Path(folder), timeout_s=0.5)
    if world.rank == 1:  # ends as if it had been killed: nothing is written and nothing is said
        saver._run = lambda job: None
    saver.save(trainer.state)
    try:
        saver.wait()
    except ValueError as error:
        return str(error)
    return ""


def test_a_writer_that_vanishes_is_named_on_every_rank(tmp_path):
    for message in run_ranks(_lose_a_writer, 2, str(tmp_path)):
        assert "rank 0: ranks [1] had not written their files after" in message
    assert not checkpoints_in(tmp_path)


def _fill_the_disk(world, folder: str) -> dict:
    """No file may grow beyond 100 kB for a while."""
    trainer, said = tiny_trainer(world, Path(folder)), []
    saver = saver_of(trainer, Path(folder), asynchronous=False)
    train(trainer, 1)
    saver.save(trainer.state)
    train(trainer, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        saver.save(trainer.state)
    except ValueError as error:
        said.append(str(error))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    after = newest_sound_checkpoint(Path(folder), world).name
    saver.save(trainer.state)
    other = tiny_trainer(world, Path(folder))
    newest = newest_sound_checkpoint(Path(folder), world)
    return {"said": said, "after": after, "step": load_checkpoint(newest, other.engine).step}


def test_a_full_disk_is_named_and_leaves_the_checkpoint_before(tmp_path):
    for result in run_ranks(_fill_the_disk, 2, str(tmp_path)):
        [message] = result["said"]
        assert "File too large" in message and "safetensors" in message
        assert result["after"] == "step_00000001" and result["step"] == 2


def _save_and_leave(world, folder: str) -> bool:
    trainer = tiny_trainer(world, Path(folder))
    saver = saver_of(trainer, Path(folder))
    saver.save(trainer.state)
    saver.close()
    return (Path(folder) / "step_00000000").exists()


def test_a_run_that_ends_by_an_error_lets_its_last_save_end(tmp_path):
    assert run_ranks(_save_and_leave, 1, str(tmp_path)) == [True]
