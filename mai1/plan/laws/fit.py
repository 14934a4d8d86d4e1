"""Fitting scaling laws to runs: sums of powers by a robust fit (Hoffmann et al. 2022, arXiv 2203.15556, approach 3), and the
valleys of isoFLOP curves (approach 2).

Every law here is `L = sum over terms of exp(X theta)`: `A N^-alpha` is a term with X = [1, -ln N] and theta = [ln A, alpha].
Legend: R runs, P parameters of the law, M terms, S starts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STEPS = 400
HUBER = 1e-3
"""Residuals of ln L beyond this count linearly, as Hoffmann's."""


@dataclass(frozen=True, slots=True)
class Law:
    """The shape of a law for given runs: what each parameter is multiplied with in each term's exponent."""

    features_MRP: np.ndarray

    def losses(self, theta_SP: np.ndarray) -> np.ndarray:
        """`[S, R]` of `[S, P]`."""
        return self._powers_SMR(theta_SP).sum(1)

    def slopes(self, theta_SP: np.ndarray) -> np.ndarray:
        """Of ln L by the parameters, `[S, R, P]`: features, weighted with each term's share of L."""
        powers_SMR = self._powers_SMR(theta_SP)
        shares_SMR = powers_SMR / powers_SMR.sum(1, keepdims=True)
        return np.einsum("smr,mrp->srp", shares_SMR, self.features_MRP)

    def _powers_SMR(self, theta_SP: np.ndarray) -> np.ndarray:
        return np.exp(np.einsum("mrp,sp->smr", self.features_MRP, theta_SP))


def law_of(terms: Sequence[dict[int, np.ndarray | float]], *, num_parameters: int, num_runs: int) -> Law:
    """A law of each term's features by parameter: `[R]` arrays, or numbers for all runs."""
    features_MRP = np.zeros((len(terms), num_runs, num_parameters))
    for term, features in enumerate(terms):
        for parameter, feature_R in features.items():
            features_MRP[term, :, parameter] = feature_R
    return Law(features_MRP)


def size_and_tokens(sizes_R: np.ndarray, tokens_R: np.ndarray) -> Law:
    """L = c + A N^-alpha + B D^-beta; parameters [ln c, ln A, alpha, ln B, beta]."""
    terms = [{0: 1.0}, {1: 1.0, 2: -np.log(sizes_R)}, {3: 1.0, 4: -np.log(tokens_R)}]
    return law_of(terms, num_parameters=5, num_runs=len(sizes_R))


def with_granularity(sizes_R: np.ndarray, tokens_R: np.ndarray, granularity_R: np.ndarray) -> Law:
    """L = c + (g / G^gamma + a) N^-alpha + b D^-beta; parameters [ln c, ln a, alpha, ln b, beta, ln g, gamma]."""
    terms = [
        {0: 1.0},
        {1: 1.0, 2: -np.log(sizes_R)},
        {3: 1.0, 4: -np.log(tokens_R)},
        {5: 1.0, 2: -np.log(sizes_R), 6: -np.log(granularity_R)},
    ]
    return law_of(terms, num_parameters=7, num_runs=len(sizes_R))


@dataclass(frozen=True, slots=True)
class Fit:
    """The best of all starts."""

    theta_P: np.ndarray
    errors_P: np.ndarray
    """Standard errors, from the curvature and the residuals."""
    rms: float
    """Of the residuals of ln L."""


def fit(law: Law, losses_R: np.ndarray, starts_SP: np.ndarray) -> Fit:
    """Least Huber loss of ln L, by Levenberg-Marquardt from all starts at once.

    ValueError where there are not more runs than parameters.
    """
    _, num_runs, num_parameters = law.features_MRP.shape
    if num_runs <= num_parameters:
        raise ValueError(f"{num_runs} runs cannot fit a law of {num_parameters} parameters: make more runs")
    theta_SP, damping_S = starts_SP.astype(float), np.full(len(starts_SP), 1e-2)
    target_R = np.log(losses_R)
    cost_S = _huber(np.log(law.losses(theta_SP)) - target_R).sum(1)
    for _ in range(STEPS):
        moved_SP = theta_SP - _steps(law, theta_SP, target_R, damping_S)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            moved_cost_S = _huber(np.log(law.losses(moved_SP)) - target_R).sum(1)
        is_better_S = moved_cost_S < cost_S
        theta_SP = np.where(is_better_S[:, None], moved_SP, theta_SP)
        cost_S = np.where(is_better_S, moved_cost_S, cost_S)
        damping_S = np.clip(np.where(is_better_S, damping_S / 3, damping_S * 4), 1e-12, 1e12)
    best_P = theta_SP[int(np.argmin(cost_S))]
    residual_R = np.log(law.losses(best_P[None]))[0] - target_R
    slopes_RP = law.slopes(best_P[None])[0]
    variance = np.square(residual_R).sum() / (num_runs - num_parameters)
    covariance_PP = np.linalg.pinv(slopes_RP.T @ slopes_RP) * variance
    return Fit(best_P, np.sqrt(np.diag(covariance_PP)), float(np.sqrt(np.square(residual_R).mean())))


def _steps(law: Law, theta_SP: np.ndarray, target_R: np.ndarray, damping_S: np.ndarray) -> np.ndarray:
    """Gauss-Newton's steps of the reweighted squares, damped by the diagonal."""
    residual_SR = np.log(law.losses(theta_SP)) - target_R
    weight_SR = np.minimum(1.0, HUBER / np.maximum(np.abs(residual_SR), 1e-300))
    slopes_SRP = law.slopes(theta_SP)
    weighted_SPR = (slopes_SRP * weight_SR[..., None]).transpose(0, 2, 1)
    curvature_SPP = weighted_SPR @ slopes_SRP
    diagonal_SP = np.diagonal(curvature_SPP, axis1=1, axis2=2)
    damped_SPP = curvature_SPP + np.eye(theta_SP.shape[1]) * (damping_S[:, None] * diagonal_SP + 1e-15)[:, None]
    return np.linalg.solve(damped_SPP, (weighted_SPR @ residual_SR[..., None]))[..., 0]


def _huber(residual: np.ndarray) -> np.ndarray:
    size = np.abs(residual)
    cost = np.where(size < HUBER, 0.5 * size**2, HUBER * (size - 0.5 * HUBER))
    return np.where(np.isfinite(cost), cost, np.inf)


def starts(*choices: Sequence[float]) -> np.ndarray:
    """Every combination of the parameters' starting values, `[S, P]`."""
    return np.stack(np.meshgrid(*choices, indexing="ij"), -1).reshape(-1, len(choices)).astype(float)


@dataclass(frozen=True, slots=True)
class Valley:
    """Of one budget's curve: ln L as a parabola of ln N."""

    compute_flops: float
    size: float
    """Where the loss is lowest."""
    loss: float
    is_inside: bool
    """Whether that lies between the smallest and the largest size that were trained."""


def valley(compute_flops: float, sizes_R: np.ndarray, losses_R: np.ndarray) -> Valley:
    """The lowest point of one isoFLOP curve; ValueError where the curve has no valley."""
    log_sizes_R = np.log(sizes_R)
    center = log_sizes_R.mean()
    square, linear, constant = np.polyfit(log_sizes_R - center, np.log(losses_R), 2)
    if square <= 0:
        raise ValueError(f"the losses at {compute_flops:g} FLOPs have no valley: train other sizes")
    log_size = center - linear / (2 * square)
    loss = float(np.exp(constant - linear**2 / (4 * square)))
    inside = log_sizes_R.min() <= log_size <= log_sizes_R.max()
    return Valley(compute_flops, float(np.exp(log_size)), loss, bool(inside))


@dataclass(frozen=True, slots=True)
class Exponent:
    """`y = factor * C^exponent` through the valleys of several budgets."""

    factor: float
    exponent: float
    error: float
    """Half of the range that holds 68% of the exponents of losses drawn again with the residuals of the parabolas."""


def best_size_exponent(
    budgets: dict[float, tuple[np.ndarray, np.ndarray]], *, draws: int = 2000, seed: int = 0
) -> Exponent:
    """How the best size grows with compute: `budgets` are FLOPs -> sizes and losses, at least two of four sizes."""
    if len(budgets) < 2 or min(len(sizes) for sizes, _ in budgets.values()) < 4:
        raise ValueError("an exponent needs at least 2 budgets of at least 4 sizes")
    line = _line({flops: valley(flops, *curve).size for flops, curve in budgets.items()})
    residuals = {flops: _residuals(*curve) for flops, curve in budgets.items()}
    freedom = sum(len(residual_R) - 3 for residual_R in residuals.values())
    noise = np.sqrt(sum(np.square(residual_R).sum() for residual_R in residuals.values()) / freedom)
    generator, slopes = np.random.default_rng(seed), []
    for _ in range(draws):
        sizes = {}
        for flops, (sizes_R, losses_R) in budgets.items():
            smooth_R = np.log(losses_R) - residuals[flops]
            drawn_R = np.exp(smooth_R + generator.normal(0, noise, len(sizes_R)))
            square = np.polyfit(np.log(sizes_R), np.log(drawn_R), 2)[0]
            if square > 0:
                sizes[flops] = valley(flops, sizes_R, drawn_R).size
        if len(sizes) == len(budgets):
            slopes.append(_line(sizes)[1])
    low, high = np.percentile(slopes, (15.87, 84.13))
    return Exponent(float(np.exp(line[0])), float(line[1]), float(high - low) / 2)


def _residuals(sizes_R: np.ndarray, losses_R: np.ndarray) -> np.ndarray:
    log_sizes_R, log_losses_R = np.log(sizes_R), np.log(losses_R)
    return log_losses_R - np.polyval(np.polyfit(log_sizes_R, log_losses_R, 2), log_sizes_R)


def _line(sizes: dict[float, float]) -> np.ndarray:
    """[ln factor, exponent] of sizes by FLOPs."""
    slope, constant = np.polyfit(np.log(list(sizes)), np.log(list(sizes.values())), 1)
    return np.array([constant, slope])
