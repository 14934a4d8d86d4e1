"""The table of pieces: as many rows as there are rules, whatever the number of ranks, and the same pieces as one by one."""

import json
import random
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mai1.checkpoint.checkpoint import load_checkpoint
from mai1.checkpoint.manifest import MANIFEST, read_manifest
from mai1.checkpoint.optimizer_state import StateReader
from mai1.checkpoint.pieces import Run, check_table, joined, optimizer_file, pieces_table
from mai1.checkpoint.verify import verify
from tests.checkpoint.test_resume import logical, pieces_of, save
from tests.support.checkpoints import ALONE
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train

Single = tuple[int, int, int, int]
"""start, numel, rank, part."""


def one_by_one(rows: list[list[int]]) -> Iterator[Single]:
    """The pieces of a table's rows, by the definition."""
    for start, numel, count, rank, every, part in rows:
        for number in range(count):
            yield start + number * numel, numel, rank + number * every, part


def cut_at_random(rng: random.Random, numel: int) -> list[Single]:
    """A tensor in pieces of few sizes, by ranks that mostly follow one another."""
    pieces, start, rank, size, part = [], 0, 0, rng.randint(1, 9), 0
    while start < numel:
        size = rng.choice((size, size, size, rng.randint(1, 9)))
        part = rng.choice((part, part, part, rng.randint(0, 2)))
        rank += rng.choice((0, 1, 1, 1, 2, 5))
        pieces.append((start, min(size, numel - start), rank, part))
        start += size
    return pieces


@pytest.mark.parametrize("seed", range(50))
def test_runs_hold_the_very_pieces_in_whatever_order_they_were_told(seed):
    rng = random.Random(seed)
    pieces = cut_at_random(rng, 400)
    told = [["exp_avg", "x", start, numel, 1, rank, 0, part] for start, numel, rank, part in pieces]
    rng.shuffle(told)
    rows = pieces_table(told)["exp_avg"]["x"]
    assert list(one_by_one(rows)) == pieces and len(rows) < len(pieces)
    assert [list(astuple(run)) for run in joined([Run(*row) for row in rows])] == rows


@pytest.mark.parametrize("seed", range(10))
def test_any_range_is_read_from_runs_of_any_shape(seed, tmp_path):
    rng, values = random.Random(seed), torch.randn(200, generator=torch.Generator().manual_seed(seed))
    pieces, files = cut_at_random(rng, len(values)), {}
    num_ranks = 1 + max(rank for _, _, rank, _ in pieces)
    (tmp_path / "trainer").mkdir()
    for start, numel, rank, part in pieces:
        file = optimizer_file(rank, num_ranks=num_ranks, part=part)
        files.setdefault(file, {})[f"exp_avg|x|{start}"] = values[start : start + numel].clone()
    for file, tensors in files.items():
        save_file(tensors, tmp_path / file)
    table = pieces_table([["exp_avg", "x", s, n, 1, rank, 0, part] for s, n, rank, part in pieces])
    check_table(table, files, num_ranks=num_ranks)
    reader = StateReader(tmp_path, table, num_ranks=num_ranks)
    for _ in range(100):
        start, end = sorted(rng.sample(range(len(values) + 1), 2))
        into = torch.empty(end - start)
        reader.read("exp_avg", "x", start, into)
        assert torch.equal(into, values[start:end])


def test_a_cut_over_ranks_is_one_row_whatever_their_number():
    for num_ranks in (2, 64, 15_000):
        rows = [["exp_avg", "x", rank * 7, 7, 1, rank * 8, 0, 0] for rank in range(num_ranks)]
        assert pieces_table(rows) == {"exp_avg": {"x": [[0, 7, num_ranks, 0, 8, 0]]}}


def test_a_hostile_table_is_refused_before_it_is_gone_through():
    """Every row another stretch of a million files: looked up one by one, that would take days."""
    files = {optimizer_file(rank, num_ranks=2_000, part=0): {} for rank in range(2_000)}
    rows = [[0, 1, 2_000 - rank, rank, 1, 0] for rank in range(2_000)] * 3
    check_table({"exp_avg": {"x": rows}}, files, num_ranks=2_000)  # two millions
    with pytest.raises(ValueError, match="names more than 16777216 files"):
        check_table({"exp_avg": {"x": [[0, 1, 2**40, 0, 1, 0]]}}, files, num_ranks=2**41)


def _save(world, folder: str, settings: dict) -> list:
    trainer = tiny_trainer(world, Path(folder) / "run", **settings)
    train(trainer, 2)
    save(trainer, Path(folder))
    return pieces_of(trainer)


def _load(world, directory: str, folder: str, settings: dict) -> list:
    trainer = tiny_trainer(world, Path(folder) / "other", **settings)
    load_checkpoint(Path(directory), trainer.engine)
    return pieces_of(trainer)


SHARDED, OTHER = (4, {"zero_stage": 3, "expert_parallel": 2}), (2, {"zero_stage": 1})


@pytest.fixture(scope="module")
def sharded(tmp_path_factory) -> tuple[Path, dict[str, np.ndarray]]:
    """A checkpoint of four ranks under ZeRO-3 with experts, and the state it was made of."""
    folder = tmp_path_factory.mktemp("sharded")
    state = logical(run_ranks(_save, SHARDED[0], str(folder), SHARDED[1]))
    return folder / "step_00000002", state


def test_the_table_of_a_real_run_names_each_ranks_own_pieces(sharded):
    """Told by the first rank of each group; true of every rank's files, whose headers are asked here."""
    directory, _ = sharded
    manifest, told = read_manifest(directory), []
    for kind, names in manifest["optimizer"].items():
        for name, rows in names.items():
            assert len(rows) <= 4  # of two groups of experts, a run and a rest each
            told += [(kind, name, *piece) for piece in one_by_one(rows)]
    lying = [
        (*key.split("|")[:2], int(key.split("|")[2]), shape[0], rank, 0)
        for rank in range(4)
        for key, shape in shapes_in(directory / optimizer_file(rank, num_ranks=4, part=0))
    ]
    assert sorted(told) == sorted(lying) and not verify(directory, ALONE)


def shapes_in(path: Path) -> list[tuple[str, list[int]]]:
    """Of a safetensors file, by its header."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return [(name, entry["shape"]) for name, entry in header.items() if name != "__metadata__"]


def in_version_1(directory: Path) -> dict:
    """The manifest as it was written when every piece was a row of its own."""
    manifest = json.loads((directory / MANIFEST).read_bytes())
    num_ranks, table = manifest["world_size"], {}
    for kind, names in manifest["optimizer"].items():
        table[kind] = {}
        for name, rows in names.items():
            table[kind][name] = [
                [start, numel, optimizer_file(rank, num_ranks=num_ranks, part=part), f"{kind}|{name}|{start}"]
                for start, numel, rank, part in one_by_one(rows)
            ]
    return manifest | {"version": 1, "optimizer": table}


def test_a_checkpoint_of_the_version_before_resumes_as_it_did(sharded, tmp_path):
    directory, expected = sharded
    before, today = in_version_1(directory), read_manifest(directory)
    (directory / MANIFEST).write_text(json.dumps(before))
    assert read_manifest(directory) == today
    got = logical(run_ranks(_load, OTHER[0], str(directory), str(tmp_path), OTHER[1]))
    assert got.keys() == expected.keys()
    assert not [name for name in got if not np.array_equal(got[name], expected[name])]
