import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mai1.data.loader import BatchConfig, Loader
from mai1.data.shards import Shard, ShardWriter
from mai1.data.stream import TokenStream

LENGTH = 7


def write_shards(folder: Path, *, sizes: tuple[int, ...] = (5, 1, 30, 12, 2, 9, 17, 1, 1, 44)) -> list[Shard]:
    """Documents whose ids are all different, in two shards, so that every token tells where it came from."""
    ids = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    for name, part in (("a", ids[:4]), ("b", ids[4:])):
        with ShardWriter(folder / name, vocab_size=1000) as writer:
            for document in part:
                writer.add(document)
            writer.close({})
    return [Shard.open(folder / name) for name in ("a", "b")]


def documents_of(shards: list[Shard]) -> list[list[int]]:
    return [shard.document(i).tolist() for shard in shards for i in range(shard.num_documents)]


def epoch_rows(stream: TokenStream, epoch: int) -> list[list[int]]:
    first = epoch * stream.rows_per_epoch
    return [stream.read(first + i).ids.tolist() for i in range(stream.rows_per_epoch)]


def chained(rows: list[list[int]]) -> list[int]:
    """The text that overlapping windows were cut from: each window begins with the last id of the one before."""
    by_first, last_ids = {row[0]: row for row in rows}, {row[-1] for row in rows}
    [place] = [first for first in by_first if first not in last_ids]
    text = [place]
    while place in by_first:
        text += by_first.pop(place)[1:]
        place = text[-1]
    assert not by_first
    return text


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_an_epoch_holds_every_window_of_whole_documents_once(tmp_path: Path, epoch: int):
    shards = write_shards(tmp_path)
    stream = TokenStream(shards, sequence_length=LENGTH, seed=3)
    rows = epoch_rows(stream, epoch)
    targets = [i for row in rows for i in row[1:]]
    assert len(set(targets)) == len(targets) == stream.rows_per_epoch * LENGTH
    assert stream.num_tokens - 1 - len(targets) < LENGTH  # only what does not fill a window is left out

    text, by_first = chained(rows), {document[0]: document for document in documents_of(shards)}
    while text:  # the text is whole documents one after the other, the last one perhaps cut
        document = by_first.pop(text[0])
        assert text[: len(document)] == document[: len(text)]
        text = text[len(document) :]


def test_documents_and_windows_are_shuffled_anew_each_epoch_and_by_the_seed(tmp_path: Path):
    shards = write_shards(tmp_path)
    streams = [TokenStream(shards, sequence_length=LENGTH, seed=seed) for seed in (3, 3, 4)]
    epochs = [epoch_rows(streams[0], 0), epoch_rows(streams[0], 1), epoch_rows(streams[2], 0)]
    for i, one in enumerate(epochs):
        assert chained(one) != sum(documents_of(shards), [])[: len(chained(one))]
        assert [row[0] for row in one] != chained(one)[:-1:LENGTH]  # windows do not come in the text's order
        assert all(chained(one) != chained(other) for other in epochs[:i])
    backwards = [streams[1].read(i).ids.tolist() for i in reversed(range(2 * streams[1].rows_per_epoch))]
    assert backwards[::-1] == epochs[0] + epochs[1]  # a row depends on its number alone


def test_rows_are_all_targets(tmp_path: Path):
    row = TokenStream(write_shards(tmp_path), sequence_length=LENGTH, seed=3).read(0)
    assert row.num_valid == LENGTH + 1 and row.loss_mask.tolist() == [1] * (LENGTH + 1)


def test_every_id_is_told_by_the_shard_it_was_read_from(tmp_path: Path):
    stream = TokenStream(write_shards(tmp_path), sequence_length=LENGTH, seed=3)
    assert stream.source_names == ["a", "b"]
    rows = [stream.read(i) for i in range(2 * stream.rows_per_epoch)]
    assert all((row.sources == (row.ids >= 48)).all() for row in rows)  # the documents of shard a hold ids 0 to 47
    assert any(len(set(row.sources.tolist())) == 2 for row in rows)


def test_the_fingerprint_names_the_data_the_length_and_the_seed(tmp_path: Path):
    shards = write_shards(tmp_path)
    other = write_shards(tmp_path / "other", sizes=(5, 1, 30, 12, 2, 9, 17, 1, 2, 43))
    made = [
        TokenStream(s, sequence_length=length, seed=seed).fingerprint
        for s, length, seed in [(shards, 7, 3), (shards, 8, 3), (shards, 7, 4), (other, 7, 3), (shards[:1], 7, 3)]
    ]
    assert len(set(made)) == 5
    assert TokenStream(write_shards(tmp_path / "again"), sequence_length=7, seed=3).fingerprint == made[0]


def ids_of_steps(stream: TokenStream, steps: range, *, num_ranks: int, microbatch: int) -> list[list[int]]:
    """Every row of some steps in the run's order, read as `num_ranks` ranks read them."""
    config = BatchConfig(sequences_per_step=8, sequences_per_microbatch=microbatch)
    ranks = [
        Loader(stream, config, end_of_text_id=-1, data_rank=rank, data_size=num_ranks) for rank in range(num_ranks)
    ]
    rows = []
    for step in steps:
        for batches in zip(*(loader.microbatches(step) for loader in ranks), strict=True):
            for batch in batches:
                rows += torch.cat((batch.tokens_BT[:, :1], batch.targets_BT), dim=1).tolist()
    return rows


def test_interruptions_on_any_ranks_lose_and_repeat_no_row_over_the_border_of_an_epoch(tmp_path: Path):
    """Steps hold 8 rows and epochs 17, so borders fall inside a step, a microbatch and a rank's share."""
    stream = TokenStream(write_shards(tmp_path), sequence_length=LENGTH, seed=3)
    assert stream.rows_per_epoch == 17
    straight = [stream.read(sample).ids.tolist() for sample in range(8 * 9)]
    pieces, first = [], 0
    for last, num_ranks, microbatch in ((1, 1, 8), (3, 4, 1), (4, 2, 2), (7, 8, 1), (9, 1, 2)):
        resumed = TokenStream(
            [Shard.open(tmp_path / name) for name in ("a", "b")], sequence_length=LENGTH, seed=3
        )  # nothing is carried over but the step
        pieces += ids_of_steps(resumed, range(first, last), num_ranks=num_ranks, microbatch=microbatch)
        first = last
    assert pieces == straight
    for epoch in range(4):
        targets = [i for row in pieces[17 * epoch : 17 * (epoch + 1)] for i in row[1:]]
        assert len(set(targets)) == len(targets) == 17 * LENGTH


def test_a_row_that_cannot_be_read_is_named_with_its_shard(tmp_path: Path):
    stream = TokenStream(write_shards(tmp_path), sequence_length=LENGTH, seed=3)
    rows = [stream.read(sample) for sample in range(stream.rows_per_epoch)]
    os.truncate(tmp_path / "b.bin", 0)
    for sample, row in enumerate(rows):
        if (row.sources == 0).all():
            assert stream.read(sample).ids.tolist() == row.ids.tolist()
            continue
        with pytest.raises(ValueError, match=rf"^row {sample} of the training data: .*/b\.bin ends before byte"):
            stream.read(sample)


def test_too_little_text_is_refused_with_the_mend(tmp_path: Path):
    shards = write_shards(tmp_path)
    assert TokenStream(shards, sequence_length=121, seed=0).rows_per_epoch == 1
    with pytest.raises(ValueError, match=r"data.sequence_length=122 needs at least 123 training tokens.*hold 122"):
        TokenStream(shards, sequence_length=122, seed=0)
