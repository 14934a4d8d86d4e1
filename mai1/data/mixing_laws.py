"""What loss would another mixture reach? Laws fitted to small runs of different mixtures, judged on runs they did not see.

RegMix (Liu et al. 2024, arXiv 2407.01492): train small models on random mixtures, fit the loss to the weights, simulate many
mixtures and average the best. Legend: R runs, S sources of training text, H sources of held-out text, N mixtures.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

STRENGTHS = np.geomspace(0.1, 5.0, 15)
"""Of the Dirichlet distributions that mixtures are drawn from, as published: from single sources to near the prior."""
LEAST_WEIGHT = 0.001
"""Smaller weights of a drawn mixture are 0."""
BEST = 100
"""Simulated mixtures that are averaged, as published."""
FLOORS = np.geomspace(0.02, 20.0, 16)
"""Where the exponential law's constant is looked for at first: below the lowest loss, in spans of the losses."""

Law = Callable[[np.ndarray], np.ndarray]
"""From weights `[N, S]`, which sum to 1, to losses `[N]`."""


def fit_linear(weights_RS: np.ndarray, losses_R: np.ndarray) -> Law:
    """A loss of its own for each source, weighted: the linear regression of RegMix."""
    slopes_S, *_ = np.linalg.lstsq(weights_RS, losses_R)
    return lambda weights_NS: weights_NS @ slopes_S


def fit_exponential(weights_RS: np.ndarray, losses_R: np.ndarray) -> Law:
    """`c + exp(t . weights)`: Data Mixing Laws (Ye et al. 2024, arXiv 2403.16952, eq. 1).

    Its factor k is in t, because weights sum to 1. Least squares by Levenberg-Marquardt from several constants c.
    """
    span = max(float(np.ptp(losses_R)), 1e-9)
    starts = [_start(weights_RS, losses_R, losses_R.min() - floor * span) for floor in FLOORS]
    refined = [_refine(start, weights_RS, losses_R) for start in starts]
    errors = [float(np.square(_exponential(parameters, weights_RS) - losses_R).sum()) for parameters in refined]
    best = refined[int(np.argmin(errors))]
    return lambda weights_NS: _exponential(best, weights_NS)


LAWS = {"linear": fit_linear, "exponential": fit_exponential}


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a law predicts runs that it was not fitted to."""

    rank_correlation: float
    """Spearman's, between predicted and measured."""
    error: float
    """Squared error over that of always predicting the mean: 0 is perfect, 1 is worth nothing."""


def fit_target(name: str, weights_RS: np.ndarray, losses_RH: np.ndarray, importance_H: np.ndarray) -> Law:
    """The weighted mean loss of several held-out sources, each by a law of its own."""
    laws = [LAWS[name](weights_RS, losses_R) for losses_R in losses_RH.T]
    return lambda weights_NS: sum(
        part * law(weights_NS) for part, law in zip(importance_H / importance_H.sum(), laws, strict=True)
    )


def cross_validate(name: str, weights_RS: np.ndarray, losses_RH: np.ndarray, importance_H: np.ndarray) -> Quality:
    """Leave out every run once, at most ten groups at a time, and predict it from the others."""
    measured_R = losses_RH @ importance_H / importance_H.sum()
    predicted_R, means_R = np.empty_like(measured_R), np.empty_like(measured_R)
    for left_out in np.array_split(np.random.default_rng(0).permutation(len(measured_R)), min(10, len(measured_R))):
        kept = np.setdiff1d(np.arange(len(measured_R)), left_out)
        law = fit_target(name, weights_RS[kept], losses_RH[kept], importance_H)
        predicted_R[left_out], means_R[left_out] = law(weights_RS[left_out]), measured_R[kept].mean()
    error = np.square(predicted_R - measured_R).sum() / max(np.square(means_R - measured_R).sum(), 1e-300)
    return Quality(rank_correlation(predicted_R, measured_R), float(error))


def rank_correlation(left_N: np.ndarray, right_N: np.ndarray) -> float:
    """Spearman's; 0 where either is constant."""
    left_N, right_N = _ranks(left_N), _ranks(right_N)
    spread = left_N.std() * right_N.std()
    return float(((left_N - left_N.mean()) * (right_N - right_N.mean())).mean() / spread) if spread else 0.0


def draw_mixtures(prior_S: np.ndarray, count: int, *, caps_S: np.ndarray, seed: int) -> np.ndarray:
    """Random mixtures around a prior, `[N, S]`, none of whose weights exceeds its cap."""
    generator = np.random.default_rng(seed)
    strengths_N, draws = generator.choice(STRENGTHS, size=count), np.empty((count, len(prior_S)))
    for strength in STRENGTHS:
        drawn_N = strengths_N == strength
        draws[drawn_N] = generator.dirichlet(np.maximum(prior_S * strength, 1e-3), size=int(drawn_N.sum()))
    draws[draws < LEAST_WEIGHT] = 0.0
    return within_caps(draws / draws.sum(1, keepdims=True), caps_S)


def within_caps(weights_NS: np.ndarray, caps_S: np.ndarray) -> np.ndarray:
    """What exceeds a cap goes to the other sources, in their proportions, or in those of their room where they have none."""
    if caps_S.sum() < 1:
        raise ValueError(f"the limits of all sources together allow only {caps_S.sum():.0%} of the rows")
    weights_NS = weights_NS.copy()
    for _ in caps_S:
        is_full_NS = weights_NS >= caps_S
        weights_NS = np.where(is_full_NS, caps_S, weights_NS)
        missing_N1 = 1 - weights_NS.sum(1, keepdims=True)
        free_NS = np.where(is_full_NS, 0.0, weights_NS)
        room_NS = np.where(is_full_NS, 0.0, np.minimum(caps_S, 1.0) - weights_NS)
        basis_NS = np.where(free_NS.sum(1, keepdims=True) > 0, free_NS, room_NS)
        weights_NS += missing_N1 * basis_NS / np.maximum(basis_NS.sum(1, keepdims=True), 1e-300)
    return weights_NS


def best_mixture(law: Law, candidates_NS: np.ndarray) -> np.ndarray:
    """The mean of the mixtures of lowest predicted loss."""
    best = np.argsort(law(candidates_NS), kind="stable")[:BEST]
    return candidates_NS[best].mean(0)


def _start(weights_RS: np.ndarray, losses_R: np.ndarray, floor: float) -> np.ndarray:
    exponents_S, *_ = np.linalg.lstsq(weights_RS, np.log(losses_R - floor))
    return np.concatenate(([floor], exponents_S))


def _exponential(parameters: np.ndarray, weights_NS: np.ndarray) -> np.ndarray:
    return parameters[0] + np.exp(np.minimum(weights_NS @ parameters[1:], 50.0))


def _refine(parameters: np.ndarray, weights_RS: np.ndarray, losses_R: np.ndarray, *, steps: int = 60) -> np.ndarray:
    damping, residual_R = 1e-3, _exponential(parameters, weights_RS) - losses_R
    for _ in range(steps):
        slope_R = residual_R + losses_R - parameters[0]  # exp(t . weights)
        jacobian = np.column_stack((np.ones_like(losses_R), slope_R[:, None] * weights_RS))
        normal = jacobian.T @ jacobian
        normal += damping * np.diag(np.maximum(np.diag(normal), 1e-12))
        trial = parameters - np.linalg.solve(normal, jacobian.T @ residual_R)
        trial_R = _exponential(trial, weights_RS) - losses_R
        if np.square(trial_R).sum() < np.square(residual_R).sum():
            parameters, residual_R, damping = trial, trial_R, max(damping / 5, 1e-12)
        else:
            damping = min(damping * 5, 1e9)
    return parameters


def _ranks(values_N: np.ndarray) -> np.ndarray:
    """From 0; equal values share the mean of theirs."""
    _, places, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[places]
