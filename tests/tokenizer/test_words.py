import random
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from mai1.tokenizer import words as module
from mai1.tokenizer.words import CUT, EXPRESSIONS, LETTERS, SPACES, Digits, segments, words

regex = pytest.importorskip("regex")

POINTS = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
SIGNS = "ab'sS .,-\n\r\t\u3000\u00a0\u001c17\u00e9\u0301\u4e00\u3002\u0e01\U0001f642\u17f0"
CONTEXTS = ("a{0}b ", "1{0}2 ", ".{0}. ", "'{0} ", "{0}{0}\n", " {0}", "'{0}{0}", "\n{0}x")


LIBRARY = {digits: Split(Regex(expression), behavior="isolated") for digits, expression in EXPRESSIONS.items()}


def words_of_library(text: str, digits: Digits) -> list[str]:
    return [word for word, _ in LIBRARY[digits].pre_tokenize_str(text)]


@pytest.mark.parametrize("digits", Digits)
def test_both_ways_to_cut_words_agree_on_characters_of_all_planes(digits: Digits):
    tried = [point for point in POINTS if point < 0x10000 or point % 37 == 0]
    for begin in range(0, len(tried), 4096):
        for context in CONTEXTS:
            text = "".join(context.format(chr(point)) for point in tried[begin : begin + 4096])
            assert list(words(text, digits)) == words_of_library(text, digits), hex(tried[begin])


@pytest.mark.parametrize("digits", Digits)
def test_words_are_those_of_an_independent_engine(digits: Digits, real_texts, random_texts, nasty_texts):
    """`regex` knows another version of Unicode: characters that Python's does not know are left out."""
    for text in real_texts[:30] + random_texts + nasty_texts:
        known = "".join(character for character in text if unicodedata.category(character) != "Cn")
        assert regex.findall(EXPRESSIONS[digits], known) == list(words(known, digits)), known[:80]


def test_spaces_and_letters_are_what_the_library_takes_them_for():
    inside = regex.compile(f"[{SPACES}]")
    everything = "".join(map(chr, POINTS))
    assert inside.findall(everything) == regex.findall(r"\s", everything)
    letters = "".join(regex.findall(f"[{LETTERS}]", everything))
    assert len(letters) > 30_000 and words_of_library(letters, Digits.single) == [letters]


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet=SIGNS, max_size=40))
def test_a_cut_changes_no_word(text: str):
    whole = words_of_library(text, Digits.up_to_three)
    for found in CUT.finditer(text):
        halves = (text[: found.end()], text[found.end() :])
        assert [word for half in halves for word in words_of_library(half, Digits.up_to_three)] == whole


def test_ordinary_text_of_many_kinds_is_cut_often(monkeypatch):
    monkeypatch.setattr(module, "SEGMENT_CHARACTERS", 100)
    for text in (
        "Plain words. " * 99,
        "\u5403\u996d\u3002" * 400,
        "x=1;y=[2];" * 99,
        "line\n" * 300,
        "\u0e01\u0e33 " * 300,
    ):
        assert max(map(len, segments(text))) < 120


def test_runs_that_stop_a_library_are_cut_into_words():
    text = " " * 1_000_000 + "x" + "7" * 10_000 + "\n" * 1_000_000
    found = list(words(text, Digits.up_to_three))
    assert "".join(found) == text and [len(word) for word in found[:2]] == [999_999, 2]


def test_random_cuts_of_real_text_give_the_same_words(real_texts):
    generator, text = random.Random(0), real_texts[0]
    places = sorted(generator.sample([found.end() for found in CUT.finditer(text)], 200))
    parts = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    assert [w for part in parts for w in words_of_library(part, Digits.single)] == words_of_library(text, Digits.single)
