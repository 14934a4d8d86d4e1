"""Near duplicates: how often two documents meet, against the overlap of their sets; planted copies are found."""

import random

import numpy as np
import pytest

from data_prep.dedup import minhash
from data_prep.dedup.minhash import MinHashConfig, band_keys, chance_to_meet

WORDS = [f"{first}{second}" for first in "bdfgklmnprst" for second in ("a", "en", "ist", "or", "um", "ill", "ace")]


def essay(rng: random.Random, num_words: int) -> list[str]:
    return rng.choices(WORDS, k=num_words)


def edited(words: list[str], rng: random.Random, share: float) -> list[str]:
    return [f"new{rng.randrange(10**9)}" if rng.random() < share else word for word in words]


def overlap(left: list[str], right: list[str], size: int) -> float:
    """Jaccard by sets."""
    first, second = ({tuple(words[i : i + size]) for i in range(len(words) - size + 1)} for words in (left, right))
    return len(first & second) / len(first | second)


def do_meet(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return ((left == right) & (left != 0)).any(axis=1)


@pytest.mark.parametrize("share", [0.005, 0.02, 0.04, 0.06])
def test_documents_meet_as_often_as_the_overlap_of_their_sets_says(share: float):
    rng = random.Random(int(share * 1000))
    originals = [essay(rng, 400) for _ in range(250)]
    copies = [edited(words, rng, share) for words in originals]
    overlaps = np.array([overlap(*pair, 5) for pair in zip(originals, copies, strict=True)])
    met, expected = [], []
    for seed in range(4):
        config = MinHashConfig(seed=seed)
        keys = [band_keys([" ".join(words) for words in texts], config) for texts in (originals, copies)]
        met.append(do_meet(*keys).mean())
        expected.append(np.mean([chance_to_meet(one, config) for one in overlaps]))
    assert np.mean(met) == pytest.approx(np.mean(expected), abs=0.03)


@pytest.mark.parametrize(("bands", "rows", "size"), [(1, 1, 2), (5, 2, 3), (20, 4, 8)])
def test_bands_rows_and_ngrams_decide_how_often(bands: int, rows: int, size: int):
    rng = random.Random(bands)
    config = MinHashConfig(num_bands=bands, rows_per_band=rows, ngram_words=size)
    originals = [essay(rng, 300) for _ in range(800)]
    copies = [edited(words, rng, 0.05) for words in originals]
    keys = [band_keys([" ".join(words) for words in texts], config) for texts in (originals, copies)]
    expected = np.mean([chance_to_meet(overlap(*pair, size), config) for pair in zip(originals, copies, strict=True)])
    assert keys[0].shape == (800, bands)
    assert do_meet(*keys).mean() == pytest.approx(expected, abs=0.05)


def test_planted_copies_are_found_and_others_do_not_meet():
    rng = random.Random(3)
    originals = [essay(rng, 1000) for _ in range(300)]
    copies = [edited(words, rng, 0.01) for words in originals]
    keys = [band_keys([" ".join(words) for words in texts], MinHashConfig()) for texts in (originals, copies)]
    assert do_meet(*keys).sum() >= 295
    assert not do_meet(keys[0], np.roll(keys[1], 1, axis=0)).any()


def test_a_key_depends_on_the_document_alone(monkeypatch: pytest.MonkeyPatch):
    rng = random.Random(4)
    texts = [" ".join(essay(rng, rng.choice([3, 5, 40, 700]))) for _ in range(40)]
    texts += ["\u65e5\u672c\u8a9e \u6587\u7ae0 \u3067\u3059"]
    together = band_keys(texts, MinHashConfig())
    np.testing.assert_array_equal(together, np.concatenate([band_keys([text], MinHashConfig()) for text in texts]))
    monkeypatch.setattr(minhash, "BLOCK_SHINGLES", 37)
    np.testing.assert_array_equal(together, band_keys(texts, MinHashConfig()))


def test_short_documents_have_no_key_and_others_have_all():
    texts = ["", "one two three four", "one two three four five", " .,! ", "\u65e5\u672c\u8a9e\u6587\u7ae0"]
    assert (band_keys(texts, MinHashConfig()) != 0).sum(axis=1).tolist() == [0, 0, 14, 0, 14]
    assert band_keys([], MinHashConfig()).shape == (0, 14)


def test_the_same_words_in_other_dress_have_the_same_keys():
    left, right = "The river -- it's OLD; caf\u00e9 and bridge.", "the RIVER it\u2019s old\n\ncafe and Bridge"
    np.testing.assert_array_equal(*(band_keys([text], MinHashConfig()) for text in (left, right)))


def test_one_word_a_million_times_is_one_shingle():
    keys = band_keys(["word " * 1_000_000, "word " * 5], MinHashConfig())
    assert keys[0].tolist() == keys[1].tolist() and keys[0].all()


def test_the_shingle_zero_is_not_the_least_under_every_hash():
    minima = minhash._minima(np.array([0, 12345], np.uint32), np.array([2]), MinHashConfig())
    other = minhash._minima(np.array([12345], np.uint32), np.array([1]), MinHashConfig())
    assert 20 < (minima == other).sum() < 92 and minima.all()


def test_the_seed_changes_every_key():
    text = " ".join(essay(random.Random(5), 100))
    keys = [band_keys([text], MinHashConfig(seed=seed))[0] for seed in (0, 1)]
    assert (keys[0] != keys[1]).all() and len(set(keys[0].tolist())) == 14


def test_the_keys_of_a_text_are_fixed():
    assert band_keys(["The caf\u00e9 by the old river"], MinHashConfig(num_bands=2)).tolist() == [
        [15117370746228118047, 716757045968086277]
    ]


def test_the_table_in_the_documentation_is_right():
    for overlap_, chance in (
        (0.5, 0.05),
        (0.6, 0.21),
        (0.7, 0.56),
        (0.75, 0.77),
        (0.8, 0.92),
        (0.85, 0.99),
        (0.95, 1.0),
    ):
        assert chance_to_meet(overlap_, MinHashConfig()) == pytest.approx(chance, abs=0.006)


@pytest.mark.parametrize("key", ["num_bands", "rows_per_band", "ngram_words"])
def test_wrong_settings_are_refused(key: str):
    with pytest.raises(ValueError, match=f"dedup.minhash.{key}=0 must be at least 1"):
        MinHashConfig(**{key: 0})
    with pytest.raises(ValueError, match="dedup.minhash.seed=-1 must be at least 0"):
        MinHashConfig(seed=-1)
