"""Hostile tokenizer files: refused in one line before the library takes memory or time for them; known ones are read."""

import base64
import json
from pathlib import Path

import pytest

from mai1.tokenizer.foreign import MOST_IDS
from mai1.tokenizer.foreign_limits import check_limits
from mai1.tokenizer.tokenizer import Tokenizer
from tests.support.foreign import write_byte_level, write_metaspace

DOUBLING = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
DOUBLING_BY_EXPRESSION = {"type": "Replace", "pattern": {"Regex": "a"}, "content": "aa"}
ADDED = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}

GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
WITH_CASES = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{M}]+(?i:'s|'t)?|[\p{Han}]+|\p{N}{1,3}|\s*[\r\n]+|\s+"
)
THREES = r"\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))"
DEEPSEEK = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
)


def changed(folder: Path, **values: object) -> Path:
    """A sound tokenizer with parts of its file replaced; `model` holds what is changed there."""
    write_metaspace(folder)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"] |= values.pop("model", {})
    path.write_text(json.dumps(content | values))
    return folder


def sequence(kind: str, parts: list[dict]) -> dict:
    return {"type": "Sequence", kind: parts}


def split(expression: str) -> dict:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"normalizer": sequence("normalizers", [DOUBLING] * 40)}, "more than 1000 times as long"),
        ({"normalizer": sequence("normalizers", [DOUBLING_BY_EXPRESSION] * 40)}, "more than 1000 times as long"),
        ({"decoder": sequence("decoders", [DOUBLING] * 40)}, "more than 1000 times as long"),
        ({"normalizer": DOUBLING | {"content": "a" * 2000}}, "more than 1000 times as long"),
        (
            {
                "normalizer": sequence("normalizers", [DOUBLING] * 40),
                "added_tokens": [{"id": 900, "content": "aa"} | ADDED],
            },
            "more than 1000 times as long",
        ),
        ({"pre_tokenizer": split("(a+)+$")}, "repeats what repeats"),
        ({"pre_tokenizer": split("(?:x|y*)+z")}, "repeats what repeats"),
        ({"pre_tokenizer": split("((a{0,999}){0,999}){0,999}")}, "repeats what repeats"),
        ({"pre_tokenizer": split(".*.*.*.*x")}, "more than 3 repeats without an end in a row"),
        ({"pre_tokenizer": split(r"a\g<0>?b")}, "calls itself"),
        ({"normalizer": {"type": "Replace", "pattern": {"Regex": "(a*)*"}, "content": ""}}, "repeats what repeats"),
        ({"model": {"max_input_chars_per_word": 2**60}}, "max_input_chars_per_word="),
        (
            {
                "normalizer": {
                    "type": "Precompiled",
                    "precompiled_charsmap": base64.b64encode(b"\xff\xff\xff\xff").decode(),
                }
            },
            "says that it is longer than it is",
        ),
        ({"model": {"vocab": {"a": 2**40}}}, "cannot be read"),
        ({"model": {"vocab": {"a": -1}}}, "cannot be read"),
        ({"model": {"vocab": {"a": 2**32 - 1}, "merges": [], "unk_token": None}}, f"must have from 1 to {MOST_IDS}"),
        ({"pre_tokenizer": {"type": "FixedLength", "length": 0}}, "cannot cut or join a text"),
    ],
)
def test_a_hostile_tokenizer_is_refused_in_one_line(tmp_path: Path, values: dict, message: str):
    with pytest.raises(ValueError) as refused:
        Tokenizer.load(changed(tmp_path, **values)).encode("a text")
    assert message in str(refused.value) and str(tmp_path / "tokenizer.json") in str(refused.value)


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"a":' * 200_000, b"\xff", b"3", b"null", b"{} {}"])
def test_what_is_no_object_or_too_deep_is_refused(content: bytes):
    with pytest.raises(ValueError, match="here cannot be read"):
        check_limits(content, where="here")


def test_a_file_that_says_something_twice_is_refused_for_readers_differ(tmp_path: Path):
    write_metaspace(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text('{"normalizer": null, ' + path.read_text().lstrip()[1:])
    with pytest.raises(ValueError, match="an object says one key twice"):
        Tokenizer.load(tmp_path)


def test_ids_in_front_of_texts_that_no_tokenizer_has_are_refused(tmp_path: Path):
    special = {"a": {"id": "a", "ids": [2**31], "tokens": ["a"]}}
    parts = [{"SpecialToken": {"id": "a", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    template = {"type": "TemplateProcessing", "single": parts, "pair": [], "special_tokens": special}
    changed(tmp_path, post_processor=template)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    settings.pop("add_bos_token")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="puts ids that it does not have in front of texts"):
        _ = Tokenizer.load(tmp_path).begin_ids


@pytest.mark.parametrize(
    "expression", [GPT_2, QWEN, WITH_CASES, THREES, DEEPSEEK, r"\p{N}", " {2,}", r"\[+|[^\]\[]+", "]+a"]
)
def test_the_expressions_of_known_tokenizers_are_read(expression: str):
    check_limits(json.dumps({"pre_tokenizer": split(expression)}).encode(), where="here")


@pytest.mark.parametrize(
    "expression",
    ["(a+)+$", "(?i:a+)*", "((a+)b?)+", "(?<n>a+){2,}", "([^a]+)*", "(a+){99}", r"(\p{L}+)*?", "a*a*a*a*b"],
)
def test_expressions_that_may_try_every_way_are_not(expression: str):
    with pytest.raises(ValueError, match="here cannot be used"):
        check_limits(json.dumps({"pre_tokenizer": split(expression)}).encode(), where="here")


def test_a_text_that_an_expression_gives_up_on_is_named_and_nothing_panics(tmp_path: Path):
    folder = write_byte_level(tmp_path, special=("<|end|>",), eos_token="<|end|>")
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["pre_tokenizer"] = split("a*a*a*$")
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="tokenizer.json cannot cut or join a text .*retry-limit"):
        Tokenizer.load(folder).encode("a" * 5000 + "!")
