"""Answers judged one by one: read from the common files, and mismatched within their rows."""

import json
from pathlib import Path

import pytest

from mai1.data.conversations import Conversation
from mai1.data.judgements import Judged, read_judged, to_judged
from mai1.data.mismatched import Turn, mismatched
from mai1.data.preferences import PackedPreferences, Pair
from tests.support.pairs import judged_rows

ASK = {"role": "user", "content": "Why?"}
SHAPES = {
    "TRL, text": ({"prompt": "Why?", "completion": "Because.", "label": True}, "Because.", None),
    "TRL, messages": (
        {"prompt": [ASK], "completion": [{"role": "assistant", "content": "No."}], "label": False},
        None,
        "No.",
    ),
    "messages with a label": (
        {"messages": [ASK, {"role": "assistant", "content": "Because."}], "label": 1},
        "Because.",
        None,
    ),
    "LLaMA-Factory": (
        {
            "conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "No."}],
            "kto_tag": False,
        },
        None,
        "No.",
    ),
    "alpaca with a label": ({"instruction": "Why?", "output": "No.", "label": "undesirable"}, None, "No."),
    "question and answer": ({"question": "Why?", "answer": "Because.", "label": "desirable"}, "Because.", None),
    "a pair": ({"prompt": "Why?", "chosen": "Because.", "rejected": "No."}, "Because.", "No."),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_common_shape_is_read(name: str):
    record, desirable, undesirable = SHAPES[name]
    assert to_judged(record) == Judged([ASK], desirable, undesirable)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"prompt": "Q", "completion": "A"}, "a judged answer needs the field label, or else chosen and rejected"),
        ({"prompt": "Q", "completion": "A", "label": "good"}, "label='good' must be true or false"),
        ({"prompt": "Q", "completion": "A", "label": None}, "label='None' must be true or false"),
        ({"messages": [ASK], "label": True}, "must be the last message, by the assistant, behind what it answers"),
        ([1], "a judged answer needs the field label"),
    ],
)
def test_what_is_no_judged_answer_is_named_with_its_place(tmp_path: Path, record: object, said: str):
    path = tmp_path / "bad.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in (SHAPES["TRL, text"][0], record)))
    with pytest.raises(ValueError, match=r"bad\.jsonl:2: .*") as raised:
        read_judged(path)
    assert said in str(raised.value)


def test_a_file_of_one_kind_is_refused(tmp_path: Path):
    path = tmp_path / "kind.jsonl"
    path.write_text(json.dumps(SHAPES["TRL, text"][0]) + "\n")
    with pytest.raises(ValueError, match="holds no undesirable answer, but preference.method=kto learns from both"):
        read_judged(path)
    with pytest.raises(ValueError, match="is no file: name a .jsonl or .json file of answers with a label"):
        read_judged(tmp_path / "none.jsonl")


def test_mismatched_answers_are_those_of_the_row_each_behind_another_prompt():
    packed = judged_rows(count=40)
    for row, other in zip(packed.rows, packed.mismatched, strict=True):
        own, moved = [
            [(ids[: mask.index(1)], ids[mask.index(1) :]) for ids, mask in _answers(each)] for each in (row, other)
        ]
        assert [prompt for prompt, _ in own] == [prompt for prompt, _ in moved]
        assert other.pairs.tolist() == row.pairs.tolist() and other.num_valid <= len(other.ids)
        assert all(answer != before for (_, answer), (_, before) in zip(moved, own, strict=True))
        if len(own) > 1:
            assert sorted(answer for _, answer in own) == sorted(answer for _, answer in moved)


def _answers(row) -> list[tuple[list[int], list[int]]]:
    numbers = sorted(set(row.answers[row.answers >= 0].tolist()))
    parts = [row.answers == number for number in numbers]
    return [(row.ids[part].tolist(), row.loss_mask[part].tolist()) for part in parts]


def turn(prompt: str, answer: str) -> Turn:
    return Turn(tuple(map(ord, prompt)), tuple(map(ord, answer)), (1,) * len(answer))


def told(rows: list[list[Turn]]) -> list[list[str]]:
    return [["".join(map(chr, (*each.prompt, *each.answer))) for each in row] for row in rows]


def test_two_answers_to_one_prompt_never_change_places():
    rows = [[turn("a?", "1"), turn("a?", "2"), turn("b?", "3"), turn("b?", "4")]]
    assert told(mismatched(rows, capacity=99)) == [["a?3", "a?4", "b?1", "b?2"]]


def test_a_row_of_one_prompt_borrows_from_the_next_row_and_stays_within_its_room():
    rows = [[turn("a?", "1"), turn("a?", "2")], [turn("a?", "9")], [turn("b?", "3456")]]
    assert told(mismatched(rows, capacity=8)) == [["a?34", "a?34"], ["a?3456"], ["b?1"]]


def test_one_prompt_for_all_is_refused_with_the_mend():
    answers = [Conversation([1, 2, 3 + n], [0, 0, 1]) for n in range(4)]
    pairs = [Pair(answer, None) if n % 2 else Pair(None, answer) for n, answer in enumerate(answers)]
    with pytest.raises(ValueError, match="all answers have the same prompt, but preference.method=kto"):
        PackedPreferences(pairs, sequence_length=8, seed=0, pad_id=0, is_mismatched=True)


def test_mismatched_rows_come_in_the_order_of_the_rows():
    packed = judged_rows(count=40)
    for sample in range(2 * packed.rows_per_epoch):
        assert packed.read(sample).pairs.tolist() == packed.read_mismatched(sample).pairs.tolist()
