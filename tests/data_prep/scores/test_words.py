"""Hashed words: the same words as an obvious tokenizer finds, whatever stands beside a document."""

import random
import unicodedata

import numpy as np
import pytest

from data_prep.scores.words import UNSPACED, into_buckets, words_of

ALPHABET = "ab Ä1_-.,!?<>'\n\t\u00a0\u3000\u3002中文かなカไทย한국рус\u0301\U0001f642\U00020000\ud800\x00"


def slow_words(text: str) -> list[str]:
    def kind(character: str) -> int:
        category = unicodedata.category(character)
        if category[0] == "Z" or category == "Cc":
            return 0
        if category[0] in "LMN" or ord(character) >= 0xFFFF:
            return 3 if any(first <= ord(character) <= last for first, last in UNSPACED) else 2
        return 1

    words: list[str] = []
    before = 0
    for character in text.lower():
        now = kind(character)
        if now == 0:
            pass
        elif now == before and now != 3:
            words[-1] += character
        else:
            words.append(character)
        before = now
    return words


def test_words_are_those_of_a_loop_over_characters():
    generator = random.Random(1)
    texts = ["".join(generator.choices(ALPHABET, k=generator.randint(0, 60))) for _ in range(400)]
    found = words_of(texts)
    wanted = [slow_words(text) for text in texts]
    assert found.counts.tolist() == list(map(len, wanted))
    assert found.document.tolist() == [place for place, words in enumerate(wanted) for _ in words]
    hashes: dict[str, set[int]] = {}
    for word, number in zip((word for words in wanted for word in words), found.hashes.tolist(), strict=True):
        hashes.setdefault(word, set()).add(number)
    assert all(len(numbers) == 1 for numbers in hashes.values()), "the same word has the same hash everywhere"
    assert len(set.union(*hashes.values())) == len(hashes), "other words have other hashes"


def test_what_stands_beside_a_document_does_not_change_its_words():
    texts = ["The first, text.", "", "zweiter Text", "第三"]
    together = words_of(texts)
    for place, text in enumerate(texts):
        alone = words_of([text])
        assert together.hashes[together.document == place].tolist() == alone.hashes.tolist()


def test_pairs_are_neighbours_within_one_document():
    words = words_of(["a b c", "c", "a b"])
    features, document = words.with_pairs(2**20)
    assert document.tolist() == [0, 0, 0, 1, 2, 2, 0, 0, 2]
    assert features[6] == features[8] and len(set(features.tolist())) == 5
    reverse, _ = words_of(["b a"]).with_pairs(2**20)
    assert reverse[2] not in features, "a pair has an order"


@pytest.mark.parametrize("buckets", [1, 7, 10_000, 2**18])
def test_buckets_are_evenly_filled(buckets: int):
    filled = into_buckets(words_of([" ".join(f"word{number}" for number in range(20_000))]).hashes, buckets)
    assert filled.min() >= 0 and filled.max() < buckets
    if buckets == 7:
        counts = np.bincount(filled, minlength=7)
        assert abs(counts - 20_000 / 7).max() < 250
    if buckets == 2**18:
        assert len(np.unique(filled)) > 19_000, "about 740 of 20,000 words share a bucket by chance"


def test_hashes_are_the_same_today_and_tomorrow():
    assert words_of(["Hello, world"]).hashes.tolist() == words_of(["hello,\nWORLD"]).hashes.tolist()
    assert words_of(["hello"]).hashes.tolist() == [GOLDEN]


GOLDEN = sum(ord(c) * pow(0xD6E8FEB86659FD93, place, 2**64) for place, c in enumerate("hello")) % 2**64


def test_nothing_has_no_words():
    for texts in ([], [""], ["", " \n"]):
        words = words_of(texts)
        assert len(words.hashes) == 0 and words.counts.tolist() == [0] * len(texts)
