import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mai1.data.batch import collate
from mai1.data.heldout import HeldoutSource, count_baselines, empty_row, heldout_source
from mai1.data.shards import Shard, ShardWriter

END, VOCABULARY = 7, 8


def write(folder: Path, name: str, documents: list[list[int]], *, num_bytes: int = 100) -> Shard:
    with ShardWriter(folder / name, vocab_size=1000) as writer:
        for ids in documents:
            writer.add(np.array(ids))
        writer.close({"bytes": num_bytes})
    return Shard.open(folder / name)


def cut(shard: Shard, *, sequence_length: int = 4, max_rows: int = 0) -> HeldoutSource:
    return heldout_source(shard, sequence_length=sequence_length, max_rows=max_rows, end_of_text_id=END)


@pytest.mark.parametrize("num_tokens", [1, 4, 5, 8, 23])
def test_every_token_is_a_target_once_after_its_true_predecessor(tmp_path: Path, num_tokens: int):
    ids = list(range(100, 100 + num_tokens))
    source = cut(write(tmp_path, "s", [ids[: num_tokens // 2], ids[num_tokens // 2 :]] if num_tokens > 1 else [ids]))
    batch = collate(source.rows, end_of_text_id=END)
    counts = batch.loss_mask_BT.bool()
    assert batch.targets_BT[counts].tolist() == ids
    assert batch.tokens_BT[counts].tolist() == [END, *ids[:-1]]
    assert (batch.segments_BT[counts] >= 0).all()
    assert source.num_tokens == num_tokens and source.bytes_per_token == 100 / num_tokens


@pytest.mark.parametrize(("max_rows", "kept"), [(0, 6), (1, 1), (4, 4), (6, 6), (99, 6)])
def test_thinning_keeps_an_even_sample_of_whole_rows(tmp_path: Path, max_rows: int, kept: int):
    shard = write(tmp_path, "s", [list(range(100, 123))])
    everything, thinned = cut(shard), cut(shard, max_rows=max_rows)
    places = [[row.ids.tobytes() for row in everything.rows].index(row.ids.tobytes()) for row in thinned.rows]
    assert len(places) == kept and places == sorted(set(places)) and places[0] == 0
    assert max(np.diff(places), default=0) <= math.ceil(6 / kept)
    assert thinned.num_tokens == sum(int(row.loss_mask.sum()) for row in thinned.rows)


def test_an_empty_row_has_no_target_and_no_valid_token():
    batch = collate([empty_row(4, pad_id=END)], end_of_text_id=END)
    assert batch.loss_mask_BT.sum() == 0 and (batch.segments_BT == -1).all()


@pytest.mark.parametrize("max_tokens", [10**9, 30])
def test_baselines_equal_counting_by_hand(tmp_path: Path, max_tokens: int):
    generator = np.random.default_rng(0)
    texts = [
        generator.choice(6, size=size, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05]).tolist() + [END] for size in (30, 11, 17)
    ]
    train = [write(tmp_path, "a", texts[:1]), write(tmp_path, "b", texts[1:])]
    heldout = [cut(write(tmp_path, "h", [[0, 1, 6, 6, 2, 0, END], [3, END]]))]
    found = count_baselines(train, heldout, vocab_size=VOCABULARY, max_tokens=max_tokens)

    share = min(1.0, max_tokens / 61)
    streams = [shard.tokens[: int(len(shard.tokens) * share)].tolist() for shard in train]
    ones = Counter(token for stream in streams for token in stream)
    twos = Counter(pair for stream in streams for pair in zip(stream, stream[1:], strict=False))

    def unigram(token: int) -> float:
        return (ones[token] + 1) / (ones.total() + VOCABULARY)

    def bigram(
        before: int, token: int
    ) -> float:  # Witten-Bell: new followers come as often as there were different ones
        after = {pair[1]: count for pair, count in twos.items() if pair[0] == before}
        if not after:
            return unigram(token)
        return (after.get(token, 0) + len(after) * unigram(token)) / (sum(after.values()) + len(after))

    assert all(
        sum(bigram(before, token) for token in range(VOCABULARY)) == pytest.approx(1) for before in range(VOCABULARY)
    )
    text = [END, 0, 1, 6, 6, 2, 0, END, 3, END]
    assert found.unigram == pytest.approx(-np.mean([math.log(unigram(t)) for t in text[1:]]))
    assert found.bigram == pytest.approx(
        -np.mean([math.log(bigram(b, t)) for b, t in zip(text, text[1:], strict=False)])
    )
