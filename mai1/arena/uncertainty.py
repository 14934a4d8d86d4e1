"""How certain strengths are: a sandwich estimate, the posterior's curvature where that is blind, and a bootstrap over prompts.

Legend: M models, N battles, G prompts, whose battles are not independent.
"""

import numpy as np

from mai1.arena.strengths import Battles, derivatives, fit_strengths, groups_of, wins_of


def sandwich_errors(battles: Battles, strengths_M: np.ndarray, contrast_MM: np.ndarray, *, ridge: float) -> np.ndarray:
    """Standard errors [M] of contrasts of strengths, robust to a wrong model and to battles that share a prompt.

    Huber 1967; clusters as in Liang and Zeger 1986, Biometrika 73, with their small-sample factor G/(G-1).
    """
    num_models, num_prompts = len(battles.models), int(battles.prompt_N.max()) + 1
    gap_N = strengths_M[battles.left_N] - strengths_M[battles.right_N]
    chance_N = 1 / (1 + np.exp(-gap_N))
    surprise_N = battles.score_N - chance_N
    score_GM = np.zeros((num_prompts, num_models))
    np.add.at(score_GM, (battles.prompt_N, battles.left_N), surprise_N)
    np.add.at(score_GM, (battles.prompt_N, battles.right_N), -surprise_N)
    inverse_MM = _covariance(battles, strengths_M, ridge)
    factor = num_prompts / (num_prompts - 1) if num_prompts > 1 else 1.0
    half_GM = score_GM @ inverse_MM @ contrast_MM.T
    return np.sqrt(factor * (half_GM**2).sum(axis=0))


def posterior_errors(battles: Battles, strengths_M: np.ndarray, contrast_MM: np.ndarray, *, ridge: float) -> np.ndarray:
    """Standard errors [M] of contrasts by the curvature of the log-posterior, as if all battles were independent."""
    inverse_MM = _covariance(battles, strengths_M, ridge)
    return np.sqrt(np.diag(contrast_MM @ inverse_MM @ contrast_MM.T))


def sees_no_variation(battles: Battles) -> bool:
    """Whether residuals would call certain what nobody knows: no finite maximum, few prompts, or pairs that always end alike."""
    if len(groups_of(battles.models, wins_of(battles))) > 1 or battles.prompt_N.max() + 1 < len(battles.models):
        return True
    is_swapped_N = battles.left_N > battles.right_N
    pair_N = np.sort(np.stack([battles.left_N, battles.right_N]), axis=0)
    outcomes = np.concatenate([pair_N, [np.where(is_swapped_N, 1 - battles.score_N, battles.score_N)]])
    return len(np.unique(outcomes, axis=1).T) == len(np.unique(pair_N, axis=1).T)


def bootstrap(battles: Battles, contrast_MM: np.ndarray, *, ridge: float, rounds: int, seed: int) -> np.ndarray:
    """Contrasts of strengths [rounds, M] of samples of prompts with replacement; a ridge above 0 keeps every one finite."""
    num_prompts, generator = int(battles.prompt_N.max()) + 1, np.random.default_rng(seed)
    drawn_RM = np.empty((rounds, len(battles.models)))
    for number in range(rounds):
        times_G = np.bincount(generator.integers(num_prompts, size=num_prompts), minlength=num_prompts)
        strengths_M = fit_strengths(battles, ridge=max(ridge, 1e-6), weights_N=times_G[battles.prompt_N])
        drawn_RM[number] = contrast_MM @ strengths_M
    return drawn_RM


def _covariance(battles: Battles, strengths_M: np.ndarray, ridge: float) -> np.ndarray:
    """The inverse of the log-posterior's curvature; what it says of the mean means nothing."""
    _, curvature_MM = derivatives(wins_of(battles), strengths_M, ridge)
    return np.linalg.inv(curvature_MM + 1.0 / len(battles.models))
