"""The fitter finds coefficients that it was not told, through noise; a plain optimizer finds no better ones."""

import numpy as np
import pytest
import torch

from mai1.plan.laws import joint
from mai1.plan.laws.fit import (
    HUBER,
    Law,
    best_size_exponent,
    fit,
    size_and_tokens,
    starts,
    valley,
    with_granularity,
)

CHINCHILLA = np.array([np.log(1.69), np.log(406.4), 0.34, np.log(410.7), 0.28])
FINE_GRAINED = np.array([np.log(0.47), np.log(18.1), 0.115, np.log(30.8), 0.147, np.log(2.1), 0.58])
SIZES, TOKENS = np.geomspace(1e8, 4e9, 6), np.geomspace(1e9, 1.3e11, 6)
FAR_STARTS = starts([-1, 1], [3, 9], [0.1, 0.5], [3, 9], [0.1, 0.5])


def grid(*axes: np.ndarray) -> list[np.ndarray]:
    return [values.ravel() for values in np.meshgrid(*axes)]


def noisy(law: Law, theta_P: np.ndarray, noise: float) -> np.ndarray:
    exact_R = law.losses(theta_P[None])[0]
    return exact_R * np.exp(np.random.default_rng(0).normal(0, noise, len(exact_R)))


def test_the_law_of_size_and_tokens_is_what_its_formula_says():
    sizes_R, tokens_R = grid(SIZES, TOKENS)
    losses_R = size_and_tokens(sizes_R, tokens_R).losses(CHINCHILLA[None])[0]
    assert losses_R == pytest.approx(1.69 + 406.4 * sizes_R**-0.34 + 410.7 * tokens_R**-0.28)


def test_slopes_are_those_of_small_differences():
    law, step = with_granularity(*grid(SIZES, TOKENS, np.array([1.0, 4.0]))), 1e-6
    slopes_RP = law.slopes(FINE_GRAINED[None])[0]
    for number, direction_P in enumerate(np.eye(7) * step):
        ends = [np.log(law.losses((FINE_GRAINED + sign * direction_P)[None])[0]) for sign in (1, -1)]
        assert slopes_RP[:, number] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)


def test_coefficients_are_recovered_exactly_from_runs_without_noise():
    law = size_and_tokens(*grid(SIZES, TOKENS))
    found = fit(law, noisy(law, CHINCHILLA, 0.0), FAR_STARTS)
    assert found.theta_P == pytest.approx(CHINCHILLA, rel=1e-6)
    assert found.rms < 1e-9


@pytest.mark.parametrize("noise", [1e-3, 3e-3])
def test_coefficients_are_recovered_within_their_errors(noise: float):
    law = size_and_tokens(*grid(SIZES, TOKENS))
    found = fit(law, noisy(law, CHINCHILLA, noise), FAR_STARTS)
    assert np.all(np.abs(found.theta_P - CHINCHILLA) < 3 * found.errors_P)
    assert found.rms == pytest.approx(noise, rel=0.3)
    assert np.all(found.errors_P[[2, 4]] < 10 * noise)


def test_the_law_of_granularity_is_recovered_within_its_errors():
    law = with_granularity(*grid(SIZES, TOKENS, np.array([1.0, 2.0, 4.0, 8.0, 16.0])))
    near = starts([-1, 0.5], [2, 4], [0.1, 0.3], [3], [0.1, 0.3], [0, 2], [0.3, 1])
    found = fit(law, noisy(law, FINE_GRAINED, 1e-3), near)
    assert np.all(np.abs(found.theta_P - FINE_GRAINED) < 3 * found.errors_P)
    assert found.errors_P[6] < 0.02


def test_a_joint_law_is_recovered_for_a_number_of_experts():
    sizes_R, tokens_R = grid(SIZES, TOKENS)
    published = joint.with_experts(8)
    law = size_and_tokens(sizes_R, tokens_R)
    found = fit(law, published.loss(sizes_R, tokens_R), FAR_STARTS)
    assert found.theta_P[[2, 4]] == pytest.approx([-published.mu, -published.nu], rel=1e-5)


def test_a_wild_run_hardly_moves_the_fit():
    law = size_and_tokens(*grid(SIZES, TOKENS))
    losses_R = noisy(law, CHINCHILLA, 1e-4)
    losses_R[7] *= 1.5
    found = fit(law, losses_R, FAR_STARTS)
    assert found.theta_P[[2, 4]] == pytest.approx(CHINCHILLA[[2, 4]], abs=5e-3)


def test_a_plain_optimizer_finds_no_better_fit():
    """torch's L-BFGS on the same objective, term by term as the formula stands, from the fit and from nearby."""
    sizes_R, tokens_R = grid(SIZES, TOKENS)
    law = size_and_tokens(sizes_R, tokens_R)
    losses_R = noisy(law, CHINCHILLA, 2e-3)
    sizes, tokens, losses = (torch.tensor(values) for values in (sizes_R, tokens_R, losses_R))

    def objective(theta: torch.Tensor) -> torch.Tensor:
        predicted = theta[0].exp() + theta[1].exp() * sizes ** -theta[2] + theta[3].exp() * tokens ** -theta[4]
        return torch.nn.functional.huber_loss(predicted.log(), losses.log(), reduction="sum", delta=HUBER)

    found = torch.tensor(fit(law, losses_R, FAR_STARTS).theta_P)
    for start in (found, torch.tensor(CHINCHILLA)):
        theta = start.clone().requires_grad_()
        optimizer = torch.optim.LBFGS([theta], max_iter=500, line_search_fn="strong_wolfe", tolerance_change=1e-15)

        def closure(theta: torch.Tensor = theta, optimizer: torch.optim.LBFGS = optimizer) -> torch.Tensor:
            optimizer.zero_grad()
            value = objective(theta) * 1e6
            value.backward()
            return value

        optimizer.step(closure)
        assert objective(found) <= objective(theta.detach()) * (1 + 1e-6)


def test_the_valley_is_the_lowest_point_of_a_parabola():
    sizes_R = np.geomspace(1e5, 1e6, 4)
    losses_R = np.exp(0.5 + 0.03 * (np.log(sizes_R) - np.log(3e5)) ** 2)
    best = valley(1e12, sizes_R, losses_R)
    assert (best.size, best.loss) == pytest.approx((3e5, np.exp(0.5)))
    assert best.is_inside
    assert not valley(1e12, sizes_R[2:].repeat(2) * np.array([1, 1.1, 1, 1.1]), losses_R[[2, 2, 3, 3]] * 1.0).is_inside


def test_the_exponent_of_the_best_size_is_recovered_within_its_error():
    generator, budgets = np.random.default_rng(2), {}
    for flops in (1e12, 4e12, 1.6e13):
        best = 0.1 * flops**0.53
        sizes_R = best * np.geomspace(0.3, 3, 4)
        curve_R = 0.8 - 0.02 * np.log(flops) + 0.03 * np.log(sizes_R / best) ** 2
        budgets[flops] = (sizes_R, np.exp(curve_R + generator.normal(0, 1e-3, 4)))
    found = best_size_exponent(budgets)
    assert abs(found.exponent - 0.53) < 3 * found.error
    assert 0 < found.error < 0.1
    assert best_size_exponent(budgets) == found


def test_what_cannot_be_fitted_is_refused():
    law = size_and_tokens(np.array([1e6, 2e6]), np.array([1e6, 2e6]))
    with pytest.raises(ValueError, match="2 runs cannot fit a law of 5 parameters"):
        fit(law, np.array([2.0, 1.9]), FAR_STARTS)
    with pytest.raises(ValueError, match="have no valley"):
        valley(1e12, np.array([1e5, 2e5, 4e5]), np.array([1.0, 1.2, 1.1]))
    with pytest.raises(ValueError, match="at least 2 budgets"):
        best_size_exponent({1e12: (np.ones(4), np.ones(4))})
