import subprocess
import sys
from pathlib import Path

import pytest

from mai1.tokenizer.byte_bpe_file import BYTE_BPE_FILE
from mai1.tokenizer.learn_sentencepiece import split_sentences
from mai1.tokenizer.sentencepiece_model import SPACE, SentencePieceModel
from mai1.tokenizer.tokenizer import SENTENCEPIECE_FILE, VOCABULARY_FILE, Tokenizer
from mai1.tokenizer.training import TokenizerConfig, TokenizerKind, even_sample, train_tokenizer


def test_every_text_comes_back_byte_for_byte(tokenizer: Tokenizer, nasty_texts, random_texts, real_texts):
    texts = nasty_texts + random_texts + real_texts
    for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
        assert tokenizer.decode(ids) == text


def test_a_file_of_other_languages_comes_back_byte_for_byte(tokenizer: Tokenizer):
    path = Path(__file__).parents[2].parent / "shared" / "data" / "pretrain" / "wagahaiwa_nekodearu.txt"
    if not path.is_file():
        pytest.skip("this checkout has no shared data")
    text = path.read_text(encoding="utf-8")[:100_000]
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_very_long_line_comes_back(tokenizer: Tokenizer):
    text = "word and  " * 30_000
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_long_texts_are_cut_where_it_changes_no_id(tokenizer: Tokenizer, monkeypatch, real_texts, random_texts):
    texts = [text for text in real_texts[:20] + random_texts[:800] if SPACE not in text]
    whole = tokenizer.encode_batch(texts)
    for num_characters in (1, 7, 100):
        for module in ("sentencepiece_model", "words"):
            monkeypatch.setattr(f"mai1.tokenizer.{module}.SEGMENT_CHARACTERS", num_characters)
        assert ["".join(tokenizer.segments(text)) for text in texts] == texts
        assert tokenizer.encode_batch(texts) == whole
    assert max(len(list(tokenizer.segments(text))) for text in texts) > 100


def test_control_tokens_never_come_out_of_raw_text(tokenizer: Tokenizer, nasty_texts, random_texts):
    names = [tokenizer.vocabulary.name_of(i) for i in range(tokenizer.vocabulary.text_size, tokenizer.vocabulary.size)]
    for text in nasty_texts + random_texts + names:
        assert all(i < tokenizer.vocabulary.text_size for i in tokenizer.encode(text))


@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_the_unknown_piece_never_comes_out_of_raw_text(kind: str, request, nasty_texts, random_texts):
    tokenizer = request.getfixturevalue(kind)
    assert all(0 not in tokenizer.encode(text) for text in nasty_texts + random_texts)


def test_encode_batch_equals_encode_one_by_one(tokenizer: Tokenizer, nasty_texts):
    assert tokenizer.encode_batch(nasty_texts) == [tokenizer.encode(text) for text in nasty_texts]


def test_control_ids_are_written_by_name(bpe: Tokenizer):
    ids = [bpe.end_of_text_id, *bpe.encode("hi"), bpe.pad_id, bpe.vocabulary.size - 1]
    assert bpe.decode(ids).startswith("<|endoftext|>hi<|pad|><|padding_")


def test_half_a_character_is_written_as_replacement(bpe: Tokenizer):
    ids = bpe.encode("\U0001f642")
    assert len(ids) == 4 and bpe.decode(ids[:2]) == "\ufffd"


@pytest.mark.parametrize("token_id", [-1, 1 << 20])
def test_ids_outside_the_vocabulary_are_refused(bpe: Tokenizer, token_id: int):
    with pytest.raises(ValueError, match=f"token id {token_id} must be at least 0 and below"):
        bpe.decode([token_id])


def test_a_lone_surrogate_is_refused(tokenizer: Tokenizer):
    with pytest.raises(ValueError, match="lone surrogate at 2"):
        tokenizer.encode("ab\ud800")


def test_saved_and_loaded_is_the_same_tokenizer(tokenizer: Tokenizer, tmp_path: Path, nasty_texts):
    tokenizer.save(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    model_file = SENTENCEPIECE_FILE if isinstance(tokenizer.model, SentencePieceModel) else BYTE_BPE_FILE
    assert loaded.hash == tokenizer.hash and loaded.vocabulary == tokenizer.vocabulary
    assert loaded.encode_batch(nasty_texts) == tokenizer.encode_batch(nasty_texts)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([model_file, VOCABULARY_FILE])


@pytest.mark.parametrize("kind", TokenizerKind)
def test_the_same_text_gives_the_same_tokenizer(kind: TokenizerKind, real_texts):
    config = TokenizerConfig(kind=kind, vocab_size=600)
    first, second = (train_tokenizer(iter(real_texts[:30]), config) for _ in range(2))
    assert first.hash == second.hash


def test_other_text_or_spans_give_another_hash(real_texts):
    config = TokenizerConfig(vocab_size=600)
    hashes = {
        train_tokenizer(iter(real_texts[:30]), config).hash,
        train_tokenizer(iter(real_texts[30:60]), config).hash,
        train_tokenizer(iter(real_texts[:30]), TokenizerConfig(vocab_size=600, reserved_size=1)).hash,
    }
    assert len(hashes) == 3


def test_indentation_and_line_ends_of_code_are_single_pieces(bpe: Tokenizer):
    assert len(bpe.encode(" " * 8)) == 1
    assert len(bpe.encode("):\n        return")) <= 3


def test_char_gives_each_character_of_its_text_one_token(real_texts):
    tokenizer = train_tokenizer(iter(["To be,\nor not\n\nto be\n"]), TokenizerConfig(kind=TokenizerKind.char))
    for character in "To be,\nrnt":
        assert len(tokenizer.encode(character)) == 1
    assert tokenizer.decode(tokenizer.encode("Zürich")) == "Zürich"


def test_char_tokenizer_of_shakespeare_has_65_characters():
    path = Path(__file__).parents[2].parent / "shared" / "data" / "pretrain" / "tinyshakespeare.txt"
    if not path.is_file():
        pytest.skip("this checkout has no shared data")
    text = path.read_text(encoding="utf-8")
    tokenizer = train_tokenizer(iter([text]), TokenizerConfig(kind=TokenizerKind.char))
    assert len(tokenizer.encode(text)) == len(text)
    assert tokenizer.vocabulary.text_size == 257 + 65


def test_no_text_is_lost_on_the_way_to_training():
    text = "one two\x00three\tfour\u2581five\u2585six " + "seven " * 2000 + "\n" + "x" * 9000
    assert "".join("".join(split_sentences(text)).split()) == "".join(
        text.translate(dict.fromkeys(map(ord, "\x00\t\u2581\u2585"))).split()
    )
    assert max(map(len, split_sentences(text))) <= 2049


@pytest.mark.parametrize("kind", [TokenizerKind.bpe, TokenizerKind.byte_bpe])
def test_sample_bytes_limits_what_is_learned_from(kind: TokenizerKind, real_texts):
    limited = TokenizerConfig(kind=kind, vocab_size=400, sample_bytes=50_000)
    seen: list[str] = []
    taken: list[int] = []
    first = train_tokenizer((seen.append(text) or text for text in real_texts), limited, advance=taken.append)
    assert len(seen) < len(real_texts) and sum(taken) == 50_000
    assert first.vocabulary.text_size == 400


@pytest.mark.parametrize("kind", TokenizerKind)
def test_spaces_come_back_when_the_training_text_had_none(kind: TokenizerKind):
    config = TokenizerConfig(kind=kind, vocab_size=262)
    tokenizer = train_tokenizer(iter(["\u65e5\u672c\u8a9e" * 5]), config)
    assert tokenizer.decode(tokenizer.encode(" a  b ")) == " a  b "


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 257}, "tokenizer.vocab_size=257 must be from 258 to 1000000"),
        ({"reserved_size": -1}, "tokenizer.reserved_size=-1 must be from 0"),
        ({"sample_bytes": -1}, "tokenizer.sample_bytes=-1 must be at least 0"),
        ({"character_coverage": 0.5}, "tokenizer.character_coverage=0.5 must be from 0.9 to 1"),
        ({"max_piece_characters": 0}, "tokenizer.max_piece_characters=0 must be 1 to 256"),
    ],
)
def test_wrong_settings_are_refused(changes: dict, message: str):
    with pytest.raises(ValueError) as error:
        TokenizerConfig(**changes)
    assert message in str(error.value)


def test_too_small_a_corpus_names_a_vocab_size_that_works():
    text = "the quick brown fox jumps over the lazy dog\n"
    with pytest.raises(ValueError, match=r"tokenizer.vocab_size=8000 .*: use at most \d+, or more text") as error:
        train_tokenizer(iter([text]), TokenizerConfig())
    most = int(str(error.value).split("use at most ")[1].split(",")[0])
    assert train_tokenizer(iter([text]), TokenizerConfig(vocab_size=most)).vocabulary.text_size == most


def test_too_small_a_vocab_size_names_one_that_works(real_texts):
    text = "".join(map(chr, range(0x4E00, 0x4F00)))
    with pytest.raises(ValueError, match=r"tokenizer.vocab_size=300 is less than the \d+ characters") as error:
        train_tokenizer(iter([text] * 3), TokenizerConfig(vocab_size=300, character_coverage=1.0))
    least = int(str(error.value).split("less than the ")[1].split()[0])
    train_tokenizer(iter([text] * 3), TokenizerConfig(vocab_size=least, character_coverage=1.0))


def test_no_text_at_all_is_refused():
    with pytest.raises(ValueError, match=r"tokenizer.vocab_size=8000 .* text"):
        train_tokenizer(iter([]), TokenizerConfig())


@pytest.mark.parametrize("cut", [0, 1, 100, 5000, -1])
def test_a_truncated_model_is_refused(bpe: Tokenizer, tmp_path: Path, cut: int):
    bpe.save(tmp_path)
    (tmp_path / SENTENCEPIECE_FILE).write_bytes(bpe.model.content[:cut])
    with pytest.raises(ValueError, match="tokenizer.model: .*restore the file"):
        Tokenizer.load(tmp_path)


def test_foreign_and_missing_files_are_refused_by_name(bpe: Tokenizer, char: Tokenizer, tmp_path: Path):
    with pytest.raises(ValueError, match="tokenizer.model must be a tokenizer file"):
        Tokenizer.load(tmp_path)
    bpe.save(tmp_path)
    (tmp_path / SENTENCEPIECE_FILE).write_bytes(b"\x80\x04 no model" * 50)
    with pytest.raises(ValueError, match="tokenizer.model: this must be a complete SentencePiece model"):
        Tokenizer.load(tmp_path)
    (tmp_path / SENTENCEPIECE_FILE).write_bytes(char.model.content)
    with pytest.raises(ValueError, match="the two files belong to different tokenizers"):
        Tokenizer.load(tmp_path)
    bpe.save(tmp_path)
    (tmp_path / VOCABULARY_FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="vocabulary.json: "):
        Tokenizer.load(tmp_path)


def test_a_huge_model_file_is_refused_unread(bpe: Tokenizer, tmp_path: Path):
    bpe.save(tmp_path)
    with open(tmp_path / SENTENCEPIECE_FILE, "r+b") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(ValueError, match="has 67108865 bytes, but may have at most 67108864"):
        Tokenizer.load(tmp_path)


def test_nothing_is_printed_while_learning_or_failing():
    code = (
        "from mai1.tokenizer.training import *\n"
        "from mai1.tokenizer.tokenizer import Tokenizer\n"
        "text = open(__import__('inspect').__file__).read()\n"
        "train_tokenizer(iter([text]), TokenizerConfig(vocab_size=400))\n"
        "try: train_tokenizer(iter(['tiny']), TokenizerConfig())\n"
        "except ValueError: pass\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_even_sample_is_spread_over_all_texts():
    texts = [chr(97 + number) * (1 << 16) for number in range(10)]
    sample = list(even_sample(iter(texts), share=0.25))
    assert {text[0] for text in sample} == set("abcdefghij")
    assert sum(map(len, sample)) == sum(map(len, texts)) // 4


def test_a_byte_bpe_is_not_written_beside_a_sentencepiece_model(bpe: Tokenizer, byte_bpe: Tokenizer, tmp_path: Path):
    bpe.save(tmp_path)
    with pytest.raises(ValueError, match="holds the tokenizer.model of another tokenizer: use another directory"):
        byte_bpe.save(tmp_path)
    assert Tokenizer.load(tmp_path).hash == bpe.hash
