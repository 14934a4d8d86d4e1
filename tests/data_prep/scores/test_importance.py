"""Importance weights: equal to their definition, highest where a document is most like the target."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_prep.scores.importance import ImportanceConfig, ImportanceScorer
from tests.data_prep.scores.planted import NOISE, area, batch_of, clean_passages, planted

CLEAN = clean_passages()


@pytest.fixture
def target(tmp_path: Path) -> str:
    path = tmp_path / "target.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in CLEAN[::2]))
    return str(path)


def fitted(sample: list[str], target: str, **settings) -> ImportanceScorer:
    scorer = ImportanceScorer(ImportanceConfig(target=target, **settings))
    for start in range(0, len(sample), 50):
        scorer.fit(batch_of(sample[start : start + 50]))
    scorer.finish()
    return scorer


def slow_scores(sample: list[str], target: list[str], texts: list[str], buckets: int) -> list[float]:
    def features(text: str) -> list[int]:
        return batch_of([text]).words.with_pairs(buckets)[0].tolist()

    raw = Counter(feature for text in sample for feature in features(text))
    wanted = Counter(feature for text in target for feature in features(text))

    def log_ratio(feature: int) -> float:
        share = (wanted[feature] + 1) / (wanted.total() + buckets)
        return math.log(share / ((raw[feature] + 1) / (raw.total() + buckets)))

    return [sum(map(log_ratio, features(text))) / len(features(text)) for text in texts]


def test_scores_equal_the_definition_computed_feature_by_feature(target: str):
    sample = [text[:300] for text in (*CLEAN[:60], *planted("spam", 20))]
    texts = [*CLEAN[:3], "never seen anywhere", "one"]
    found = fitted(sample, target, buckets=5000).score(batch_of(texts))
    assert found.dtype == np.float32
    assert found == pytest.approx(slow_scores(sample, CLEAN[::2], texts, 5000), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("kind", NOISE)
def test_planted_noise_is_less_like_documentation_than_documentation_is(kind: str, target: str):
    others = CLEAN[1::2]
    noise = planted(kind, 20)
    scorer = fitted(others + noise, target)
    assert area(scorer.score(batch_of(others)), scorer.score(batch_of(noise))) > (0.6 if kind == "shuffled" else 0.99)


def test_length_alone_does_not_change_the_weight(target: str):
    scorer = fitted(CLEAN + planted("spam", 20), target)
    once, often = scorer.score(batch_of([CLEAN[0] + "\n", (CLEAN[0] + "\n") * 20]))
    assert often == pytest.approx(once, abs=0.02)


def test_the_order_and_batches_of_the_sample_do_not_matter(target: str):
    sample = CLEAN + planted("digits", 10)
    assert np.array_equal(fitted(sample, target).log_ratios, fitted(sample[::-1], target).log_ratios)


def test_the_number_of_buckets_is_as_configured(target: str):
    assert fitted(CLEAN, target, buckets=2048).log_ratios.shape == (2048,)


def test_a_document_without_words_is_not_judged(target: str):
    assert np.isnan(fitted(CLEAN, target).score(batch_of(["", "word"]))).tolist() == [True, False]


def test_a_missing_sample_or_target_is_named(tmp_path: Path, target: str):
    with pytest.raises(ValueError, match=r"scores: the sample holds no words"):
        fitted([], target)
    with pytest.raises(
        ValueError,
        match=r"scores\.scorers\.\*\.importance\.target=.*none\.jsonl must be a file that exists: check the path",
    ):
        fitted(CLEAN, str(tmp_path / "none.jsonl"))
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"target=.*empty\.txt must hold at least one text"):
        fitted(CLEAN, str(tmp_path / "empty.txt"))
    with pytest.raises(ValueError, match=r"scores\.scorers\.\*\.importance\.buckets=3 must be"):
        ImportanceConfig(target=target, buckets=3)
