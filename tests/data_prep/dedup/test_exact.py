"""Keys of exact duplicates."""

import random
import sys

import numpy as np
import pytest
import xxhash

from data_prep.dedup import exact
from data_prep.dedup.clusters import clusters_of
from data_prep.dedup.exact import ASCII_SPACE, OTHER_SPACE, content_key, pairs_of_equal


def plain_key(text: str) -> bytes:
    return xxhash.xxh3_128_digest(" ".join(text.split()).encode("utf-8", "surrogatepass"))


def test_white_space_is_what_python_calls_white_space():
    ours = set(ASCII_SPACE.decode()) | set(OTHER_SPACE)
    assert ours == {chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()}


@pytest.mark.parametrize("seed", range(20))
def test_keys_equal_those_of_joined_words(seed: int, monkeypatch: pytest.MonkeyPatch):
    rng = random.Random(seed)
    monkeypatch.setattr(exact, "SHORT_CHARACTERS", 20)
    for _ in range(200):
        text = "".join(rng.choices("ab \n\t\r\x0b\x1c\x85\u2003\u3000\u00e9\u65e5\ud800", k=rng.randrange(40)))
        assert content_key(text) == plain_key(text), ascii(text)


def test_white_space_alone_makes_no_difference_but_words_stay_apart():
    assert content_key("a b") == content_key(" a \n\u00a0b\t") != content_key("ab")
    assert content_key("a b") != content_key("A b")
    assert content_key("") == content_key(" \n") and len(content_key("")) == 16


def test_pairs_connect_exactly_the_documents_with_the_same_key():
    rng = random.Random(0)
    texts = [str(rng.randrange(300)) for _ in range(1000)]
    keys = np.frombuffer(b"".join(map(content_key, texts)), np.uint64).reshape(-1, 2)
    pairs = pairs_of_equal(keys)
    assert (pairs[:, 0] < pairs[:, 1]).all() and len(pairs) == 1000 - len(set(texts))
    assert clusters_of(1000, [pairs]).tolist() == [texts.index(text) for text in texts]
    assert pairs_of_equal(keys[:0]).shape == (0, 2)


def test_the_key_of_a_text_is_fixed():
    assert content_key("The old river\n").hex() == "d3476dd702ae61d9ca2b9714f597c4e1"


def test_both_halves_of_a_key_count():
    keys = np.array([[1, 1], [1, 2], [2, 1], [1, 1]], np.uint64)
    assert pairs_of_equal(keys).tolist() == [[0, 3]]
