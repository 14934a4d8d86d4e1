import json

import pytest

from mai1.tokenizer.vocabulary import DEFAULT_CONTROL, Vocabulary


def make(**changes) -> Vocabulary:
    return Vocabulary(**{"text_size": 1000, "control": DEFAULT_CONTROL, "reserved_size": 10} | changes)


@pytest.mark.parametrize("text_size", [1, 127, 128, 1000, 1111, 8000])
def test_spans_cover_all_ids_without_gap_or_overlap(text_size: int):
    vocabulary = make(text_size=text_size)
    assert [span.name for span in vocabulary.spans] == ["text", "control", "reserved", "padding"]
    ids = [i for span in vocabulary.spans for i in range(span.start, span.start + span.size)]
    assert ids == list(range(vocabulary.size))


@pytest.mark.parametrize("text_size", [1, 111, 112, 1000, 8000])
def test_size_is_the_least_multiple_of_128(text_size: int):
    used = text_size + len(DEFAULT_CONTROL) + 10
    size = make(text_size=text_size).size
    assert size % 128 == 0 and used <= size < used + 128


def test_control_ids_follow_the_text_ids():
    assert [make().control_id(name) for name in DEFAULT_CONTROL] == list(range(1000, 1007))


def test_every_id_above_the_text_has_its_own_name():
    vocabulary = make()
    names = [vocabulary.name_of(i) for i in range(1000, vocabulary.size)]
    assert len(set(names)) == len(names)
    assert names[0] == "<|endoftext|>" and names[7] == "<|reserved_0|>" and names[17] == "<|padding_0|>"


def test_json_gives_the_same_vocabulary_back():
    assert Vocabulary.from_json(make().to_json()) == make()


def test_unknown_control_names_are_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"control token '<\|robot\|>' must be one of <\|endoftext\|>, "):
        make().control_id("<|robot|>")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_size": 0}, "vocabulary.text_size=0 must be an integer from 1"),
        ({"text_size": 1 << 40}, "must be an integer from 1 to"),
        ({"text_size": True}, "vocabulary.text_size=True must be an integer"),
        ({"text_size": "9"}, "vocabulary.text_size='9' must be an integer"),
        ({"reserved_size": -1}, "vocabulary.reserved_size=-1 must be an integer from 0"),
        ({"control": ["<|pad|>"]}, "must hold <|endoftext|>: add it"),
        ({"control": ["<|endoftext|>", "<|pad|>", "<|pad|>"]}, "must not repeat a name"),
        ({"control": "<|pad|>"}, "must be a list of names"),
        ({"control": [1]}, "must be a tuple of non-empty names"),
        ({"format": "other"}, "must state format mai1-vocabulary and version 1"),
        ({"version": 2}, "must state format mai1-vocabulary and version 1"),
    ],
)
def test_a_wrong_vocabulary_file_is_refused(change: dict, message: str):
    with pytest.raises(ValueError) as error:
        Vocabulary.from_json(json.dumps(json.loads(make().to_json()) | change))
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000])
def test_what_is_no_json_object_is_refused(text: str):
    with pytest.raises(ValueError, match="restore the file"):
        Vocabulary.from_json(text)
