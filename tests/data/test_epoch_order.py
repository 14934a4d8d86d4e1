"""An epoch's order: the same bit by bit in memory and in a file, however many ask for it, and small in every rank."""

import os
import resource
import signal
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from mai1.data import epoch_order, stream
from mai1.data.mixed_stream import open_rows
from mai1.data.mixture import MixtureConfig
from mai1.data.shards import HEADER, MAGIC, Shard, ShardWriter
from mai1.data.stream import TokenStream

LENGTH = 6


@pytest.fixture
def shards(tmp_path: Path) -> list[Shard]:
    """Three shards; every id tells its document."""
    rng = np.random.default_rng(5)
    for name, count in (("a", 40), ("b", 1), ("c", 77)):
        with ShardWriter(tmp_path / name, vocab_size=1000) as writer:
            for _ in range(count):
                writer.add(rng.integers(0, 1000, rng.integers(1, 30)))
            writer.close({})
    return [Shard.open(tmp_path / name) for name in "abc"]


def order_by_definition(shards: list[Shard], *, seed: int, epoch: int) -> list[list[int]]:
    """All rows of an epoch, from whole documents in memory."""
    documents = [shard.document(number).tolist() for shard in shards for number in range(shard.num_documents)]
    generator = np.random.default_rng([seed, epoch])
    text = [i for number in generator.permutation(len(documents)) for i in documents[number]]
    windows = generator.permutation((len(text) - 1) // LENGTH)
    return [text[window * LENGTH : window * LENGTH + LENGTH + 1] for window in windows]


def rows_of(rows: TokenStream, *, epoch: int) -> list[list[int]]:
    return [rows.read(epoch * rows.rows_per_epoch + place).ids.tolist() for place in range(rows.rows_per_epoch)]


@pytest.mark.parametrize("is_stored", [False, True], ids=["in memory", "in a file"])
@pytest.mark.parametrize("epoch", [0, 3])
def test_rows_are_those_of_whole_documents_shuffled_and_cut(shards, tmp_path, monkeypatch, is_stored, epoch):
    monkeypatch.setattr(stream, "MOST_IN_MEMORY", 10 if is_stored else 10**6)
    monkeypatch.setattr(epoch_order, "BLOCK", 7)
    rows = TokenStream(shards, sequence_length=LENGTH, seed=11, folder=tmp_path / "order")
    assert rows_of(rows, epoch=epoch) == order_by_definition(shards, seed=11, epoch=epoch)
    assert len(list(tmp_path.glob("order/*.order"))) == is_stored


def test_each_source_of_a_mixture_keeps_its_order_there(shards, tmp_path, monkeypatch):
    mixture = MixtureConfig(weights={"a": 1.0, "b": 0.0, "c": 3.0})
    settings = {"sequence_length": LENGTH, "seed": 2, "rows_per_step": 4}
    plain = open_rows(shards, mixture, **settings)
    monkeypatch.setattr(stream, "MOST_IN_MEMORY", 10)
    stored = open_rows(shards, mixture, **settings, folder=tmp_path / "order")
    for number in range(3 * plain.rows_per_epoch):
        assert np.array_equal(stored.read(number).ids, plain.read(number).ids)
    assert len(list(tmp_path.glob("order/*.order"))) >= 2


def test_the_file_is_kept_for_a_resumed_run_and_those_of_older_epochs_are_not(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "MOST_IN_MEMORY", 10)
    settings = {"sequence_length": LENGTH, "seed": 1, "folder": tmp_path / "order"}
    rows = TokenStream(shards, **settings)
    for epoch in range(4):
        rows.read(epoch * rows.rows_per_epoch)
    kept = sorted(tmp_path.glob("order/*.order"))
    assert [path.name.rpartition("-")[2] for path in kept] == ["2.order", "3.order"]
    written = kept[0].stat().st_mtime_ns
    again = TokenStream(shards, **settings)
    assert rows_of(again, epoch=2) == rows_of(rows, epoch=2) and kept[0].stat().st_mtime_ns == written
    assert rows_of(rows, epoch=0) == order_by_definition(shards, seed=1, epoch=0)  # after going back, made anew


def test_another_seed_length_or_corpus_never_reads_the_same_file(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "MOST_IN_MEMORY", 10)
    for part, length, seed in (
        (shards, LENGTH, 1),
        (shards, LENGTH, 2),
        (shards, LENGTH + 1, 1),
        (shards[:1], LENGTH, 1),
    ):
        TokenStream(part, sequence_length=length, seed=seed, folder=tmp_path / "order").read(0)
    assert len(list(tmp_path.glob("order/*.order"))) == 4


def _read_all(folder: str) -> list[list[int]]:
    stream.MOST_IN_MEMORY = 10
    shards = [Shard.open(Path(folder) / name) for name in "abc"]
    return rows_of(TokenStream(shards, sequence_length=LENGTH, seed=9, folder=Path(folder) / "order"), epoch=1)


@pytest.mark.parametrize("has_locks", [True, False])
def test_processes_that_ask_at_once_get_the_same_rows(shards, tmp_path, monkeypatch, has_locks):
    if not has_locks:
        monkeypatch.setattr(epoch_order.fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(38, "no locks")))
    with get_context("fork").Pool(6) as pool:
        found = pool.map(_read_all, [str(tmp_path)] * 6, chunksize=1)
    assert all(rows == order_by_definition(shards, seed=9, epoch=1) for rows in found)
    assert not list(tmp_path.glob("order/*.staged*")) and len(list(tmp_path.glob("order/*.order"))) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from mai1.data import epoch_order, stream
from mai1.data.shards import Shard
stream.MOST_IN_MEMORY, epoch_order.BLOCK = 10, 16
folder, calls, draw = Path(sys.argv[1]), 0, epoch_order.draw_order
def dying(*arguments):
    for number, block in enumerate(draw(*arguments)):
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        yield block
stream.draw_order = dying
shards = [Shard.open(folder / name) for name in "abc"]
stream.TokenStream(shards, sequence_length=6, seed=9, folder=folder / "order").read(0)
"""


def test_a_process_killed_while_it_writes_leaves_nothing_that_is_read(shards, tmp_path, monkeypatch):
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL and list(tmp_path.glob("order/*.staged"))
    assert not list(tmp_path.glob("order/*.order"))
    monkeypatch.setattr(stream, "MOST_IN_MEMORY", 10)
    rows = TokenStream(shards, sequence_length=LENGTH, seed=9, folder=tmp_path / "order")
    assert rows_of(rows, epoch=0) == order_by_definition(shards, seed=9, epoch=0)
    assert not list(tmp_path.glob("order/*.staged"))


def test_a_file_that_shrinks_while_it_is_read_is_named(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "MOST_IN_MEMORY", 10)
    rows = TokenStream(shards, sequence_length=LENGTH, seed=9, folder=tmp_path / "order")
    rows.read(0)
    [path] = tmp_path.glob("order/*.order")
    os.truncate(path, 8)
    with pytest.raises(
        ValueError, match=r"^row 5 of the training data: .*epoch-0\.order is shorter than it was: remove it"
    ):
        rows.read(5)
    fresh = TokenStream(shards, sequence_length=LENGTH, seed=9, folder=tmp_path / "order")
    assert rows_of(fresh, epoch=0) == order_by_definition(shards, seed=9, epoch=0)


def test_a_folder_that_cannot_be_written_is_named(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "MOST_IN_MEMORY", 10)
    (tmp_path / "order").write_text("a file")
    with pytest.raises(ValueError, match=r"epoch-0\.order: the order of the data cannot be kept there"):
        TokenStream(shards, sequence_length=LENGTH, seed=9, folder=tmp_path / "order").read(0)


def sparse_shard(stem: Path, *, num_documents: int, length: int) -> None:
    """A shard of zeros that takes no room on the disk but for its index."""
    with open(f"{stem}.idx", "wb") as file:
        file.write(HEADER.pack(MAGIC, 1, 8, num_documents, num_documents + 1))
        file.write(np.full(num_documents, length, "<i4").tobytes())
        file.write((np.arange(num_documents, dtype="<i8") * length * 2).tobytes())
        file.write(np.arange(num_documents + 1, dtype="<i8").tobytes())
    with open(f"{stem}.bin", "wb") as file:
        file.truncate(2 * num_documents * length)


class IdentifiedShard(Shard):
    """One without a manifest has no digests; here it needs none."""

    @property
    def identity(self) -> list[tuple[str, str]]:
        return [("idx", "0")]


def _grown_by(stem: str, folder: str) -> float:
    """MB that opening a corpus and reading a hundred rows added to a process at its largest."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = TokenStream([IdentifiedShard.open(Path(stem))], sequence_length=512, seed=1, folder=Path(folder))
    for number in range(0, rows.rows_per_epoch, rows.rows_per_epoch // 100):
        rows.read(number)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def test_what_a_rank_keeps_does_not_grow_with_the_corpus(tmp_path):
    """Of 3 M documents all in memory were 72 MB and more; who finds the file there takes a few blocks."""
    sparse_shard(tmp_path / "large", num_documents=3_000_000, length=400)
    with get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        arguments = (str(tmp_path / "large"), str(tmp_path / "order"))
        _, reading = (pool.apply(_grown_by, arguments) for _ in range(2))
    assert reading < 50, f"{reading:.0f} MB"
