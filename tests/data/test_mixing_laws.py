"""Laws that predict a mixture's loss: on losses of a known law they find its parameters and its best mixture."""

import numpy as np
import pytest

from mai1.data.mixing_laws import (
    LAWS,
    best_mixture,
    cross_validate,
    draw_mixtures,
    fit_exponential,
    fit_linear,
    fit_target,
    rank_correlation,
    within_caps,
)

FREE = np.full(3, np.inf)
PRIOR = np.array([0.5, 0.3, 0.2])
SLOPES = np.array([[-2.0, -0.3, 0.2], [-0.1, -1.6, 0.1], [0.3, -0.2, -1.2]])
"""How much each source (columns) helps each held-out one (rows)."""
FLOORS = np.array([1.2, 2.0, 2.5])


def true_losses(weights_NS: np.ndarray) -> np.ndarray:
    return FLOORS + np.exp(weights_NS @ SLOPES.T + 0.5)


def runs(count: int, *, noise: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    weights = draw_mixtures(PRIOR, count, caps_S=FREE, seed=seed)
    return weights, true_losses(weights) + np.random.default_rng(seed).normal(0, noise, (count, 3))


def test_drawn_mixtures_are_mixtures_of_every_strength():
    drawn = draw_mixtures(PRIOR, 4000, caps_S=FREE, seed=0)
    assert np.allclose(drawn.sum(1), 1) and (drawn >= 0).all()
    assert not ((drawn > 0) & (drawn < 0.0009)).any()
    assert np.allclose(drawn.mean(0), PRIOR, atol=0.03)
    assert (drawn.max(1) > 0.99).mean() > 0.1 and (drawn.min(1) > 0.05).mean() > 0.1
    assert (draw_mixtures(PRIOR, 5, caps_S=FREE, seed=0) == draw_mixtures(PRIOR, 5, caps_S=FREE, seed=0)).all()


def test_caps_hold_and_what_exceeds_them_goes_to_the_others():
    caps = np.array([0.2, 0.5, 0.6])
    drawn = draw_mixtures(PRIOR, 2000, caps_S=caps, seed=0)
    assert np.allclose(drawn.sum(1), 1) and (drawn <= caps + 1e-9).all()
    capped = within_caps(np.array([[0.8, 0.15, 0.05], [1.0, 0.0, 0.0], [0.1, 0.5, 0.4]]), caps)
    assert np.allclose(capped, [[0.2, 0.5, 0.3], [0.2, 0.8 * 5 / 11, 0.8 * 6 / 11], [0.1, 0.5, 0.4]])
    with pytest.raises(ValueError, match="allow only 90% of the rows"):
        within_caps(drawn, np.array([0.2, 0.5, 0.2]))


def test_the_exponential_law_is_found_again():
    weights, losses = runs(20, noise=0.0)
    fresh = draw_mixtures(PRIOR, 200, caps_S=FREE, seed=9)
    for source in range(3):
        law = fit_exponential(weights, losses[:, source])
        assert np.abs(law(fresh) - true_losses(fresh)[:, source]).max() < 1e-6


def test_the_linear_law_is_found_again():
    weights = draw_mixtures(PRIOR, 12, caps_S=FREE, seed=3)
    law = fit_linear(weights, weights @ [3.0, 2.5, 4.0])
    assert np.allclose(law(np.eye(3)), [3.0, 2.5, 4.0])


def test_the_best_mixture_is_found_within_a_tolerance():
    weights, losses = runs(24, noise=0.01)
    importance = np.array([1.0, 1.0, 2.0])
    law = fit_target("exponential", weights, losses, importance)
    grid = np.array([(a, b, 1 - a - b) for a in np.linspace(0, 1, 101) for b in np.linspace(0, 1 - a, 101)])
    truth = true_losses(grid) @ importance / 4
    found = best_mixture(law, draw_mixtures(PRIOR, 20_000, caps_S=FREE, seed=4))
    assert np.abs(found - grid[truth.argmin()]).max() < 0.06
    assert (true_losses(found[None]) @ importance / 4)[0] < truth.min() + 0.01


def test_the_best_mixture_keeps_to_the_caps():
    weights, losses = runs(24, noise=0.01)
    caps = np.array([0.25, 0.5, 0.5])
    law = fit_target("exponential", weights, losses, np.ones(3))
    found = best_mixture(law, draw_mixtures(PRIOR, 20_000, caps_S=caps, seed=4))
    assert (found <= caps + 1e-9).all() and found.sum() == pytest.approx(1)


def test_runs_left_out_tell_which_law_is_right():
    weights, losses = runs(24, noise=0.005)
    exponential, linear = (cross_validate(name, weights, losses, np.ones(3)) for name in ("exponential", "linear"))
    assert exponential.rank_correlation > 0.9 and exponential.error < 0.02 < linear.error
    straight = weights @ np.array([[3.0, 2.0, 4.0]]).T + np.random.default_rng(0).normal(0, 0.05, (24, 1))
    assert cross_validate("linear", weights, straight, np.ones(1)).error < 0.05


@pytest.mark.parametrize("name", LAWS)
def test_noise_is_not_mistaken_for_a_law(name):
    weights = draw_mixtures(PRIOR, 30, caps_S=FREE, seed=1)
    quality = cross_validate(name, weights, np.random.default_rng(2).normal(3, 0.1, (30, 1)), np.ones(1))
    assert quality.error > 0.95 and abs(quality.rank_correlation) < 0.5


def test_ranks_are_compared_as_spearman_did():
    left, right = np.array([1.0, 5, 3, 3, 9]), np.array([10.0, 2, 4, 4, 1])
    assert rank_correlation(left, left**3) == pytest.approx(1) and rank_correlation(left, right) == pytest.approx(-1)
    assert rank_correlation(left, np.ones(5)) == 0
    values = np.random.default_rng(0).normal(size=(2, 50))
    ranks = values.argsort(1).argsort(1)
    assert rank_correlation(*values) == pytest.approx(np.corrcoef(ranks)[0, 1])
