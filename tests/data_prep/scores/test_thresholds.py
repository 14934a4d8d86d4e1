"""Thresholds: what is kept is what a loop over documents keeps, and every drop has its reason."""

import itertools

import numpy as np
import pytest

from data_prep.scores.config import ScorerConfig, ScorerKind, ScoresConfig
from data_prep.scores.keep import KeepConfig, Within
from data_prep.scores.thresholds import choose_thresholds


def config_of(**keeps: KeepConfig) -> ScoresConfig:
    return ScoresConfig(scorers={name: ScorerConfig(kind=ScorerKind.prior, keep=keep) for name, keep in keeps.items()})


def random_scores(count: int, seed: int = 0) -> tuple[dict[str, np.ndarray], list[str]]:
    generator = np.random.default_rng(seed)
    scores = {name: generator.normal(size=count).round(1).astype(np.float32) for name in ("first", "second")}
    scores["first"][generator.random(count) < 0.1] = np.nan
    return scores, generator.choice(["en", "de", ""], size=count, p=[0.7, 0.25, 0.05]).tolist()


def slow_reasons(scores: dict[str, np.ndarray], languages: list[str], config: ScoresConfig) -> list[str]:
    reasons = []
    for place, language in enumerate(languages):
        reason = ""
        for name, section in config.scorers.items():
            keep, value = section.keep, float(scores[name][place])
            others = [
                float(score)
                for score, other in zip(scores[name], languages, strict=True)
                if not np.isnan(score) and (keep.within is Within.corpus or other == language)
            ]
            low, high = keep.min_value, keep.max_value
            if others and keep.min_quantile > 0:
                low = max(low, np.quantile(others, keep.min_quantile))
            if others and keep.max_quantile < 1:
                high = min(high, np.quantile(others, keep.max_quantile))
            if not reason and value < low:
                reason = f"scores.{name}.low"
            elif not reason and value > high:
                reason = f"scores.{name}.high"
        reasons.append(reason)
    return reasons


KEEPS = (
    KeepConfig(),
    KeepConfig(min_value=-1.0),
    KeepConfig(max_value=1.0),
    KeepConfig(min_quantile=0.2, max_quantile=0.95),
    KeepConfig(min_quantile=0.2, within=Within.corpus),
    KeepConfig(min_value=-0.5, min_quantile=0.1, max_value=2.0, max_quantile=0.9),
)


@pytest.mark.parametrize(("first", "second"), itertools.product(KEEPS, repeat=2))
def test_what_is_kept_is_what_a_loop_over_documents_keeps(first: KeepConfig, second: KeepConfig):
    scores, languages = random_scores(300)
    config = config_of(first=first, second=second)
    choice = choose_thresholds(scores, languages, config)
    assert [choice.reasons[code] for code in choice.reason] == slow_reasons(scores, languages, config)
    assert np.array_equal(choice.keep, choice.reason == 0)


def test_without_limits_everything_is_kept():
    scores, languages = random_scores(50)
    assert choose_thresholds(scores, languages, config_of(first=KeepConfig(), second=KeepConfig())).keep.all()


def test_what_was_not_judged_is_kept():
    scores = {"a": np.array([np.nan, -5.0, np.nan], dtype=np.float32)}
    choice = choose_thresholds(scores, ["en", "en", "xx"], config_of(a=KeepConfig(min_value=0.0, min_quantile=0.5)))
    assert choice.keep.tolist() == [True, False, True]


def test_a_score_equal_to_the_limit_is_kept():
    scores = {"a": np.array([0.25, 0.5, 0.75], dtype=np.float32)}
    choice = choose_thresholds(scores, ["en"] * 3, config_of(a=KeepConfig(min_value=0.5, max_value=0.5)))
    assert choice.keep.tolist() == [False, True, False]
    assert [choice.reasons[code] for code in choice.reason] == ["scores.a.low", "", "scores.a.high"]


def test_each_language_loses_its_own_share_unless_the_corpus_is_asked():
    scores = {"a": np.concatenate([np.arange(900), np.arange(100) - 1000]).astype(np.float32)}
    languages = ["en"] * 900 + ["de"] * 100
    apart = choose_thresholds(scores, languages, config_of(a=KeepConfig(min_quantile=0.1)))
    assert (apart.keep[:900].sum(), apart.keep[900:].sum()) == (810, 90)
    together = choose_thresholds(scores, languages, config_of(a=KeepConfig(min_quantile=0.1, within=Within.corpus)))
    assert (together.keep[:900].sum(), together.keep[900:].sum()) == (900, 0)


def test_limits_say_what_each_scorer_did_to_each_language():
    scores = {"a": np.array([1.0, 2.0, 3.0, 4.0, np.nan], dtype=np.float32)}
    choice = choose_thresholds(
        scores, ["en", "en", "de", "de", "de"], config_of(a=KeepConfig(min_value=2.0, max_value=3.0))
    )
    found = [(limit.language, limit.num_judged, limit.num_low, limit.num_high) for limit in choice.limits]
    assert found == [("de", 2, 0, 1), ("en", 2, 1, 0)]
    assert {(limit.scorer, limit.lowest, limit.highest) for limit in choice.limits} == {("a", 2.0, 3.0)}
    scores = {"a": np.array([1.0, 2.0], dtype=np.float32)}
    (limit,) = choose_thresholds(scores, ["", ""], config_of(a=KeepConfig(within=Within.corpus))).limits
    assert (limit.language, limit.num_judged) == ("", 2)


def test_the_order_of_documents_does_not_matter():
    scores, languages = random_scores(200)
    config = config_of(first=KEEPS[3], second=KEEPS[4])
    order = np.random.default_rng(4).permutation(200)
    before = choose_thresholds(scores, languages, config)
    after = choose_thresholds(
        {name: each[order] for name, each in scores.items()}, [languages[i] for i in order], config
    )
    assert np.array_equal(before.reason[order], after.reason)


def test_no_documents_are_nothing_special():
    choice = choose_thresholds({"a": np.zeros(0, dtype=np.float32)}, [], config_of(a=KeepConfig(min_quantile=0.5)))
    assert len(choice.keep) == 0


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (
            {"min_value": 2.0, "max_value": 1.0},
            r"scores\.scorers\.\*\.keep\.min_value=2\.0 must be at most max_value=1\.0",
        ),
        (
            {"min_quantile": 0.6, "max_quantile": 0.4},
            r"scores\.scorers\.\*\.keep\.min_quantile=0\.6 must be from 0 and below",
        ),
        ({"max_quantile": 1.5}, r"max_quantile=1\.5, which must be at most 1"),
        ({"min_value": float("nan")}, r"min_value=nan must be at most"),
    ],
)
def test_wrong_settings_are_named(settings: dict, error: str):
    with pytest.raises(ValueError, match=error):
        KeepConfig(**settings)
