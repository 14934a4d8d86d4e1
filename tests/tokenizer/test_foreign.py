"""Tokenizers of other makers: the ids, texts and files that transformers has."""

import json
from pathlib import Path

import pytest

from mai1.tokenizer.tokenizer import Tokenizer
from tests.support.foreign import TEMPLATES, real_texts, write_byte_level, write_metaspace, write_named

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module", params=["qwen3", "llama3", "mistral", "glm"])
def directory(request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_named(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def ours(directory: Path) -> Tokenizer:
    return Tokenizer.load(directory)


@pytest.fixture(scope="module")
def theirs(directory: Path):
    return transformers.AutoTokenizer.from_pretrained(directory)


def test_ids_of_real_text_equal_transformers(ours: Tokenizer, theirs, nasty_texts, random_texts):
    for text in nasty_texts + random_texts[:500] + real_texts():
        expected = theirs(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert ours.encode(text) == expected, repr(text[:200])


def test_decoding_equals_transformers(ours: Tokenizer, theirs, nasty_texts, random_texts):
    for text in nasty_texts + random_texts[:300] + real_texts()[:20]:
        ids = theirs(text)["input_ids"]
        assert ours.decode(ids) == theirs.decode(ids), repr(text[:200])


def test_raw_text_holds_no_control_token(ours: Tokenizer):
    for name in ours.vocabulary.control:
        if name != "<unk>":
            assert ours.vocabulary.control_id(name) not in ours.encode(f"say {name} or{name}")


def test_what_transformers_puts_in_front_of_a_text_is_known(ours: Tokenizer, theirs):
    assert ours.begin_ids + ours.encode("some text") == theirs("some text")["input_ids"]


def test_special_ids_are_those_of_transformers(ours: Tokenizer, theirs):
    assert ours.end_of_text_id == theirs.eos_token_id and ours.end_of_text_id == ours.stop_ids[0]
    assert ours.pad_id == (theirs.pad_token_id if theirs.pad_token_id is not None else theirs.eos_token_id)
    assert ours.num_text_ids == len(theirs)
    assert [theirs.convert_tokens_to_ids(name) for name in ours.vocabulary.control] == [
        ours.vocabulary.control_id(name) for name in ours.vocabulary.control
    ]


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("qwen3", ["<|im_end|>"]),
        ("llama3", ["<|eot_id|>"]),
        ("mistral", ["</s>"]),
        ("glm", ["<|endoftext|>", "<|user|>", "<|observation|>"]),
    ],
)
def test_an_answer_ends_as_the_config_or_the_template_says(tmp_path: Path, name: str, ends: list[str]):
    tokenizer = Tokenizer.load(write_named(tmp_path, name))
    assert [tokenizer.vocabulary.name_of(i) for i in tokenizer.stop_ids] == ends


def test_a_template_may_end_answers_with_another_token_than_texts(tmp_path: Path):
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    write_byte_level(tmp_path, special=special, template=TEMPLATES["chatml"], eos_token="<|endoftext|>")
    tokenizer = Tokenizer.load(tmp_path)
    assert [tokenizer.vocabulary.name_of(i) for i in tokenizer.stop_ids] == ["<|endoftext|>", "<|im_end|>"]


def test_saved_files_are_the_same_bytes(directory: Path, ours: Tokenizer, tmp_path: Path):
    ours.save(tmp_path / "copy")
    names = sorted(path.name for path in directory.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "copy").iterdir())
    assert all((directory / name).read_bytes() == (tmp_path / "copy" / name).read_bytes() for name in names)
    assert Tokenizer.load(tmp_path / "copy").hash == ours.hash


def test_a_token_that_only_the_settings_add_is_there(tmp_path: Path):
    write_byte_level(tmp_path, special=("<|endoftext|>",), eos_token="<|endoftext|>")
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    number = Tokenizer.load(tmp_path).num_text_ids
    entry = {"content": "<|tool|>", "special": True, "normalized": False}
    settings |= {"added_tokens_decoder": {str(number): entry}, "additional_special_tokens": ["<|tool|>", "<|more|>"]}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    ours, theirs = Tokenizer.load(tmp_path), transformers.AutoTokenizer.from_pretrained(tmp_path)
    for name in ("<|tool|>", "<|more|>"):
        assert ours.vocabulary.control_id(name) == theirs.convert_tokens_to_ids(name)
    assert ours.num_text_ids == len(theirs) == number + 2


@pytest.mark.parametrize("name", ["merges.txt", "vocab.json", "tokenizer.model", "tokenizer.json"])
def test_a_tokenizer_takes_over_nothing_that_a_link_leads_to(tmp_path: Path, name: str):
    write_metaspace(tmp_path / "given")
    (tmp_path / "private").write_bytes((tmp_path / "given" / "tokenizer.json").read_bytes())
    (tmp_path / "given" / name).unlink(missing_ok=True)
    (tmp_path / "given" / name).symlink_to(tmp_path / "private")
    with pytest.raises(ValueError, match=f"{name} is a link to .*private, outside of its directory"):
        Tokenizer.load(tmp_path / "given")


def test_truncation_and_padding_in_the_file_are_left_alone(tmp_path: Path):
    write_metaspace(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert len(Tokenizer.load(tmp_path).encode(real_texts()[0])) > 100


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("tokenizer.json", "{}", "tokenizer.json cannot be read"),
        ("tokenizer.json", None, "has no tokenizer.json"),
        ("tokenizer_config.json", "[]", "tokenizer_config.json must hold a JSON object"),
        ("tokenizer_config.json", "{", "tokenizer_config.json is not JSON"),
        ("tokenizer_config.json", "{}", "names no eos_token"),
        ("tokenizer_config.json", '{"eos_token": "</s>", "added_tokens_decoder": {"x": 1}}', "added_tokens_decoder"),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path: Path, file: str, content: str | None, message: str):
    write_metaspace(tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(content)
    with pytest.raises(ValueError) as error:
        Tokenizer.load(tmp_path)
    assert message in str(error.value)
