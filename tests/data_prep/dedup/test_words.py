"""Words as hashes against a plain reader of characters, and what counts as the same word."""

import random
import unicodedata

import numpy as np
import pytest

from data_prep.dedup import words as words_module
from data_prep.dedup.words import ngram_hashes, ngram_owners, words_of

ASCII = "abcXYZ019 \n\t.,_-'"
ALPHABET = ASCII + (
    "\u00e9\u0301\u00dc\u00df\u0130\u0416\u0437\u03a9\u65e5\u672c\u304b\u0e01\u0e34\uac00"
    "\u200b\u2019\u3000\U0001f642\ud800\U00020000"
)


def plain_words(text: str) -> list[tuple[str, int, int]]:
    """Word, start and end, one character after the other."""
    found, word, start, end = [], "", 0, 0

    def close():
        nonlocal word
        if word:
            found.extend(_pieces(word, start, end, text))
        word = ""

    for place, character in enumerate(text):
        if "\u0300" <= character <= "\u036f":
            continue
        is_word = character.isalnum() or unicodedata.category(character).startswith("M")
        if is_word and is_alone(character):
            close()
            found.append((character, place, place + 1))
        elif is_word:
            if not word:
                start = place
            word, end = word + plain(character), place + 1
        else:
            close()
    close()
    return found


def _pieces(word: str, start: int, end: int, text: str) -> list[tuple[str, int, int]]:
    """Runs of more than 32 characters as several words; accents between them count for nothing."""
    places = [p for p in range(start, end) if not "\u0300" <= text[p] <= "\u036f"]
    size = words_module.MAX_WORD_CHARACTERS
    parts = [(word[i : i + size], places[i : i + size]) for i in range(0, len(word), size)]
    return [(part, inside[0], inside[-1] + 1) for part, inside in parts]


def is_alone(character: str) -> bool:
    name = unicodedata.name(character, "")
    return name.startswith(("CJK UNIFIED", "HIRAGANA", "KATAKANA", "THAI"))


def plain(character: str) -> str:
    base, *marks = unicodedata.normalize("NFD", character)
    is_accented = all("\u0300" <= mark <= "\u036f" for mark in marks)
    return (base if is_accented else character).lower()[0]


@pytest.mark.parametrize("seed", range(40))
def test_words_and_places_equal_a_loop_over_characters(seed: int):
    rng = random.Random(seed)
    alphabet = ALPHABET if seed % 2 else ASCII
    texts = ["".join(rng.choices(alphabet, k=rng.randrange(120))) for _ in range(30)]
    words = words_of(texts)
    meaning: dict[str, int] = {}
    for text, first, after in zip(texts, words.first_D, words.first_D[1:], strict=False):
        expected = plain_words(text)
        places = list(zip(words.starts_W[first:after].tolist(), words.ends_W[first:after].tolist(), strict=True))
        assert places == [(start, end) for _, start, end in expected], ascii(text)
        for (word, _, _), value in zip(expected, words.hashes_W[first:after].tolist(), strict=True):
            assert meaning.setdefault(word, value) == value, ascii(word)
    assert len(set(meaning.values())) == len(meaning)


def test_a_word_is_the_same_in_any_company():
    alone = words_of(["Stra\u00dfe house"]).hashes_W
    assert words_of(["house"]).hashes_W[0] == alone[1]
    assert words_of(["\u65e5\u672c house", "x"]).hashes_W[2] == alone[1]
    assert words_of(["\U0001f642 house \u2019"]).hashes_W[0] == alone[1]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Don't STOP", "don\u2019t  stop!"),
        ("caf\u00e9 na\u00efve", "cafe naive"),
        (unicodedata.normalize("NFC", "\u00e9t\u00e9 \u1ec7"), unicodedata.normalize("NFD", "\u00e9t\u00e9 \u1ec7")),
        ("\u0416\u0423\u041a", "\u0436\u0443\u043a"),
    ],
)
def test_case_accents_and_punctuation_say_nothing(left: str, right: str):
    assert words_of([left]).hashes_W.tolist() == words_of([right]).hashes_W.tolist()


def test_hangul_syllables_and_digits_say_something():
    hashes = words_of(["\uac00 \uac01 1 2 12"]).hashes_W
    assert len(set(hashes.tolist())) == 5


def test_a_long_text_gives_the_same_words_as_its_parts(monkeypatch: pytest.MonkeyPatch):
    rng = random.Random(5)
    text = " ".join("".join(rng.choices("abcde\u00e9\u0416", k=rng.randrange(1, 12))) for _ in range(2000))
    whole = words_of([text, "", "tail"])
    monkeypatch.setattr(words_module, "CHUNK_CHARACTERS", 64)
    chunked = words_of([text, "", "tail"])
    for name in ("hashes_W", "starts_W", "ends_W", "first_D"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(chunked, name))


@pytest.mark.parametrize("num_words", [1, 2, 3, 5, 8, 13, 50])
def test_ngrams_are_equal_exactly_where_their_words_are(num_words: int):
    rng = np.random.default_rng(num_words)
    texts = [" ".join(rng.choice(["a", "b"], size)) for size in (0, 1, num_words - 1, num_words, 300)]
    words = words_of(texts)
    places, counts = ngram_owners(words.first_D, num_words)
    assert counts.tolist() == [max(0, len(text.split()) - num_words + 1) for text in texts]
    hashes = ngram_hashes(words.hashes_W, num_words)[places].tolist()
    plain_ngrams = [
        " ".join(t.split()[i : i + num_words]) for t in texts for i in range(len(t.split()) - num_words + 1)
    ]
    assert len(hashes) == len(plain_ngrams)
    assert len(set(zip(plain_ngrams, hashes, strict=True))) == len(set(plain_ngrams)) == len(set(hashes))


def test_the_seed_and_the_order_of_words_change_an_ngram():
    forth, back = words_of(["one two", "two one"]).hashes_W.reshape(2, 2)
    assert ngram_hashes(forth, 2)[0] != ngram_hashes(back, 2)[0]
    assert ngram_hashes(forth, 2)[0] != ngram_hashes(forth, 2, seed=1)[0]


def test_empty_texts_have_no_words():
    words = words_of(["", " .,\n", "\U0001f642\ud800"])
    assert not len(words.hashes_W) and words.first_D.tolist() == [0, 0, 0, 0]
    assert words_of([]).first_D.tolist() == [0]


def test_a_run_without_end_is_read_in_pieces():
    assert len(words_of(["x" * 1_000_000]).hashes_W) == 1_000_000 // words_module.MAX_WORD_CHARACTERS
    assert len(words_of(["\u0436" * 1000]).hashes_W) == -(-1000 // words_module.MAX_WORD_CHARACTERS)


def test_no_two_short_words_share_a_hash():
    rng = random.Random(1)
    words = {
        "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=rng.randrange(1, 9))) for _ in range(100_000)
    }
    assert len(np.unique(words_of([" ".join(sorted(words))]).hashes_W)) == len(words)
