"""Token-prior filter: equal to its definition, blind to no kind of noise but order, and fair to small languages."""

import math
import random
import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_prep.scores.config import ScorerConfig, ScorerKind, ScoresConfig
from data_prep.scores.fitting import fit_scorers, load_scorers, score_batch
from data_prep.scores.keep import KeepConfig
from data_prep.scores.prior import PriorConfig, PriorScorer
from data_prep.scores.thresholds import choose_thresholds
from tests.data_prep.scores.planted import area, batch_of, clean_passages, planted

CLEAN = clean_passages()
WORDS = {language: [f"{language}{number}" for number in range(300)] for language in ("aa", "bb")}


def made_up(language: str, count: int, *, seed: int = 0) -> list[str]:
    """Texts of a language of 300 words with Zipf's frequencies."""
    generator = random.Random(f"{language} {seed}")
    weights = [1.0 / rank for rank in range(1, 301)]
    return [" ".join(generator.choices(WORDS[language], weights, k=200)) for _ in range(count)]


def fitted(texts: list[str], config: PriorConfig | None = None) -> PriorScorer:
    scorer = PriorScorer(config or PriorConfig())
    for start in range(0, len(texts), 100):
        scorer.fit(batch_of(texts[start : start + 100]))
    scorer.finish()
    return scorer


def slow_scores(sample: list[str], texts: list[str]) -> list[float]:
    counts = Counter(word for text in sample for word in text.split())
    total = sum(counts.values()) + 0.5 * (2**20 - len(counts))

    def figures(text: str) -> list[float]:
        priors = [counts.get(word, 0.5) / total for word in text.split()]
        logs = list(map(math.log, priors))
        return [statistics.fmean(logs), statistics.pstdev(logs), statistics.pstdev(priors)]

    quartiles = np.quantile([figures(text) for text in sample], [0.25, 0.5, 0.75], axis=0).T
    scores = []
    for text in texts:
        distances = [
            (value - middle) / (high - middle) if value > middle else (middle - value) / (middle - low)
            for value, (low, middle, high) in zip(figures(text), quartiles, strict=True)
        ]
        scores.append(-max(distances))
    return scores


def test_scores_equal_the_definition_computed_word_by_word():
    sample = made_up("aa", 120)
    texts = [*made_up("aa", 5, seed=1), "aa0 aa1 neverseen", "unknown words only", "aa7 aa7"]
    found = fitted(sample, PriorConfig(buckets=2**20)).score(batch_of(texts))
    assert found.dtype == np.float32
    assert found == pytest.approx(slow_scores(sample, texts), rel=2e-3)


@pytest.mark.parametrize(("kind", "least"), [("encoded", 0.99), ("spam", 0.99), ("digits", 0.99), ("markup", 0.9)])
def test_planted_noise_is_told_from_documentation(kind: str, least: float):
    noise = planted(kind, 10)
    scorer = fitted(CLEAN + noise)
    assert area(scorer.score(batch_of(CLEAN)), scorer.score(batch_of(noise))) > least


def test_the_order_of_words_is_what_it_cannot_see():
    noise = planted("shuffled", 60)
    scorer = fitted(CLEAN)
    assert 0.35 < area(scorer.score(batch_of(CLEAN)), scorer.score(batch_of(noise))) < 0.65


def test_spam_in_one_document_does_not_become_usual():
    flood = "casino bonus " * 20_000
    scorer = fitted([*CLEAN, flood])
    assert scorer.score(batch_of([flood]))[0] < np.quantile(scorer.score(batch_of(CLEAN)), 0.01)


def run(sample: list[tuple[str, str]], folder: Path, **settings) -> tuple[np.ndarray, ScoresConfig]:
    scorer = ScorerConfig(kind=ScorerKind.prior, prior=PriorConfig(**settings), keep=KeepConfig(min_quantile=0.1))
    config = ScoresConfig(scorers={"usual": scorer})
    fit_scorers(sample, config, folder)
    texts, languages = zip(*sample, strict=True)
    return score_batch(load_scorers(folder, config), list(texts), list(languages))["usual"], config


def test_a_small_language_loses_no_more_than_a_large_one(tmp_path: Path):
    large = [(text, "aa") for text in made_up("aa", 900)]
    small = [(text, "bb") for text in made_up("bb", 100)]
    scores, config = run(large + small, tmp_path / "apart")
    choice = choose_thresholds({"usual": scores}, ["aa"] * 900 + ["bb"] * 100, config)
    assert choice.keep[:900].mean() == pytest.approx(0.9, abs=0.01)
    assert choice.keep[900:].mean() == pytest.approx(0.9, abs=0.01)
    mixed, config = run([(text, "xx") for text, _ in large + small], tmp_path / "mixed")
    choice = choose_thresholds({"usual": mixed}, ["xx"] * 1000, config)
    assert choice.keep[900:].mean() < 0.2, "with one table for all, the small language is what goes"


def test_languages_with_too_few_documents_are_not_judged(tmp_path: Path):
    sample = [(text, "aa") for text in made_up("aa", 60)] + [(text, "bb") for text in made_up("bb", 20)]
    scores, config = run(sample, tmp_path / "a", min_documents=30)
    assert not np.isnan(scores[:60]).any() and np.isnan(scores[60:]).all()
    assert choose_thresholds({"usual": scores}, [language for _, language in sample], config).keep[60:].all()
    scores, _ = run(sample, tmp_path / "b", min_documents=20)
    assert not np.isnan(scores).any()
    scores, _ = run(sample[:10], tmp_path / "c", min_documents=20)
    assert np.isnan(scores).all()


def test_a_document_without_words_is_not_judged():
    assert np.isnan(fitted(CLEAN).score(batch_of(["", " \n", "word"]))).tolist() == [True, True, False]


def test_the_order_and_batches_of_the_sample_do_not_matter(tmp_path: Path):
    sample = [(text, "en") for text in CLEAN] + [(text, "aa") for text in made_up("aa", 60)]
    run(sample, tmp_path / "a", center_documents=50)
    run(random.Random(2).sample(sample, len(sample)), tmp_path / "b", center_documents=50)
    assert (tmp_path / "a" / "usual.npz").read_bytes() == (tmp_path / "b" / "usual.npz").read_bytes()


def test_what_stands_beside_a_document_changes_no_bit_of_its_score():
    scorer = fitted(CLEAN)
    together = scorer.score(batch_of(CLEAN[:20]))
    assert together.tolist() == [float(scorer.score(batch_of([text]))[0]) for text in CLEAN[:20]]


def test_the_middle_is_taken_from_so_many_documents():
    few, many = (fitted(CLEAN, PriorConfig(center_documents=count)) for count in (50, 1000))
    assert few.centers.shape == many.centers.shape and not np.array_equal(few.centers, many.centers)
    assert np.array_equal(few.log_priors, many.log_priors)


def test_the_table_has_as_many_entries_as_configured():
    assert fitted(CLEAN, PriorConfig(buckets=2**12)).log_priors.shape == (1, 2**12)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"buckets": 10}, r"scores\.scorers\.\*\.prior\.buckets=10 must be from 1,024"),
        ({"min_documents": 1}, r"scores\.scorers\.\*\.prior\.min_documents=1 must be at least 2"),
        (
            {"center_documents": 10},
            r"scores\.scorers\.\*\.prior\.center_documents=10 must be at least min_documents=50",
        ),
    ],
)
def test_wrong_settings_are_named(settings: dict, error: str):
    with pytest.raises(ValueError, match=error):
        PriorConfig(**settings)
