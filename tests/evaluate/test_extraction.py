import pytest

from mai1.evaluate.extraction import Extraction, extract, number_in


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("8 - 7 = 1 #### 1", "1"),
        ("She sold 48/2 = 24 in May.\n#### 72", "72"),
        ("The answer is 1,234.", "1234"),
        ("It is 5.50 dollars", "11/2"),
        ("It is 5.0", "5"),
        ("so -3", "-3"),
        ("3 and then 4", "4"),
        ("#### 12 apples, not 13", "12"),
        ("#### nothing, but 7 before #### again", "7"),
        ("a half: 2/4", "1/2"),
        ("10/0", None),
        ("no number", None),
        ("", None),
        ("9" * 200, None),
    ],
)
def test_the_number_of_a_reply(said: str, expected: str | None):
    assert number_in(said) == expected
    assert extract(said, Extraction.number) == expected


def test_texts_are_compared_without_case_spaces_and_a_full_stop():
    assert extract("  The  Cat.\n", Extraction.text) == extract("the cat", Extraction.text) == "the cat"
    assert extract(" ", Extraction.text) is None
