"""A file torn, flipped, swapped or missing is named, on every rank, and the checkpoint before is used."""

import json
from pathlib import Path

import pytest

from mai1.checkpoint.checkpoint import load_checkpoint
from mai1.checkpoint.manifest import read_manifest
from mai1.checkpoint.saver import save_checkpoint
from mai1.checkpoint.verify import checkpoints_in, newest_sound_checkpoint, share_of_rank, verify
from tests.support.checkpoints import ALONE, publish
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train


def _save_two(world, folder: str) -> None:
    trainer = tiny_trainer(world, Path(folder), expert_parallel=2)
    for _ in range(2):
        train(trainer, 1)
        save_checkpoint(Path(folder), trainer.engine, trainer.state, files=trainer.files)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints of two ranks, each with its own files."""
    folder = tmp_path_factory.mktemp("checkpoints")
    run_ranks(_save_two, 2, str(folder))
    return folder


@pytest.fixture
def newest(checkpoints: Path):
    """The newer of the two; whatever a test does to its files is undone."""
    directory = checkpoints_in(checkpoints)[0]
    whole = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    yield directory
    for path, content in whole.items():
        path.write_bytes(content)


def _flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES = {
    "flipped bit": lambda content: _flip(content, len(content) // 2),
    "flipped first bit": lambda content: _flip(content, 0),
    "flipped last bit": lambda content: _flip(content, len(content) - 1),
    "truncated": lambda content: content[:-5],
    "empty": lambda content: b"",
    "longer": lambda content: content + b"\0",
}
FILES = [
    "model-00001-of-00003.safetensors",
    "model-00003-of-00003.safetensors",
    "model.safetensors.index.json",
    "config.json",
    "trainer/optimizer-00001-of-00002.safetensors",
    "trainer/optimizer-00002-of-00002.safetensors",
    "trainer/state.json",
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_any_damaged_file_is_named_and_the_checkpoint_before_is_used(newest, capfd, damage, file):
    path = newest / file
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert newest_sound_checkpoint(newest.parent, ALONE).name == "step_00000001"
    assert file in capfd.readouterr().err


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named(newest, file):
    (newest / file).unlink()
    assert verify(newest, ALONE) == [f"{file} is missing"]


@pytest.mark.parametrize("kind", ["model-0000{}-of-00003.safetensors", "trainer/optimizer-0000{}-of-00002.safetensors"])
def test_two_ranks_files_exchanged_are_both_named(newest, kind):
    first, second = (newest / kind.format(number) for number in ((2, 3) if "model" in kind else (1, 2)))
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two), second.write_bytes(one)
    problems = "; ".join(verify(newest, ALONE))
    assert str(first.relative_to(newest)) in problems and str(second.relative_to(newest)) in problems


def test_a_file_of_another_checkpoint_is_named(newest):
    file = "trainer/optimizer-00001-of-00002.safetensors"
    (newest / file).write_bytes((newest.parent / "step_00000001" / file).read_bytes())
    assert verify(newest, ALONE) == [f"{file} has another SHA-256 than when it was saved"]


def _find(world, folder: str) -> tuple[str, list[str]]:
    return newest_sound_checkpoint(Path(folder), world).name, verify(Path(folder) / "step_00000002", world)


def test_all_ranks_choose_the_same_checkpoint_and_know_why(newest):
    """Each hashes a part of the files; one finds the damage, all hear of it."""
    path = newest / "trainer" / "optimizer-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    found = run_ranks(_find, 3, str(newest.parent))
    assert found[0] == found[1] == found[2]
    assert found[0][0] == "step_00000001" and "optimizer-00002-of-00002" in found[0][1][0]


def _load_with(world, folder: str, changes: dict) -> str:
    trainer = tiny_trainer(world, Path(folder) / "other", **changes)
    try:
        load_checkpoint(Path(folder) / "step_00000002", trainer.engine)
    except ValueError as error:
        return str(error)
    return ""


def test_a_range_that_is_missing_ends_every_rank_alike(newest):
    """The manifest is not hashed itself: one that names too little is noticed when the ranges are read."""
    path = newest / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["optimizer"]["exp_avg"]["layers.2.ffn.experts.down"][-1]
    path.write_text(json.dumps(manifest))
    messages = run_ranks(_load_with, 2, str(newest.parent), {"expert_parallel": 2})
    assert all("exp_avg of layers.2.ffn.experts.down has no element" in message for message in messages)


def test_the_work_of_hashing_is_shared_without_gap_or_repetition(newest, tmp_path):
    files = read_manifest(newest)["files"]
    for num_ranks in (1, 2, 3, 50):
        shares = [share_of_rank(files, rank=rank, num_ranks=num_ranks) for rank in range(num_ranks)]
        assert sorted(name for share in shares for name in share) == sorted(files)
    first, second = (share_of_rank(files, rank=rank, num_ranks=2) for rank in (0, 1))
    assert "trainer/optimizer-00001-of-00002.safetensors" in first  # what it wrote itself, and is about to read
    assert "trainer/optimizer-00002-of-00002.safetensors" in second
    assert share_of_rank(read_manifest(publish(tmp_path, 1))["files"], rank=0, num_ranks=1) == ["config.json"]
