import math

import numpy as np
import pytest

from mai1.evaluate.statistics import METRICS, Figure, ratio_of_sums, score


def test_the_error_of_a_mean_is_the_usual_one():
    values = np.random.default_rng(0).normal(size=50)
    mean, error = ratio_of_sums(values, np.ones(50))
    assert mean == pytest.approx(values.mean()) and error == pytest.approx(values.std(ddof=1) / math.sqrt(50))


def test_the_error_of_a_ratio_is_that_of_a_bootstrap():
    generator = np.random.default_rng(1)
    sizes = generator.integers(5, 60, size=400).astype(float)
    nats = sizes * generator.normal(1.0, 0.2, size=400)
    ratio, error = ratio_of_sums(nats, sizes)
    drawn = generator.integers(0, 400, size=(4000, 400))
    assert ratio == pytest.approx(nats.sum() / sizes.sum())
    assert error == pytest.approx((nats[drawn].sum(1) / sizes[drawn].sum(1)).std(), rel=0.08)


def test_the_error_with_clusters_is_that_of_a_bootstrap_of_clusters():
    generator = np.random.default_rng(2)
    of_cluster = generator.random(60)
    clusters = np.repeat(np.arange(60), 5)
    values = (generator.random(300) < of_cluster[clusters]).astype(float)
    _, error = ratio_of_sums(values, np.ones(300), [str(c) for c in clusters])
    drawn = generator.integers(0, 60, size=(4000, 60))
    assert error == pytest.approx(values.reshape(60, 5).mean(1)[drawn].mean(1).std(), rel=0.08)
    assert error > 1.3 * ratio_of_sums(values, np.ones(300))[1]


def test_intervals_hold_the_true_value_nineteen_times_in_twenty():
    generator = np.random.default_rng(3)
    hits = 0
    for _ in range(600):
        figures = [Figure(float(x)) for x in generator.random(200) < 0.3]
        found = score(figures, METRICS["acc"])
        hits += abs(found.value - 0.3) <= found.margin
    assert 0.92 < hits / 600 < 0.98


def test_z_compares_item_by_item_with_chance():
    figures = [Figure(float(i % 2), 1.0, chance=0.25) for i in range(100)]
    found = score(figures, METRICS["acc"])
    assert found.value == 0.5 and found.chance == 0.25
    assert found.z == pytest.approx(0.25 / found.standard_error)
    uneven = [Figure(1.0, 1.0, chance=1 / choices) for choices in (2, 4, 4, 2)]
    assert score(uneven, METRICS["acc"]).chance == pytest.approx(0.375)


def test_a_perplexity_is_the_exponential_of_a_mean_and_its_error_follows():
    figures = [Figure(x) for x in (1.0, 2.0, 3.0)]
    found = score(figures, METRICS["perplexity"])
    assert found.value == pytest.approx(math.exp(2.0))
    assert found.standard_error == pytest.approx(math.exp(2.0) / math.sqrt(3))
    assert found.chance is found.z is None


def test_all_right_or_all_wrong_is_no_certainty():
    for value in (0.0, 1.0):
        found = score([Figure(value, 1.0, 0.25)] * 20, METRICS["acc"])
        assert found.value == value and 0.03 < found.standard_error < 0.08
        assert found.z * (value - 0.25) > 0


def test_one_item_has_no_error():
    found = score([Figure(1.0)], METRICS["acc"])
    assert found.standard_error is found.margin is None
