import math
import random

import numpy as np
import pytest

from mai1.data.batch import collate
from mai1.data.conversations import MAX_SOURCES, OTHERS, Conversation, PackedConversations, name_sources, pack_best_fit

END, PAD = 1000, 1001


def random_lengths(seed: int) -> tuple[list[int], int]:
    generator = random.Random(seed)
    capacity = generator.choice([5, 17, 64])
    return [generator.randint(1, capacity) for _ in range(generator.choice([1, 9, 200]))], capacity


def fewest_packs(lengths: list[int], capacity: int) -> int:
    """The true optimum, by trying every placement."""
    best = len(lengths)

    def place(i: int, room: list[int]) -> None:
        nonlocal best
        if len(room) >= best:
            return
        if i == len(lengths):
            best = len(room)
            return
        for left in set(room):
            if left >= lengths[i]:
                where = room.index(left)
                place(i + 1, room[:where] + [left - lengths[i]] + room[where + 1 :])
        place(i + 1, [*room, capacity - lengths[i]])

    place(0, [])
    return best


@pytest.mark.parametrize("seed", range(12))
def test_packing_loses_nothing_and_overfills_nothing(seed: int):
    lengths, capacity = random_lengths(seed)
    packs = pack_best_fit(lengths, capacity=capacity)
    assert sorted(i for pack in packs for i in pack) == list(range(len(lengths)))
    assert all(0 < sum(lengths[i] for i in pack) <= capacity for pack in packs)
    assert len(packs) <= 11 / 9 * math.ceil(sum(lengths) / capacity) + 4


@pytest.mark.parametrize("seed", range(8))
def test_packing_stays_within_its_proven_bound_of_the_optimum(seed: int):
    generator = random.Random(seed)
    lengths = [generator.randint(2, 12) for _ in range(9)]
    assert len(pack_best_fit(lengths, capacity=20)) <= 11 / 9 * fewest_packs(lengths, 20) + 6 / 9


def make_conversations(sizes: list[int]) -> list[Conversation]:
    """Conversation n says n over and over; every second token is learned."""
    return [Conversation([END] + [n] * (size - 1), [i % 2 for i in range(size)]) for n, size in enumerate(sizes)]


def packed(sizes: list[int], *, seed: int = 0, sequence_length: int = 15) -> PackedConversations:
    return PackedConversations(make_conversations(sizes), sequence_length=sequence_length, seed=seed, pad_id=PAD)


SIZES = [2, 16, 5, 7, 9, 3, 3, 11, 4, 8, 6, 2]


def test_every_conversation_is_whole_in_one_row_with_its_mask():
    rows, conversations = packed(SIZES), make_conversations(SIZES)
    found = []
    for row in rows.rows:
        assert len(row.ids) == len(row.loss_mask) == 16
        starts = [i for i in range(row.num_valid) if row.ids[i] == END] + [row.num_valid]
        found += [
            (row.ids[a:b].tolist(), row.loss_mask[a:b].tolist()) for a, b in zip(starts, starts[1:], strict=False)
        ]
        assert (row.ids[row.num_valid :] == PAD).all() and not row.loss_mask[row.num_valid :].any()
    assert sorted(found) == sorted((c.ids, c.loss_mask) for c in conversations)
    assert rows.num_tokens == sum(SIZES) and rows.num_targets == sum(size // 2 for size in SIZES)


def test_conversations_of_a_row_are_isolated_from_each_other():
    batch = collate(packed(SIZES).rows, end_of_text_id=END)
    for tokens, segments, positions in zip(batch.tokens_BT, batch.segments_BT, batch.positions_BT, strict=True):
        for document in set(segments.tolist()) - {-1}:
            inside = segments == document
            assert len(set(tokens[inside].tolist()) - {END}) <= 1
            assert positions[inside].tolist() == list(range(int(inside.sum())))
        assert (segments[tokens == PAD] == -1).all()


def test_every_id_keeps_the_source_of_its_conversation():
    conversations = make_conversations(SIZES)
    for number, conversation in enumerate(conversations):
        conversation.source = f"file {number % 3}"
    rows = PackedConversations(conversations, sequence_length=15, seed=0, pad_id=PAD)
    assert rows.source_names == ["file 0", "file 1", "file 2"]
    for row in rows.rows:
        known = [(i, s) for i, s in zip(row.ids[: row.num_valid], row.sources, strict=False) if i != END]
        assert known and all(source == number % 3 for number, source in known)


def test_the_rarest_of_too_many_sources_go_together():
    names = [f"s{number:02}" for number in range(MAX_SOURCES)]
    assert name_sources(names[::-1]) == names
    many = [*names, OTHERS, "one too many", *names[2:]]
    kept = name_sources(many)
    assert kept == [*sorted([*names[2:], "one too many"]), OTHERS] and len(kept) == MAX_SOURCES
    conversations = [Conversation([END, 1], [0, 1], source) for source in many]
    rows = PackedConversations(conversations, sequence_length=1, seed=0, pad_id=PAD)
    found = sorted(int(row.sources[0]) for row in rows.rows)
    assert found == sorted(kept.index(source) if source in kept else MAX_SOURCES - 1 for source in many)


def test_each_epoch_reads_every_row_once_in_another_order():
    rows = packed(SIZES * 4)
    count = rows.rows_per_epoch
    epochs = [[rows.read(epoch * count + i).ids.tobytes() for i in range(count)] for epoch in range(3)]
    everything = sorted(row.ids.tobytes() for row in rows.rows)
    assert all(sorted(epoch) == everything for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert [packed(SIZES * 4).read(i).ids.tobytes() for i in range(count)] == epochs[0]
    assert [packed(SIZES * 4, seed=1).read(i).ids.tobytes() for i in range(count)] != epochs[0]


def test_conversations_longer_than_a_row_are_counted_and_left_out():
    assert packed([16, 17, 40, 3]).num_too_long == 2
    assert all(np.isin([1, 2], row.ids).sum() == 0 for row in packed([16, 17, 40, 3]).rows)
    with pytest.raises(ValueError, match="data.sequence_length=15 is shorter than every one of the 2 conversations"):
        packed([17, 40])


def test_the_fingerprint_names_the_conversations_the_length_and_the_seed():
    made = [packed(SIZES), packed(SIZES, seed=1), packed(SIZES, sequence_length=16), packed(SIZES[:-1])]
    assert len({rows.fingerprint for rows in made}) == 4 and packed(SIZES).fingerprint == made[0].fingerprint
