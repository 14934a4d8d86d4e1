"""Which lines go, which stay, and what is counted."""

import random

import pytest

from data_prep.document import Document
from data_prep.stages.boilerplate import BoilerplateConfig, BoilerplateStage, remove_boilerplate

OFF = {
    "javascript": False,
    "policies": False,
    "citations": False,
    "unpunctuated": False,
    "min_line_words": 0,
    "max_word_characters": 0,
    "menu_lines": 0,
    "repeated_menu_lines": 0,
}
TEXT = "The first line of the text.\n\nThe second line of it, which is a little longer.\nA third one.\n"


def only(**changes: object) -> BoilerplateConfig:
    return BoilerplateConfig(**{"enabled": True, **OFF, **changes})


@pytest.mark.parametrize(
    ("line", "changes", "rule"),
    [
        ("Please enable JavaScript to see this page.", {"javascript": True}, "javascript"),
        ("Read our Privacy Policy before you go on.", {"policies": True}, "policies"),
        ("This site uses cookies.", {"policies": True}, "policies"),
        ("A heading without an end", {"unpunctuated": True}, "unpunctuated"),
        ("The beginning of something...", {"unpunctuated": True}, "unpunctuated"),
        ("Four words are few.", {"min_line_words": 5}, "few_words"),
        ("Here is one " + "x" * 41 + ".", {"max_word_characters": 40}, "long_word"),
    ],
)
def test_each_line_rule_takes_its_line_alone_and_is_off_without_its_key(line: str, changes: dict, rule: str):
    before, after = "A line of six words stands above.\n", "And a line of seven words stands below.\n"
    expected = (before + after, {f"boilerplate.{rule}": 1})
    assert remove_boilerplate(before + line + "\n" + after, only(**changes)) == expected
    assert remove_boilerplate(before + line + "\n" + after, only()) == (before + line + "\n" + after, {})


def test_citations_go_out_of_their_lines():
    found = remove_boilerplate("It is so [12][edit], they say [citation needed]. See [this].\n", only(citations=True))
    assert found == ("It is so, they say. See [this].\n", {"boilerplate.citations": 3})


def test_rows_of_menu_lines_go_at_top_and_bottom_but_for_the_title():
    menu = "Home\nAbout us\n\nContact\n"
    text = f"{menu}The title\n\n{TEXT}Next\nImprint\nTop of page\n"
    wanted = ("The title\n\n" + TEXT, {"boilerplate.menu": 6})
    assert remove_boilerplate(text, only(menu_lines=3)) == wanted
    assert remove_boilerplate(text, only(menu_lines=5)) == (text, {})
    assert remove_boilerplate(text, only(menu_lines=3, max_menu_words=1))[1] == {}
    middle = f"{TEXT}{menu}{TEXT}"
    assert remove_boilerplate(middle, only(menu_lines=3)) == (middle, {})


def test_menu_lines_that_come_again_go_wherever_they_stand():
    text = "Reply\nA first answer.\n  Reply\nA second one.\nReply\nOther\nYes.\nYes.\nYes.\n"
    wanted = ("A first answer.\nA second one.\nOther\nYes.\nYes.\nYes.\n", {"boilerplate.repeated": 3})
    assert remove_boilerplate(text, only(repeated_menu_lines=3)) == wanted
    assert remove_boilerplate(text, only(repeated_menu_lines=4)) == (text, {})


def test_what_is_left_is_always_lines_of_the_text_in_order():
    source = random.Random(0)
    pool = ["Home", "Reply", "", "A whole sentence of words.", "Uses cookies.", "no end here at all", "javascript"]
    for _ in range(500):
        lines = [source.choice(pool) for _ in range(source.randint(0, 25))]
        text = "\n".join(lines).strip("\n") + "\n"
        left, edits = remove_boilerplate(text, BoilerplateConfig(unpunctuated=source.random() < 0.5))
        remaining = iter(lines)
        assert all(line in remaining for line in left.split("\n")[:-1] if line)
        visible = [len([line for line in part.split("\n") if line]) for part in (text, left)]
        assert visible[0] - visible[1] == sum(edits.values())
        assert left == text if not edits else left in ("", left.strip("\n") + "\n")


def test_it_is_off_by_default_and_leaves_code_alone():
    page = Document(text="Home\nNews\nSports\nTitle\n" + TEXT, name="x", edits={"repair.line_ends": 2})
    code = Document(text="a\nb\nc\nd\nif (x) {\n  return [x];\n}\n" * 4, name="y")
    assert BoilerplateStage(BoilerplateConfig())([page, code]) == [page, code]
    found, same = BoilerplateStage(BoilerplateConfig(enabled=True))([page, code])
    assert same is code
    assert found.text == "Title\n" + TEXT and found.edits == {"repair.line_ends": 2, "boilerplate.menu": 3}


def test_a_document_may_end_up_empty():
    page = Document(text="Uses cookies.\n", name="x")
    assert BoilerplateStage(BoilerplateConfig(enabled=True))([page])[0].text == ""


@pytest.mark.parametrize("key", [key for key, value in OFF.items() if value is not False] + ["max_menu_words"])
def test_wrong_limits_are_refused(key: str):
    with pytest.raises(ValueError, match=f"boilerplate.{key}=-1 must be at least 0"):
        BoilerplateConfig(**{key: -1})
