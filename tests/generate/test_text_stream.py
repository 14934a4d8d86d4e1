import random

import pytest

from mai1.generate.text_stream import TextStream
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import TokenizerConfig, TokenizerKind, train_tokenizer

TEXT = "Grüße, 世界! 👩‍👩‍👧 naïve — ½ \x00 end\n" * 3


def of_bytes(ids: list[int]) -> str:
    return bytes(ids).decode("utf-8", errors="replace")


def pieces(ids: list[int], stops: tuple[str, ...] = (), decode=of_bytes) -> list[str]:
    stream = TextStream(decode, stops)
    return [*(stream.add(token) for token in ids), stream.finish()]


def test_pieces_joined_are_the_text_and_no_character_is_cut():
    found = pieces(list(TEXT.encode()))
    assert "".join(found) == TEXT
    assert not any("\ufffd" in piece for piece in found)
    assert found.count("") == len(TEXT.encode()) - len(TEXT) + 1  # each character comes with its last byte


@pytest.mark.parametrize("seed", range(20))
def test_bytes_that_are_no_text_come_out_as_a_decoder_of_the_whole_writes_them(seed: int):
    generator = random.Random(seed)
    ids = [generator.choice([generator.randrange(256), *b"a \xc3\xa4\xe4\xb8\x96\xf0\x9f"]) for _ in range(60)]
    assert "".join(pieces(ids)) == of_bytes(ids)


@pytest.mark.parametrize("stops", [("END",), ("\n\n", "User:"), ("ab", "b"), ("aab",), ("ä世",), ("",)])
@pytest.mark.parametrize(
    "text",
    ["one END two", "x\n\nUser: y", "aaab", "ab", "no stop E", "EN", "a\nUser", "aä世b", "", "ENEND", "User\n\n"],
)
def test_nothing_of_a_stop_or_behind_it_is_ever_shown(text: str, stops: tuple[str, ...]):
    places = [text.find(stop) for stop in stops if stop and stop in text]
    expected = text[: min(places)] if places else text
    found = pieces(list(text.encode()), stops)
    assert "".join(found) == expected
    for number in range(len(found)):  # what was shown is never taken back
        assert expected.startswith("".join(found[:number]))


def test_a_stop_says_so_and_ends_the_text():
    stream = TextStream(of_bytes, ["END"])
    assert "".join(stream.add(token) for token in b"so END") == "so "
    assert stream.is_stopped and stream.add(65) == "" and stream.finish() == ""


@pytest.mark.parametrize("kind", TokenizerKind)
def test_tokens_of_our_tokenizers_stream_as_they_decode(kind: TokenizerKind):
    config = TokenizerConfig(kind=kind, vocab_size=265 if kind is TokenizerKind.byte_bpe else 310)
    tokenizer: Tokenizer = train_tokenizer(iter([TEXT * 3]), config)
    for text in (TEXT, " leading", "a  b ", "日本語 テスト"):
        ids = tokenizer.encode(text)
        found = pieces(ids, decode=tokenizer.decode)
        assert "".join(found) == text and not any("\ufffd" in piece for piece in found)


def test_a_long_text_costs_per_token_what_a_short_one_costs():
    lengths = []

    def decode(ids: list[int]) -> str:
        lengths.append(len(ids))
        return of_bytes(ids)

    assert "".join(pieces(list(b"word " * 200), ("zzz",), decode=decode)) == "word " * 200
    assert max(lengths) < 40
