"""The linear classifier: learns what its examples show, equals an obvious trainer, and is the same every time."""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest

from data_prep.scores.linear import MINIBATCH, LinearConfig, LinearScorer, log_odds, rows_of, train
from tests.data_prep.scores.planted import NOISE, area, batch_of, clean_passages, planted

CLEAN = clean_passages()


def write(path: Path, texts: list[str]) -> str:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return str(path)


@pytest.fixture
def examples(tmp_path: Path) -> dict[str, str]:
    bad = [text for kind in NOISE for text in planted(kind, 30)]
    return {
        "positive": write(tmp_path / "good.jsonl", CLEAN[::2]),
        "negative": write(tmp_path / "bad.jsonl", bad),
    }


def fitted(examples: dict[str, str], **settings) -> LinearScorer:
    scorer = LinearScorer(LinearConfig(**examples, **settings))
    scorer.finish()
    return scorer


@pytest.mark.parametrize("kind", NOISE)
def test_noise_like_its_bad_examples_is_told_from_documentation(kind: str, examples: dict[str, str]):
    scorer = fitted(examples)
    noise = scorer.score(batch_of(planted(kind, 40, seed=1)))
    assert area(scorer.score(batch_of(CLEAN[1::2])), noise) > (0.7 if kind == "shuffled" else 0.99)


@pytest.mark.parametrize("kind", ["encoded", "spam", "digits", "markup"])
def test_noise_of_a_kind_it_was_never_shown_is_told_too(kind: str, examples: dict[str, str], tmp_path: Path):
    others = [text for other in NOISE if other != kind for text in planted(other, 30)]
    scorer = fitted(examples | {"negative": write(tmp_path / "others.jsonl", others)})
    assert area(scorer.score(batch_of(CLEAN[1::2])), scorer.score(batch_of(planted(kind, 40, seed=1)))) > 0.9


def slow_train(texts: list[str], labels: list[float], config: LinearConfig) -> np.ndarray:
    """One document after the other, one feature after the other."""
    features = []
    for text in texts:
        found, _ = batch_of([text]).words.with_pairs(config.buckets)
        features.append({bucket: found.tolist().count(bucket) / len(found) for bucket in set(found.tolist())})
    weights, squares = [0.0] * (config.buckets + 1), [1e-8] * (config.buckets + 1)
    share = sum(labels) / len(labels)
    generator = np.random.default_rng(config.seed)
    for _ in range(config.epochs):
        order = generator.permutation(len(texts)).tolist()
        for start in range(0, len(order), MINIBATCH):
            chosen = order[start : start + MINIBATCH]
            slopes = [config.l2 * weight for weight in weights]
            for place in chosen:
                odds = weights[-1] + sum(weights[bucket] * value for bucket, value in features[place].items())
                error = 1.0 / (1.0 + math.exp(-odds)) - labels[place]
                error *= (0.5 / share if labels[place] else 0.5 / (1.0 - share)) / len(chosen)
                slopes[-1] += error
                for bucket, value in features[place].items():
                    slopes[bucket] += error * value
            for bucket, slope in enumerate(slopes):
                squares[bucket] += slope**2
                weights[bucket] -= config.learning_rate * slope / math.sqrt(squares[bucket])
    return np.array(weights)


def test_training_equals_a_loop_over_documents_and_features():
    texts = [*CLEAN[:90], *planted("spam", 60), *planted("digits", 20)]
    texts = [text[:150] for text in texts]
    labels = [1.0] * 90 + [0.0] * 80
    config = LinearConfig(buckets=1024, epochs=2, l2=1e-4, seed=3)
    found = train(rows_of(batch_of(texts), 1024), np.array(labels), config)
    assert len(texts) > MINIBATCH
    assert found == pytest.approx(slow_train(texts, labels, config), rel=1e-9, abs=1e-12)


def test_scores_are_log_odds_with_zero_between_the_sets(examples: dict[str, str]):
    scorer = fitted(examples)
    assert (scorer.score(batch_of(CLEAN[::2])) > 0).mean() > 0.9
    assert (scorer.score(batch_of(planted("spam", 20))) < 0).mean() > 0.9
    batch = batch_of(CLEAN[:3])
    assert scorer.score(batch) == pytest.approx(log_odds(rows_of(batch, 2**18), scorer.weights), rel=1e-6)


def test_a_document_without_words_is_not_judged(examples: dict[str, str]):
    assert np.isnan(fitted(examples).score(batch_of(["", "word", " "]))).tolist() == [True, False, True]


def test_what_stands_beside_a_document_changes_no_bit_of_its_score(examples: dict[str, str]):
    scorer = fitted(examples)
    together = scorer.score(batch_of(CLEAN[:20]))
    assert together.tolist() == [float(scorer.score(batch_of([text]))[0]) for text in CLEAN[:20]]


def test_the_same_examples_in_any_order_and_packing_give_the_same_bits(examples: dict[str, str], tmp_path: Path):
    first = fitted(examples).weights
    lines = Path(examples["positive"]).read_text().splitlines(keepends=True)
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress("".join(reversed(lines)).encode()))
    assert np.array_equal(first, fitted(examples | {"positive": str(packed)}).weights)


@pytest.mark.parametrize(
    "change",
    [{"epochs": 1}, {"learning_rate": 0.1}, {"l2": 1e-2}, {"seed": 1}, {"max_examples": 20}, {"buckets": 2**12}],
)
def test_each_setting_changes_what_is_learned(change: dict, examples: dict[str, str]):
    before, after = fitted(examples).score(batch_of(CLEAN)), fitted(examples, **change).score(batch_of(CLEAN))
    assert not np.array_equal(before, after)


def test_sets_of_unequal_size_weigh_the_same(examples: dict[str, str], tmp_path: Path):
    few = write(tmp_path / "few.jsonl", planted("spam", 5))
    scores = fitted(examples | {"negative": few}).score(batch_of(planted("spam", 40, seed=1)))
    assert (scores < 0).mean() > 0.9


def test_plain_text_is_one_example_a_line(tmp_path: Path):
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text("a good line about rivers\n\nanother fine line about houses\n")
    bad.write_text("cheap pills\nfree casino\n")
    scores = fitted({"positive": str(good), "negative": str(bad)}).score(
        batch_of(["rivers and houses", "casino pills"])
    )
    assert scores[0] > scores[1]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        (
            "missing.jsonl",
            None,
            r"scores\.scorers\.\*\.linear\.positive=.*missing\.jsonl must be a file that exists: check the path",
        ),
        ("a.csv", b"x", r"positive=.*a\.csv must be a \.jsonl or \.txt file"),
        ("a.jsonl", b"", r"positive=.*a\.jsonl must hold at least one text"),
        ("a.jsonl", b'{"text": "x"}\n{"text": 5}\n', r'a\.jsonl, line 2 must be an object with a string "text"'),
        ("a.jsonl", b"{broken\n", r"a\.jsonl, line 1 must be JSON"),
        ("a.jsonl", b"[" * 100_000 + b"\n", r"a\.jsonl, line 1 must be JSON"),
        ("a.jsonl", b'{"text": "' + b"x" * 2**24 + b'"}\n', r"a\.jsonl, line 1 must be at most 16 MiB"),
        ("a.txt.gz", b"not packed", r"a\.txt\.gz cannot be unpacked"),
        ("a.txt.gz", gzip.compress(b"text\n" * 10_000)[:-12], r"a\.txt\.gz cannot be unpacked"),
    ],
)
def test_wrong_example_files_are_named(name: str, content: bytes | None, error: str, tmp_path: Path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=error):
        fitted({"positive": str(tmp_path / name), "negative": str(tmp_path / name)})


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"buckets": 5}, r"scores\.scorers\.\*\.linear\.buckets=5 must be from 1,024"),
        ({"epochs": 0}, r"scores\.scorers\.\*\.linear\.epochs=0 must be at least 1"),
        ({"max_examples": 0}, r"scores\.scorers\.\*\.linear\.max_examples=0 must be at least 1"),
        ({"learning_rate": 0.0}, r"scores\.scorers\.\*\.linear\.learning_rate=0\.0 must be above 0"),
        ({"l2": -1.0}, r"scores\.scorers\.\*\.linear\.l2=-1\.0 must be from 0"),
    ],
)
def test_wrong_settings_are_named(settings: dict, error: str):
    with pytest.raises(ValueError, match=error):
        LinearConfig(**settings)
