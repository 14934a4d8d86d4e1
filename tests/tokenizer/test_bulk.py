import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mai1.tokenizer import bulk
from mai1.tokenizer.bulk import BulkEncoder, Library
from mai1.tokenizer.byte_bpe import ByteBpeModel
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.vocabulary import DEFAULT_CONTROL, Vocabulary
from mai1.tokenizer.words import Digits

needs_gigatoken = pytest.mark.skipif(not find_spec("gigatoken"), reason="gigatoken is not installed")
PAIRS = [
    pytest.param((Library.tiktoken, "byte_bpe"), id="tiktoken"),
    pytest.param((Library.tiktoken, "single_digits"), id="tiktoken-single"),
    pytest.param((Library.gigatoken, "byte_bpe"), marks=needs_gigatoken, id="gigatoken"),
    pytest.param((Library.gigatoken, "single_digits"), marks=needs_gigatoken, id="gigatoken-single"),
    pytest.param((Library.gigatoken, "bpe"), marks=needs_gigatoken, id="gigatoken-sentencepiece"),
    pytest.param((Library.own, "char"), id="own"),
]


@pytest.fixture(params=PAIRS)
def encoder(request: pytest.FixtureRequest) -> BulkEncoder:
    library, name = request.param
    return BulkEncoder(request.getfixturevalue(name), library)


@pytest.fixture
def unchecked(encoder: BulkEncoder, monkeypatch) -> BulkEncoder:
    """What a library gives, without the check that would hide nothing here."""
    monkeypatch.setattr(BulkEncoder, "_check", lambda *_: None)
    return encoder


@pytest.fixture(scope="module")
def encoders() -> dict[tuple[Library, str], BulkEncoder]:
    """Made once for all examples."""
    return {}


def test_ids_equal_the_tokenizers_on_thousands_of_texts(unchecked, real_texts, random_texts, nasty_texts):
    texts = nasty_texts + random_texts + real_texts
    for text, ids, own in zip(texts, unchecked.encode(texts), unchecked.tokenizer.encode_batch(texts), strict=True):
        assert ids.dtype == np.int32 and ids.tolist() == own, repr(text[:200])


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=80))
@pytest.mark.parametrize("pair", PAIRS)
def test_ids_of_any_text_equal_the_tokenizers(pair: tuple[Library, str], request, encoders: dict, text: str):
    tokenizer = request.getfixturevalue(pair[1])
    encoder = encoders.get(pair) or encoders.setdefault(pair, BulkEncoder(tokenizer, pair[0]))
    [ids] = encoder.encode([text])
    assert ids.tolist() == tokenizer.encode(text) and tokenizer.decode(ids.tolist()) == text


def test_control_names_in_texts_stay_text(encoder: BulkEncoder):
    names = [*encoder.tokenizer.vocabulary.control, "<|reserved_0|>", "<unk>", "<0x41>"]
    assert all((ids < encoder.tokenizer.vocabulary.text_size).all() for ids in encoder.encode(names))


def test_texts_are_cut_without_a_change(unchecked, real_texts, nasty_texts, monkeypatch):
    texts = real_texts[:10] + nasty_texts
    whole = [ids.tolist() for ids in unchecked.encode(texts)]
    for module in ("sentencepiece_model", "words"):
        monkeypatch.setattr(f"mai1.tokenizer.{module}.SEGMENT_CHARACTERS", 50)
    monkeypatch.setattr(bulk, "MAX_SEGMENT_CHARACTERS", 200)
    assert [ids.tolist() for ids in unchecked.encode(texts)] == whole


@pytest.mark.parametrize("unit", ["a", " ", "\t", " \n", "=", "7", "\u732b", "\u2581"])
def test_a_long_run_of_one_sign_takes_seconds_at_most(encoder: BulkEncoder, unit: str):
    text = unit * (300_000 // len(unit)) + "x"  # more than any library is given at once
    begun = time.process_time()
    [ids] = encoder.encode([text])
    assert encoder.tokenizer.decode(ids.tolist()) == text
    assert time.process_time() - begun < 60  # a quadratic search takes hours


def test_a_lone_surrogate_is_refused(encoder: BulkEncoder):
    with pytest.raises(ValueError, match="lone surrogate at 2"):
        encoder.encode(["ab\ud800"])


def test_empty_texts_have_no_ids(encoder: BulkEncoder):
    assert [len(ids) for ids in encoder.encode(["", "a", ""])] == [0, 1, 0]


def test_auto_is_the_fastest_that_is_installed(bpe, char, byte_bpe, monkeypatch):
    def chosen() -> list[str]:
        return [BulkEncoder(tokenizer).library.value for tokenizer in (bpe, char, byte_bpe)]

    if find_spec("gigatoken"):
        assert chosen() == ["gigatoken", "own", "gigatoken"]
    monkeypatch.setattr(bulk, "find_spec", lambda name: None)
    assert chosen() == ["own", "own", "tiktoken"]


def test_other_ids_are_noticed_in_the_first_text_and_in_a_sample(byte_bpe, real_texts, monkeypatch):
    encoder = BulkEncoder(byte_bpe, Library.tiktoken)
    sound = encoder._fast
    monkeypatch.setattr(encoder, "_fast", lambda part: [7, *sound(part)[1:]])
    with pytest.raises(
        ValueError, match=r"library=tiktoken gives other ids .* in text 1 .* at token 0 .*: use library=own"
    ):
        encoder.encode(["Hello there"])
    encoder = BulkEncoder(byte_bpe, Library.tiktoken)
    encoder.encode(real_texts[:8])  # the first are right
    assert encoder._num_checked >= bulk.CHECKED_CHARACTERS
    monkeypatch.setattr(encoder, "_fast", lambda part: sound(part)[:-1])
    with pytest.raises(ValueError, match="library=tiktoken gives other ids"):
        for text in real_texts[8:]:
            encoder.encode(text.splitlines())


def test_the_sample_depends_on_the_text_and_the_seed_alone(byte_bpe, real_texts, monkeypatch):
    lines = [line for text in real_texts[:20] for line in text.splitlines()]

    def checked(seed: int, texts: list[str]) -> set[str]:
        encoder, seen = BulkEncoder(byte_bpe, Library.tiktoken, seed=seed), set()
        encoder._num_checked = bulk.CHECKED_CHARACTERS
        monkeypatch.setattr(encoder, "_check", lambda part, ids: seen.add(part))
        encoder.encode(texts)
        return seen

    assert checked(0, lines) == checked(0, lines[::-1]) != checked(1, lines)
    assert len(set(lines)) / 512 < len(checked(0, lines)) < len(set(lines)) / 128


def test_libraries_that_do_not_fit_are_refused_with_what_does(bpe, char, byte_bpe, monkeypatch):
    with pytest.raises(ValueError, match="library=tiktoken must have a byte-level BPE.*: use own or gigatoken"):
        BulkEncoder(bpe, Library.tiktoken)
    if find_spec("gigatoken"):
        with pytest.raises(ValueError, match="library=gigatoken must have pieces of several characters.*: use own"):
            BulkEncoder(char, Library.gigatoken)
    monkeypatch.setattr(bulk, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="library=gigatoken must be installed: pip install gigatoken"):
        BulkEncoder(byte_bpe, Library.gigatoken)


def test_merges_that_tiktoken_would_make_in_another_way_are_refused():
    """`abc` is made of `a` and `bc`, but `ab` is merged before `bc`: by pairs `abc` never comes out, by ranks it does."""
    model = ByteBpeModel([(b"a", b"b"), (b"b", b"c"), (b"a", b"bc")], Digits.single)
    tokenizer = Tokenizer(model, Vocabulary(model.num_ids, DEFAULT_CONTROL, 0))
    assert tokenizer.decode(tokenizer.encode("abc bc")) == "abc bc" and len(tokenizer.encode("abc")) == 2
    with pytest.raises(ValueError, match="must be the one that earlier merges lead to.*library=own"):
        BulkEncoder(tokenizer, Library.tiktoken)
    BulkEncoder(tokenizer, Library.own)


@pytest.mark.parametrize("file", ["wagahaiwa_nekodearu.txt", "tinyshakespeare.txt", "c4_demo.jsonl"])
def test_ids_of_whole_files_equal_the_tokenizers(unchecked, file: str):
    path = Path(__file__).parents[2].parent / "shared" / "data" / "pretrain" / file
    if not path.is_file():
        pytest.skip("this checkout has no shared data")
    text = path.read_text(encoding="utf-8")[:400_000]
    [ids] = unchecked.encode([text])
    assert ids.tolist() == unchecked.tokenizer.encode(text)
