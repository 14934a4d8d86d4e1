"""Pairs of answers: read from files, packed whole, never mixed."""

import json
from pathlib import Path

import numpy as np
import pytest

from mai1.data.batch import collate
from mai1.data.heldout import empty_row
from mai1.data.preferences import PackedPreferences, Pair, read_preferences
from tests.support.pairs import pair_rows, some_pairs
from tests.support.tiny import END_OF_TEXT


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_every_pair_is_whole_in_one_row():
    packed = pair_rows(count=40)
    seen = []
    for row in packed.rows:
        for place, number in enumerate(row.pairs):
            if number < 0:
                continue
            seen.append(int(number))
            pair = packed.pairs[number]
            for side, answer in enumerate((pair.chosen, pair.rejected)):
                part = row.answers == 2 * place + side
                assert row.ids[part].tolist() == answer.ids and row.loss_mask[part].tolist() == answer.loss_mask
        assert not row.loss_mask[row.answers < 0].any()
    assert sorted(seen) == list(range(40))


def test_each_answer_is_a_document_of_its_own_whatever_its_first_token_is():
    packed = pair_rows(count=20)
    for row in packed.rows:
        row.ids[row.ids == END_OF_TEXT] = 65  # a template that begins with something else
    batch = collate(packed.rows[:4], end_of_text_id=END_OF_TEXT)
    for row, (segments, positions) in zip(
        packed.rows, zip(batch.segments_BT, batch.positions_BT, strict=True), strict=False
    ):
        answers = row.answers[:-1]
        for answer in np.unique(answers[answers >= 0]):
            own = segments[answers == answer]
            assert (own == own[0]).all() and not (segments[answers != answer] == own[0]).any()
            assert positions[answers == answer].tolist() == list(range(len(own)))


def test_a_batch_that_is_filled_up_knows_which_rows_have_no_pairs():
    packed = pair_rows(count=20)
    batch = collate([packed.rows[0], empty_row(packed.sequence_length, pad_id=0)], end_of_text_id=END_OF_TEXT)
    assert (batch.pairs_BP[1] == -1).all() and (batch.answers_BT[1] == -1).all() and (batch.pairs_BP[0] >= 0).any()


def test_equal_answers_and_pairs_that_are_too_long_are_left_out_and_said():
    pairs = some_pairs(6)
    same = Pair(pairs[0].chosen, pairs[0].chosen)
    longest = max(pair.num_ids for pair in pairs)
    packed = PackedPreferences([*pairs, same], sequence_length=longest - 2, seed=0, pad_id=0)
    assert len(packed.pairs) < 6 and "pairs have two equal answers" in packed.notes[1]
    assert f"are longer than data.sequence_length={longest - 2} and left out" in packed.notes[0]


def test_the_fingerprint_tells_the_sides_apart():
    pairs = some_pairs(6)
    turned = [Pair(pair.rejected, pair.chosen) for pair in pairs]
    prints = {PackedPreferences(p, sequence_length=64, seed=0, pad_id=0).fingerprint for p in (pairs, turned)}
    assert len(prints) == 2


def test_rows_come_in_another_order_each_epoch_and_each_comes_once():
    packed = pair_rows(count=40)
    count = packed.rows_per_epoch
    epochs = [[packed.read(epoch * count + i).ids.tobytes() for i in range(count)] for epoch in (0, 1)]
    assert epochs[0] != epochs[1] and sorted(epochs[0]) == sorted(epochs[1])


def test_files_of_every_shape_are_read_with_their_sources(tmp_path: Path):
    path = write(
        tmp_path / "mine.jsonl",
        {"prompt": "Q", "chosen": "good", "rejected": "bad"},
        {"instruction": "Do", "input": "this", "chosen": "good", "rejected": "bad", "source": "tasks"},
        {
            "conversations": [{"from": "human", "value": "Q"}],
            "chosen": {"from": "gpt", "value": "a"},
            "rejected": {"from": "gpt", "value": "b"},
        },
        {"chosen": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "a"}],
         "rejected": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "b"}]},
    )  # fmt: skip
    read = read_preferences(path)
    assert [source for _, source in read] == ["mine", "tasks", "mine", "mine"]
    found = [(preference.messages[-1]["content"], preference.chosen) for preference, _ in read]
    assert found == [("Q", "good"), ("Do\n\nthis", "good"), ("Q", "a"), ("Q", "a")]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"prompt": "Q", "completion": "A"}, "a preference needs the fields chosen and rejected"),
        ({"prompt": "Q", "chosen": "A", "rejected": 3}, "rejected must be a text or a message, not int"),
        ({"chosen": "A", "rejected": "B"}, "chosen and rejected need a prompt"),
        ([1], "a preference needs the fields"),
    ],
)
def test_what_is_no_pair_is_named_with_its_place(tmp_path: Path, record: object, said: str):
    path = write(tmp_path / "bad.jsonl", {"prompt": "Q", "chosen": "a", "rejected": "b"}, record)
    with pytest.raises(ValueError, match=rf"bad\.jsonl:2: {said}"):
        read_preferences(path)


def test_a_file_that_is_missing_or_empty_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="is no file: name a .jsonl or .json file of pairs"):
        read_preferences(tmp_path / "none.jsonl")
    with pytest.raises(ValueError, match="is empty"):
        read_preferences(write(tmp_path / "empty.jsonl"))
