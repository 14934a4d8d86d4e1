import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mai1.data import integrity
from mai1.data.integrity import Damage, damaged_shards
from mai1.data.shards import Shard, ShardWriter
from mai1.dist import World
from tests.support.ranks import run_ranks

ALONE = World(0, 1, 0, torch.device("cpu"))


def write_shards(folder: Path, *, count: int = 4) -> list[Path]:
    for number in range(count):
        with ShardWriter(folder / f"s{number}", vocab_size=1000) as writer:
            writer.add(np.arange(number, number + 200))
            writer.close({})
    return [folder / f"s{number}" for number in range(count)]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def check(stems: list[Path], memory: Path, world: World = ALONE) -> list[Damage]:
    return damaged_shards([Shard.open(stem) for stem in stems], memory=memory, world=world)


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are hashed."""
    names: list[str] = []
    reason = integrity._reason
    monkeypatch.setattr(integrity, "_reason", lambda file, bar: names.append(file.path.name) or reason(file, bar))
    return names


def test_sound_shards_pass_and_every_file_is_read_once(tmp_path: Path, read_files: list[str]):
    stems = write_shards(tmp_path)
    assert check(stems, tmp_path / "memory.json") == []
    assert sorted(read_files) == sorted(f"{stem.name}.{ending}" for stem in stems for ending in ("bin", "idx"))


@pytest.mark.parametrize("damage", ["flip", "delete", "unreadable"])
def test_a_damaged_shard_is_named_with_file_and_mend(tmp_path: Path, damage: str):
    stems = write_shards(tmp_path)
    shards, bad = [Shard.open(stem) for stem in stems], tmp_path / "s2.bin"
    if damage == "flip":
        flip(bad)
    else:
        bad.unlink()
    if damage == "unreadable":
        bad.mkdir()
    [found] = damaged_shards(shards, memory=tmp_path / "memory.json", world=ALONE)
    assert found.shard == str(stems[2])
    assert str(bad) in found.reason and "restore the file" in found.reason


def test_what_was_verified_is_not_read_again_while_it_is_unchanged(tmp_path: Path, read_files: list[str]):
    stems, memory = write_shards(tmp_path), tmp_path / "memory.json"
    check(stems, memory)
    read_files.clear()
    assert check(stems, memory) == [] and read_files == []
    os.utime(tmp_path / "s1.bin", ns=(1, 1))
    assert check(stems, memory) == [] and read_files == ["s1.bin"]
    (tmp_path / "fresh").write_bytes((tmp_path / "s3.idx").read_bytes())  # the same bytes in another inode
    os.utime(tmp_path / "fresh", ns=(os.stat(tmp_path / "s3.idx").st_mtime_ns,) * 2)
    os.replace(tmp_path / "fresh", tmp_path / "s3.idx")
    read_files.clear()
    assert check(stems, memory) == [] and read_files == ["s3.idx"]


def test_damage_is_not_remembered_and_mending_it_is_noticed(tmp_path: Path, read_files: list[str]):
    stems, memory = write_shards(tmp_path), tmp_path / "memory.json"
    whole = (tmp_path / "s0.bin").read_bytes()
    flip(tmp_path / "s0.bin")
    assert len(check(stems, memory)) == len(check(stems, memory)) == 1
    assert read_files.count("s0.bin") == 2 and read_files.count("s0.idx") == 1
    (tmp_path / "s0.bin").write_bytes(whole)
    assert check(stems, memory) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 10**5, b'{"a": 1}', b'{"a": {"b": []}}'])
def test_an_unreadable_memory_is_made_anew(tmp_path: Path, content: bytes, read_files: list[str]):
    stems, memory = write_shards(tmp_path, count=1), tmp_path / "memory.json"
    memory.write_bytes(content)
    assert check(stems, memory) == [] and sorted(read_files) == ["s0.bin", "s0.idx"]
    read_files.clear()
    assert check(stems, memory) == [] and read_files == []


def _check_on_a_rank(world: World, folder: str, own_copies: bool) -> tuple[list[Damage], int]:
    place = Path(folder) / (f"rank{world.rank}" if own_copies else "both")
    count, reason = [], integrity._reason
    integrity._reason = lambda file, bar: count.append(file) or reason(file, bar)
    return check([place / f"s{n}" for n in range(4)], Path(folder) / "memory.json", world), len(count)


def test_ranks_share_the_work_on_files_they_share_and_agree(tmp_path: Path):
    flip(write_shards(tmp_path / "both")[3].with_suffix(".bin"))
    (found, first), (other, second) = run_ranks(_check_on_a_rank, 2, str(tmp_path), False)
    assert found == other and [Path(damage.shard).name for damage in found] == ["s3"]
    assert (first, second) == (4, 4)


def test_a_rank_with_a_copy_of_its_own_checks_it_and_all_hear_of_it(tmp_path: Path):
    write_shards(tmp_path / "rank0")
    flip(write_shards(tmp_path / "rank1")[0].with_suffix(".bin"))
    (found, first), (other, second) = run_ranks(_check_on_a_rank, 2, str(tmp_path), True)
    assert found == other and [damage.shard for damage in found] == [str(tmp_path / "rank1" / "s0")]
    assert (first, second) == (8, 8)
