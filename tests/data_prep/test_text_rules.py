"""Cleaning, filtering, deduplication and splitting: the pure parts."""

import random

import pytest

from data_prep.cleaning import Newlines, clean
from data_prep.deduplication import Deduplicator, content_key
from data_prep.filters import FilterConfig, digit_fraction, letter_fraction, reason_to_drop, repeated_line_fraction
from data_prep.splitting import Budget, choose_heldout, split_tail, uniform

PROSE = "The river runs past old houses, where people trade bread and salt.\nThen winter comes to the islands.\n"


def test_clean_text_is_left_untouched():
    text = "  indented\n\n\ttab \u2581 caf\u00e9 e\u0301 \U0001f642  trailing  \nend\n"
    assert clean(text, newlines=Newlines.unix) == text == clean(text, newlines=Newlines.keep)


def test_control_characters_and_byte_order_marks_are_removed():
    assert clean("\ufeffa\x00b\x0cc\x7fd\n", newlines=Newlines.unix) == "abcd\n"


def test_line_ends_become_what_is_asked_for():
    assert clean("a\r\nb\rc\n", newlines=Newlines.unix) == "a\nb\nc\n"
    assert clean("a\r\nb\rc\n", newlines=Newlines.keep) == "a\r\nb\rc\n"


def test_lone_surrogates_become_replacement_characters():
    assert clean("a\ud800b\n", newlines=Newlines.unix) == "a\ufffdb\n"


def test_white_space_alone_is_empty():
    assert clean(" \n\t\n", newlines=Newlines.unix) == ""


def test_good_text_has_no_reason_to_be_dropped():
    assert reason_to_drop(PROSE, FilterConfig()) == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("short", "too_short"),
        (PROSE * 200, "too_long"),
        ("word " * 5000, "long_line"),
        ("=+-*/ " * 40, "few_letters"),
        ("abc 123 4 " * 20, "many_digits"),
        (PROSE * 20, "repeated_lines"),
    ],
)
def test_each_rule_gives_its_name_and_zero_turns_it_off(text: str, reason: str):
    assert reason_to_drop(text, FilterConfig(max_characters=19_000 if reason == "too_long" else 0)) == reason
    off = FilterConfig(
        min_characters=0,
        max_line_characters=0,
        min_letter_fraction=0,
        max_digit_fraction=0,
        max_repeated_line_fraction=0,
    )
    assert reason_to_drop(text, off) == ("empty" if reason == "empty" else "")


def test_fractions_are_shares_of_visible_characters():
    assert letter_fraction("ab 12 \u65e5\n") == 3 / 5
    assert digit_fraction("ab 12\n") == 0.5
    assert repeated_line_fraction("same\nsame\n}\n}\nother\n") == pytest.approx(4 / 13)
    assert letter_fraction("") == digit_fraction(" ") == repeated_line_fraction("\n") == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_characters": -1}, "prepare.filters.min_characters=-1 must be at least 0"),
        ({"min_letter_fraction": 1.5}, "prepare.filters.min_letter_fraction=1.5 must be from 0 to 1"),
        ({"max_characters": 10}, "prepare.filters.max_characters=10 must be at least min_characters=80"),
    ],
)
def test_wrong_limits_are_refused(changes: dict, message: str):
    with pytest.raises(ValueError) as error:
        FilterConfig(**changes)
    assert message in str(error.value)


def test_texts_that_differ_in_white_space_only_are_duplicates():
    seen = Deduplicator()
    answers = [seen.is_duplicate(content_key(text)) for text in ("a b", "a  b\n", "a\tb", "ab", "A b")]
    assert answers == [False, True, True, False, False]


def test_purposes_and_seeds_give_independent_numbers():
    keys = [str(i).encode() for i in range(4000)]
    first = [uniform(key, seed=0, purpose="heldout") for key in keys]
    second = [uniform(key, seed=0, purpose="sample") for key in keys]
    assert 0.47 < sum(first) / len(first) < 0.53
    assert 0.2 < sum(a < 0.5 and b < 0.5 for a, b in zip(first, second, strict=True)) / len(keys) < 0.3
    assert first != [uniform(key, seed=1, purpose="heldout") for key in keys]


def test_the_heldout_choice_does_not_depend_on_order_or_on_other_documents():
    families = [str(i).encode() for i in range(500)]
    chosen = choose_heldout(families, fraction=0.1, seed=0)
    assert 30 < len(chosen) < 70
    shuffled = random.Random(0).sample(families, len(families))
    assert choose_heldout(shuffled, fraction=0.1, seed=0) == chosen
    assert choose_heldout(families[:250], fraction=0.1, seed=0) == chosen & set(families[:250])


@pytest.mark.parametrize("fraction", [0.001, 0.5])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_two_or_more_documents_leave_both_sides_something(fraction: float, count: int):
    for seed in range(20):
        chosen = choose_heldout([str(i).encode() for i in range(count)], fraction=fraction, seed=seed)
        assert 1 <= len(chosen) < count


def test_nothing_is_held_out_of_one_document_or_at_fraction_zero():
    assert choose_heldout([b"a"], fraction=0.5, seed=0) == set() == choose_heldout([b"a", b"b"], fraction=0.0, seed=0)


def test_the_tail_joins_its_head():
    assert split_tail("0123456789", fraction=0.3) == ("0123456", "789")


def test_a_budget_takes_what_fits():
    budget = Budget(100)
    assert [budget.take(size) for size in (60, 50, 40, 1)] == [True, False, True, False]
    assert budget.is_spent and budget.taken == 100
    assert Budget(0).take(1 << 60) and not Budget(0).is_spent
