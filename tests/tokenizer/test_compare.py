import json

import pytest
import tiktoken
from tiktoken.load import load_tiktoken_bpe

from mai1.tokenizer.compare import OVERALL, Comparison, lines_of
from mai1.tokenizer.ranks import ENCODING_FILE, RANKS_FILE, write_ranks
from mai1.tokenizer.tokenizer import Tokenizer

SAMPLES = [
    ("Plain words of a text.\n", ["a", "x"]),
    ("def f():\n    return 1\n", ["b"]),
    ("\u732b\u3067\u3042\u308b", ["x"]),
]


@pytest.fixture
def comparison(bpe: Tokenizer, byte_bpe: Tokenizer) -> Comparison:
    compared = Comparison({"sp": bpe, "bytes": byte_bpe})
    compared.add(SAMPLES)
    return compared


def test_figures_are_what_counting_by_hand_gives(comparison: Comparison, bpe: Tokenizer, byte_bpe: Tokenizer):
    figures = comparison.figures()
    assert list(figures) == [OVERALL, "a", "x", "b"]
    for name, tokenizer in (("sp", bpe), ("bytes", byte_bpe)):
        found, ids = figures[OVERALL][name], [i for text, _ in SAMPLES for i in tokenizer.encode(text)]
        pieces = [tokenizer.model.bytes_of_id[i] for i in ids]
        assert (found["tokens"], found["bytes"], found["words"]) == (len(ids), 57, 10)
        assert found["bytes_per_token"] == 57 / len(ids) and found["tokens_per_word"] == len(ids) / 10
        assert found["single_byte_share"] == sum(len(piece) == 1 for piece in pieces) / len(ids)
        assert found["broken_share"] == sum(b"\xef" in p.decode(errors="replace").encode() for p in pieces) / len(ids)
    assert (
        figures["x"]["sp"]["bytes"] == 35
        and figures["x"]["sp"]["broken_share"] > figures["a"]["sp"]["broken_share"] == 0
    )


def test_the_table_names_every_group_and_tokenizer(comparison: Comparison):
    lines = lines_of(comparison)
    assert lines[0].split() == ["bytes/token", "tokens/word", "1", "byte", "broken", "MB/s"]
    assert [line.split()[0] for line in lines[1:3]] == ["sp", "bytes"]
    assert [line.split()[0] for line in lines[5:]] == [OVERALL, "a", "x", "b"]
    assert len({len(line) for line in lines[4:]}) == 1


def test_a_text_that_does_not_come_back_is_refused(bpe: Tokenizer, monkeypatch):
    compared = Comparison({"sp": bpe})
    monkeypatch.setattr(bpe, "decode", lambda ids: "other")
    with pytest.raises(ValueError, match="sp must give every text back, but not 'Plain"):
        compared.add(SAMPLES)


def test_an_empty_text_has_no_ratios(bpe: Tokenizer):
    compared = Comparison({"sp": bpe})
    compared.add([("", [])])
    assert compared.figures()[OVERALL]["sp"]["bytes_per_token"] is None and lines_of(compared)


def test_exported_ranks_give_tiktoken_the_same_ids(byte_bpe: Tokenizer, tmp_path, nasty_texts, random_texts):
    write_ranks(byte_bpe, tmp_path)
    rest = json.loads((tmp_path / ENCODING_FILE).read_text())
    encoding = tiktoken.Encoding("ours", mergeable_ranks=load_tiktoken_bpe(str(tmp_path / RANKS_FILE)), **rest)
    for text in nasty_texts + random_texts[:300]:
        assert encoding.encode_ordinary(text) == byte_bpe.encode(text)
    assert encoding.encode("<|pad|>", allowed_special="all") == [byte_bpe.pad_id]
