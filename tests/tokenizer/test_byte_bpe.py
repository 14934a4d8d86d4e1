import copy
import json
import os
import random
import subprocess
import sys
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mai1.tokenizer.byte_bpe import ALPHABET, ByteBpeModel
from mai1.tokenizer.byte_bpe_file import BYTE_BPE_FILE, from_json, to_json
from mai1.tokenizer.tokenizer import VOCABULARY_FILE, Tokenizer
from mai1.tokenizer.training import TokenizerConfig, TokenizerKind, train_tokenizer
from mai1.tokenizer.words import EXPRESSIONS, Digits

regex = pytest.importorskip("regex")


def slow_merge(word: bytes, model: ByteBpeModel) -> list[int]:
    """Byte-pair encoding as it is defined: of all neighbours the pair that was learned first, leftmost first."""
    order = {pair: place for place, pair in enumerate(model.merges)}
    parts = [bytes([byte]) for byte in word]
    while True:
        places = [(order[pair], place) for place, pair in enumerate(pairwise(parts)) if pair in order]
        if not places:
            return [model.bytes_of_id.index(part) for part in parts]
        _, place = min(places)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


def slow_encode(text: str, model: ByteBpeModel) -> list[int]:
    found = regex.findall(EXPRESSIONS[model.digits], text)
    assert "".join(found) == text
    return [token_id for word in found for token_id in slow_merge(word.encode(), model)]


@pytest.fixture(params=["byte_bpe", "single_digits"])
def model(request: pytest.FixtureRequest) -> ByteBpeModel:
    return request.getfixturevalue(request.param).model


def test_ids_equal_a_slow_loop_over_merges(model: ByteBpeModel, real_texts, random_texts, nasty_texts):
    for text in [text[:3000] for text in nasty_texts] + random_texts[::4] + [text[:1500] for text in real_texts[:20]]:
        known = "".join(character for character in text if unicodedata.category(character) != "Cn")[:1500]
        assert model.encode(known) == slow_encode(known, model), repr(known[:100])


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_comes_back(byte_bpe: Tokenizer, text: str):
    ids = byte_bpe.encode(text)
    assert byte_bpe.decode(ids) == text and all(0 <= i < byte_bpe.vocabulary.text_size for i in ids)


@pytest.fixture(scope="module")
def repeating() -> ByteBpeModel:
    """Merges of a text of few letters, so that words are full of pieces that overlap."""
    words = ["".join("ab"[(n >> k) & 1] for k in range(9)) for n in range(512)]
    texts = iter([" ".join(words * 3) + "a" * 300 + " " * 300])
    return train_tokenizer(texts, TokenizerConfig(kind=TokenizerKind.byte_bpe, vocab_size=330)).model


@settings(max_examples=400, deadline=None)
@given(text=st.text(alphabet="ab \n", min_size=20, max_size=200), part=st.integers(4, 40))
def test_long_words_in_parts_have_the_ids_of_the_whole(repeating: ByteBpeModel, text: str, part: int):
    with pytest.MonkeyPatch.context() as patch:
        whole = repeating.encode(text)
        patch.setattr("mai1.tokenizer.words.SEGMENT_CHARACTERS", 10)
        patch.setattr("mai1.tokenizer.byte_bpe.MAX_SEGMENT_CHARACTERS", 1)
        patch.setattr("mai1.tokenizer.byte_bpe.LONG_WORD_BYTES", part)
        assert repeating.encode(text) == whole == slow_encode(text, repeating)


@pytest.mark.parametrize("unit", ["a", " ", "\n", "=", "7", "\u732b", "ab", "\u0301"])
def test_a_megabyte_without_an_end_of_a_word_is_encoded(byte_bpe: Tokenizer, unit: str):
    text = unit * (1_000_000 // len(unit.encode())) + "x"
    ids = byte_bpe.encode(text)
    assert byte_bpe.decode(ids) == text
    assert ids[:1000] == byte_bpe.encode(text[: 60_000 // len(unit)])[:1000]


def test_the_number_of_threads_does_not_change_what_is_learned(real_texts, tmp_path: Path):
    (tmp_path / "text").write_text("\f".join(real_texts[:40]), encoding="utf-8")
    code = (
        "from mai1.tokenizer.training import *\n"
        f"texts = open({str(tmp_path / 'text')!r}, encoding='utf-8', newline='').read().split(chr(12))\n"
        "config = TokenizerConfig(kind=TokenizerKind.byte_bpe, vocab_size=3000)\n"
        "print(train_tokenizer(iter(texts), config).hash)\n"
    )
    root = Path(__file__).parents[2]
    hashes = set()
    for threads in ("1", "2", "5"):
        environment = os.environ | {"RAYON_NUM_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env=environment)
        hashes.add(done.stdout)
    assert len(hashes) == 1 and len(hashes.pop()) == 65


def test_the_order_of_texts_does_not_change_what_is_learned(real_texts):
    config = TokenizerConfig(kind=TokenizerKind.byte_bpe, vocab_size=900)
    assert len({train_tokenizer(iter(t), config).hash for t in (real_texts[:20], real_texts[19::-1])}) == 1


def test_digits_stand_in_words_of_three_or_alone(byte_bpe: Tokenizer, single_digits: Tokenizer):
    def pieces(tokenizer: Tokenizer) -> list[bytes]:
        return [piece for piece in tokenizer.model.bytes_of_id if len(piece) > 1 and piece.isdigit()]

    assert pieces(byte_bpe) and max(map(len, pieces(byte_bpe))) <= 3
    assert not pieces(single_digits) and len(single_digits.encode("2024")) == 4


def test_pieces_are_at_most_as_long_as_asked(real_texts):
    config = TokenizerConfig(kind=TokenizerKind.byte_bpe, vocab_size=900, max_piece_characters=4)
    tokenizer = train_tokenizer(iter(real_texts[:30]), config)
    assert max(map(len, tokenizer.model.bytes_of_id)) == 4


def test_too_little_text_names_a_vocab_size_that_works():
    text, kind = "the quick brown fox jumps over the lazy dog\n", TokenizerKind.byte_bpe
    with pytest.raises(ValueError, match=r"tokenizer.vocab_size=8000 .*: use at most \d+, or more text") as error:
        train_tokenizer(iter([text] * 3), TokenizerConfig(kind=kind))
    most = int(str(error.value).split("use at most ")[1].split(",")[0])
    config = TokenizerConfig(kind=kind, vocab_size=most)
    assert train_tokenizer(iter([text] * 3), config).vocabulary.text_size == most


def test_a_hostile_text_does_not_make_learning_endless():
    texts = iter(["a" * 300_000 + "ab" * 200_000, " " * 500_000, "The text itself. " * 20_000])
    train_tokenizer(texts, TokenizerConfig(kind=TokenizerKind.byte_bpe, vocab_size=270))


def test_bytes_that_are_no_text_are_shown_by_number(byte_bpe: Tokenizer):
    names = [name for name, _ in byte_bpe.pieces()]
    assert names[0x41] == "A" and names[0xE2] == "<0xE2>" and len(names) == byte_bpe.vocabulary.text_size


def test_the_alphabet_is_that_of_gpt_2():
    assert len(set(ALPHABET)) == 256 and ALPHABET[ord("A")] == "A"
    assert (ALPHABET[ord(" ")], ALPHABET[ord("\n")], ALPHABET[0xAD]) == ("\u0120", "\u010a", "\u0143")


def test_a_file_in_another_order_is_the_same_tokenizer(byte_bpe: Tokenizer, tmp_path: Path):
    byte_bpe.save(tmp_path)
    content = json.loads((tmp_path / BYTE_BPE_FILE).read_text(encoding="utf-8"))
    (tmp_path / BYTE_BPE_FILE).write_text(json.dumps(dict(reversed(content.items()))), encoding="utf-8")
    assert Tokenizer.load(tmp_path).hash == byte_bpe.hash


@pytest.mark.parametrize("digits", Digits)
def test_text_after_text_is_one_stable_text(digits: Digits):
    model = ByteBpeModel([(b"a", b"b"), (b"ab", b"\xff")], digits)
    text = to_json(model, ("<|end|>",))
    assert to_json(from_json(text, ("<|end|>",)), ("<|end|>",)) == text


CHANGES = {
    "no object": lambda content: [],
    "no merges": lambda content: content["model"].pop("merges"),
    "merges of a number": lambda content: content["model"].update(merges=7),
    "a merge of three": lambda content: content["model"]["merges"][0].append("a"),
    "a merge of a foreign character": lambda content: content["model"]["merges"].__setitem__(0, ["\u4e00", "a"]),
    "a merge of an unknown piece": lambda content: content["model"]["merges"].insert(0, ["qqq", "q"]),
    "a merge twice": lambda content: content["model"]["merges"].append(content["model"]["merges"][0]),
    "another order": lambda content: content["model"]["merges"].reverse(),
    "an empty part": lambda content: content["model"]["merges"].append(["", "a"]),
    "pieces that double": lambda content: content["model"].update(merges=[["a" * 2**n, "a" * 2**n] for n in range(20)]),
    "an id changed": lambda content: content["model"]["vocab"].update(a=7),
    "an id too many": lambda content: content["model"]["vocab"].update({"<|user|>": 97}),
    "another expression": lambda content: _split(content).update(pattern={"Regex": "(a+)+$"}),
    "a literal pattern": lambda content: _split(content).update(pattern={"String": " "}),
    "a normalizer": lambda content: content.update(normalizer={"type": "NFKC"}),
    "dropout": lambda content: content["model"].update(dropout=0.5),
    "byte fallback": lambda content: content["model"].update(byte_fallback=True),
    "a post-processor": lambda content: content.update(post_processor={"type": "ByteLevel"}),
    "another decoder": lambda content: content.update(
        decoder={"type": "Replace", "pattern": {"String": "a"}, "content": ""}
    ),
    "truncation": lambda content: content.update(truncation={"max_length": 3}),
    "a control token in text": lambda content: content["added_tokens"][0].update(content="the"),
    "a control token's id": lambda content: content["added_tokens"][0].update(id=97),
    "no control tokens": lambda content: content.update(added_tokens=[]),
    "a key too many": lambda content: content.update(auto_map={"AutoTokenizer": "evil.Tokenizer"}),
}


def _split(content: dict) -> dict:
    return content["pre_tokenizer"]["pretokenizers"][0]


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_file_is_refused_by_name(byte_bpe: Tokenizer, tmp_path: Path, name: str):
    byte_bpe.save(tmp_path)
    content = copy.deepcopy(json.loads((tmp_path / BYTE_BPE_FILE).read_text(encoding="utf-8")))
    replaced = CHANGES[name](content)
    (tmp_path / BYTE_BPE_FILE).write_text(json.dumps([] if replaced == [] else content), encoding="utf-8")
    with pytest.raises(ValueError, match=r"tokenizer\.json: .*restore") as error:
        Tokenizer.load(tmp_path)
    assert "\n" not in str(error.value)


def test_a_vocabulary_of_another_tokenizer_is_refused(byte_bpe: Tokenizer, single_digits: Tokenizer, tmp_path: Path):
    byte_bpe.save(tmp_path)
    (tmp_path / VOCABULARY_FILE).write_text(single_digits.vocabulary.to_json())
    with pytest.raises(ValueError, match="the two files belong to different tokenizers"):
        Tokenizer.load(tmp_path)


def test_the_tokenizer_json_of_a_sentencepiece_model_is_no_byte_bpe(bpe: Tokenizer, tmp_path: Path):
    from mai1.tokenizer.huggingface import write_huggingface_files

    write_huggingface_files(bpe, tmp_path)
    (tmp_path / VOCABULARY_FILE).write_text(bpe.vocabulary.to_json())
    with pytest.raises(ValueError, match=r"tokenizer\.json: this must be a byte-level BPE tokenizer"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x80\x04 no JSON" * 50, b"\xff\xfe{", b"{}", b"[" * 100_000, b"null"])
def test_what_is_no_tokenizer_is_refused(byte_bpe: Tokenizer, tmp_path: Path, content: bytes):
    byte_bpe.save(tmp_path)
    (tmp_path / BYTE_BPE_FILE).write_bytes(content)
    with pytest.raises(ValueError, match=r"tokenizer\.json: this must be a byte-level BPE .*: restore the file"):
        Tokenizer.load(tmp_path)


def test_a_word_of_many_letters_has_the_ids_that_the_library_gives_at_once(byte_bpe: Tokenizer):
    generator = random.Random(5)
    word = "".join(generator.choice("etaoinshrdlu") for _ in range(400_000))
    assert byte_bpe.encode(word) == byte_bpe.model._encode_ordinary(word)
