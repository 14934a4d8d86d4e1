import json
import subprocess
import sys
from pathlib import Path

import pytest

from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.huggingface import merges_of, write_huggingface_files
from mai1.tokenizer.sentencepiece_model import SPACE
from mai1.tokenizer.tokenizer import Tokenizer

transformers = pytest.importorskip("transformers")

CONVERSATIONS = [
    [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}],
    [
        {"role": "system", "content": " Be brief.\n"},
        {"role": "user", "content": "\U0001f642\U0001f642 and \u2581 \t\x00"},
        {"role": "assistant", "content": "\U0001f642 first\n\n"},
        {"role": "tool", "content": '{"a": 1}'},
        {"role": "assistant", "content": "  indented\r\n"},
    ],
    [{"role": "user", "content": ""}, {"role": "assistant", "content": "\n\nx"}],
]


@pytest.fixture(scope="session")
def directory(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("huggingface")
    write_huggingface_files(tokenizer, path)
    return path


@pytest.fixture(scope="session")
def theirs(directory: Path):
    return transformers.AutoTokenizer.from_pretrained(directory)


def test_ids_of_raw_text_equal_ours(tokenizer: Tokenizer, theirs, real_texts, nasty_texts, random_texts):
    texts = nasty_texts + random_texts + real_texts
    ids = theirs(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    for text, ours, other in zip(texts, tokenizer.encode_batch(texts), ids, strict=True):
        assert ours == other, repr(text[:200])


def test_the_default_call_adds_nothing(tokenizer: Tokenizer, theirs):
    assert theirs("plain text")["input_ids"] == tokenizer.encode("plain text")


def test_decoding_equals_ours(tokenizer: Tokenizer, theirs, nasty_texts, random_texts):
    for text in nasty_texts + random_texts[:400]:
        assert theirs.decode(tokenizer.encode(text)) == text


def test_control_ids_are_the_same(tokenizer: Tokenizer, theirs):
    for name in tokenizer.vocabulary.control:
        assert theirs.convert_tokens_to_ids(name) == tokenizer.vocabulary.control_id(name)
    assert theirs.eos_token_id == tokenizer.end_of_text_id and theirs.pad_token_id == tokenizer.pad_id
    assert len(theirs) <= tokenizer.vocabulary.size


@pytest.mark.parametrize("messages", CONVERSATIONS)
def test_chat_ids_and_assistant_masks_equal_ours(tokenizer: Tokenizer, theirs, messages: list[dict]):
    chat = encode_chat(tokenizer, messages)
    other = theirs.apply_chat_template(messages, tokenize=True, return_assistant_tokens_mask=True, return_dict=True)
    assert other["input_ids"] == chat.ids
    assert other["assistant_masks"] == chat.loss_mask


@pytest.mark.parametrize("messages", CONVERSATIONS)
def test_generation_prompts_equal_ours(tokenizer: Tokenizer, theirs, messages: list[dict]):
    other = theirs.apply_chat_template(messages[:-1], tokenize=True, add_generation_prompt=True, return_dict=True)
    assert other["input_ids"] == encode_chat(tokenizer, messages[:-1], add_generation_prompt=True).ids


@pytest.mark.parametrize("message", [{"role": "robot", "content": "x"}, {"role": "user", "content": ["x"]}])
def test_the_template_refuses_what_we_refuse(theirs, message: dict):
    with pytest.raises(Exception, match="must be"):
        theirs.apply_chat_template([message])


def test_each_piece_is_made_by_at_most_one_merge(bpe: Tokenizer):
    pieces = [(piece.replace(SPACE, " "), score) for piece, score in bpe.pieces()]
    merges = merges_of(pieces)
    assert len({left + right for left, right in merges}) == len(merges)
    assert len(merges) == sum(len(piece) > 1 for piece, _ in pieces[257:])


def test_files_are_json_and_name_no_code(directory: Path):
    assert sorted(path.name for path in directory.iterdir()) == [
        "chat_template.jinja",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert "auto_map" not in json.loads((directory / "tokenizer_config.json").read_text())


def test_writing_needs_no_transformers(bpe: Tokenizer, tmp_path: Path):
    bpe.save(tmp_path)
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        "from pathlib import Path\n"
        "from mai1.tokenizer.tokenizer import Tokenizer\n"
        "from mai1.tokenizer.huggingface import write_huggingface_files\n"
        f"write_huggingface_files(Tokenizer.load(Path({str(tmp_path)!r})), Path({str(tmp_path)!r}))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
