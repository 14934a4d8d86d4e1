import random

import pytest

from mai1.evaluate.contamination import ItemIndex, Part

WORDS = [f"word{i}" for i in range(500)]


def sentence(seed: int, length: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def test_items_that_stand_in_a_text_are_found_and_others_are_not():
    questions = [sentence(i, 14) for i in range(30)]
    index = ItemIndex([[[question, "an answer"]] for question in questions])
    text = sentence(100, 2000) + f" {questions[3].upper()}! An answer. " + sentence(101, 3000) + f" {questions[7]}"
    assert index.seen_in([sentence(102, 500), text]) == {3, 7}  # two words are too few to be asked for


def test_a_question_counts_only_with_its_answer_unless_it_is_long():
    answer = sentence(9, 8)
    short, long = sentence(1, 12), sentence(2, 25)
    index = ItemIndex([[[short, answer]], [[long, answer]]])
    assert index.seen_in([f"{short} and {long}"]) == {1}
    assert index.seen_in([f"{short} {sentence(3, 20)} {answer}"]) == {0}
    assert index.seen_in([short, answer]) == set()  # in two documents it is not the item


def test_all_choices_count_as_well_as_the_right_one():
    question, choices = sentence(1, 10), [sentence(i, 6) for i in range(5, 9)]
    index = ItemIndex([[[question, choices[2]], [question, *choices]]])
    assert index.seen_in([f"{question} {choices[2]}"]) == {0}
    assert index.seen_in([f"{question} {choices[1]}"]) == set()


@pytest.mark.parametrize(("kept", "is_seen"), [(60, True), (52, True), (40, False)])
def test_of_a_long_item_four_fifths_are_enough(kept: int, is_seen: bool):
    words = sentence(4, 60).split()
    index = ItemIndex([[[" ".join(words)]]])
    assert (index.seen_in([" ".join(words[:kept])]) == {0}) is is_seen


def test_short_items_are_told_apart():
    index = ItemIndex([[["Predators eat", "bunnies"]], [[sentence(1, 30), "x"]], [[sentence(2, 30), "x"]]])
    assert index.parts(index.seen_in([f"Predators eat bunnies. {sentence(1, 30)}"])) == [
        Part.short,
        Part.dirty,
        Part.clean,
    ]


def test_without_items_and_without_text_nothing_is_found():
    assert ItemIndex([]).seen_in([sentence(1, 100)]) == set()
    assert ItemIndex([[[sentence(1, 30)]]]).seen_in(["", "a"]) == set()
