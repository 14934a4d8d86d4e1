"""Ratings from battles: Bradley-Terry with ties as half a win each, by Newton's method, with intervals.

    P(i beats j) = 1 / (1 + exp(s_j - s_i))          Bradley and Terry 1952, Biometrika 39

The strengths s maximise the log-likelihood minus `ridge`/2 times the sum of their squares. Legend: M models, N battles.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mai1.arena.battles import Judgement, Verdict

ELO = 400 / np.log(10)
"""Points of Elo's scale for one unit of strength."""
NORMAL_95 = 1.959964
MAX_STEPS = 100
TOLERANCE = 1e-10
SCORES = {Verdict.left: 1.0, Verdict.tie: 0.5, Verdict.right: 0.0}


@dataclass(kw_only=True, slots=True)
class RankingConfig:
    """How ratings are made of judgements."""

    ridge: float = 0.0625
    """Pull of all strengths towards their mean, as by a normal prior of variance 1/ridge: 0.0625 is 4 units, 695 points of Elo.
    It keeps a model that won everything finite; 0 is plain maximum likelihood."""

    anchor: str = ""
    """The model whose rating is `anchor_rating`; empty: the mean of all models is."""

    anchor_rating: float = 1000.0
    """Rating of the anchor, in points of Elo."""

    bootstrap_rounds: int = 200
    """Samples of the bootstrap over prompts; 0: none."""

    seed: int = 0
    """Seed of the bootstrap."""

    def __post_init__(self) -> None:
        if not self.ridge >= 0:
            raise ValueError(f"ranking.ridge={self.ridge} must not be negative: use 0 for maximum likelihood")
        if self.bootstrap_rounds < 0:
            raise ValueError(f"ranking.bootstrap_rounds={self.bootstrap_rounds} must not be negative: use 0 for none")


@dataclass(slots=True)
class Battles:
    """Judgements as arrays."""

    models: list[str]
    left_N: np.ndarray
    right_N: np.ndarray
    score_N: np.ndarray
    """1 where the left side won, 0.5 for a tie, 0 else."""
    prompt_N: np.ndarray
    """The number of each battle's prompt: battles of one prompt are not independent."""

    @classmethod
    def of(cls, judgements: Sequence[Judgement]) -> "Battles":
        """Those that were decided."""
        decided = [each for each in judgements if each.verdict != Verdict.skip.value]
        models = sorted({name for each in decided for name in (each.left, each.right)})
        if len(models) < 2:
            raise ValueError("no battle between two models has been decided: judge some first")
        prompts = {name: number for number, name in enumerate(dict.fromkeys(each.prompt for each in decided))}
        return cls(
            models,
            np.array([models.index(each.left) for each in decided]),
            np.array([models.index(each.right) for each in decided]),
            np.array([SCORES[Verdict(each.verdict)] for each in decided]),
            np.array([prompts[each.prompt] for each in decided]),
        )


@dataclass(slots=True)
class Rating:
    """One model's place; ratings in points of Elo, intervals at 95%."""

    model: str
    rating: float
    low: float
    high: float
    """By the sandwich estimate, battles of a prompt taken together."""
    bootstrap_low: float | None
    bootstrap_high: float | None
    battles: int
    wins: int
    ties: int
    losses: int


def fit_strengths(battles: Battles, *, ridge: float, weights_N: np.ndarray | None = None) -> np.ndarray:
    """Strengths [M] with mean 0. ValueError where no finite ones exist: with ridge=0 and a model that never lost or won."""
    num_models = len(battles.models)
    wins_MM = np.zeros((num_models, num_models))
    weights_N = np.ones(len(battles.score_N)) if weights_N is None else weights_N
    np.add.at(wins_MM, (battles.left_N, battles.right_N), weights_N * battles.score_N)
    np.add.at(wins_MM, (battles.right_N, battles.left_N), weights_N * (1 - battles.score_N))
    if ridge == 0 and not _reaches_all(wins_MM > 0):
        raise ValueError(
            "ranking.ridge=0 needs every model to have won and lost, or tied, on a way to every other: use a ridge above 0 or "
            "judge more battles"
        )
    strengths_M = np.zeros(num_models)
    value = _log_posterior(wins_MM, strengths_M, ridge)
    for _ in range(MAX_STEPS):
        gradient_M, curvature_MM = _derivatives(wins_MM, strengths_M, ridge)
        step_M = np.linalg.solve(curvature_MM + 1.0 / num_models, gradient_M)  # the constant direction costs nothing
        while _log_posterior(wins_MM, strengths_M + step_M, ridge) < value - 1e-12 and np.abs(step_M).max() > TOLERANCE:
            step_M = step_M / 2
        strengths_M = strengths_M + step_M
        value = _log_posterior(wins_MM, strengths_M, ridge)
        if np.abs(step_M).max() < TOLERANCE:
            break
    return strengths_M - strengths_M.mean()


def rate(judgements: Sequence[Judgement], config: RankingConfig) -> list[Rating]:
    """All models, the best first."""
    battles = Battles.of(judgements)
    if config.anchor and config.anchor not in battles.models:
        raise ValueError(f"ranking.anchor={config.anchor} must be one of {', '.join(battles.models)}: use one of them")
    contrast_MM = _contrasts(battles.models, config.anchor)
    strengths_M = contrast_MM @ fit_strengths(battles, ridge=config.ridge)
    error_M = sandwich_errors(battles, fit_strengths(battles, ridge=config.ridge), contrast_MM, ridge=config.ridge)
    drawn_RM = bootstrap(battles, contrast_MM, config)
    ratings = []
    for number, model in enumerate(battles.models):
        own = config.anchor_rating + ELO * strengths_M[number]
        reach = NORMAL_95 * ELO * error_M[number]
        drawn = (
            config.anchor_rating + ELO * np.quantile(drawn_RM[:, number], [0.025, 0.975])
            if len(drawn_RM)
            else [None, None]
        )
        low, high = (None if bound is None else float(bound) for bound in drawn)
        score_K = np.concatenate(
            [battles.score_N[battles.left_N == number], 1 - battles.score_N[battles.right_N == number]]
        )
        wins, ties = int((score_K == 1).sum()), int((score_K == 0.5).sum())
        counts = (len(score_K), wins, ties, len(score_K) - wins - ties)
        ratings.append(Rating(model, float(own), float(own - reach), float(own + reach), low, high, *counts))
    return sorted(ratings, key=lambda rating: (-rating.rating, rating.model))


def sandwich_errors(battles: Battles, strengths_M: np.ndarray, contrast_MM: np.ndarray, *, ridge: float) -> np.ndarray:
    """Standard errors [M] of contrasts of strengths, robust to a wrong model and to battles that share a prompt.

    Huber 1967; clusters as in Liang and Zeger 1986, Biometrika 73, with their small-sample factor G/(G-1).
    """
    num_models, num_prompts = len(battles.models), int(battles.prompt_N.max()) + 1
    gap_N = strengths_M[battles.left_N] - strengths_M[battles.right_N]
    chance_N = 1 / (1 + np.exp(-gap_N))
    surprise_N, weight_N = battles.score_N - chance_N, chance_N * (1 - chance_N)
    score_GM = np.zeros((num_prompts, num_models))
    np.add.at(score_GM, (battles.prompt_N, battles.left_N), surprise_N)
    np.add.at(score_GM, (battles.prompt_N, battles.right_N), -surprise_N)
    curvature_MM = _laplacian(battles.left_N, battles.right_N, weight_N, num_models) + ridge * np.eye(num_models)
    inverse_MM = np.linalg.inv(curvature_MM + 1.0 / num_models)
    factor = num_prompts / (num_prompts - 1) if num_prompts > 1 else 1.0
    half_GM = score_GM @ inverse_MM @ contrast_MM.T
    return np.sqrt(factor * (half_GM**2).sum(axis=0))


def bootstrap(battles: Battles, contrast_MM: np.ndarray, config: RankingConfig) -> np.ndarray:
    """Contrasts of strengths [rounds, M] of samples of prompts with replacement; a ridge above 0 keeps every one finite."""
    num_prompts, generator = int(battles.prompt_N.max()) + 1, np.random.default_rng(config.seed)
    drawn = []
    for _ in range(config.bootstrap_rounds):
        times_G = np.bincount(generator.integers(num_prompts, size=num_prompts), minlength=num_prompts)
        strengths_M = fit_strengths(battles, ridge=max(config.ridge, 1e-6), weights_N=times_G[battles.prompt_N])
        drawn.append(contrast_MM @ strengths_M)
    return np.array(drawn)


def _contrasts(models: list[str], anchor: str) -> np.ndarray:
    """What is subtracted from each strength: the anchor's, or the mean."""
    identity_MM = np.eye(len(models))
    return identity_MM - (identity_MM[models.index(anchor)] if anchor else np.full(len(models), 1 / len(models)))


def _log_posterior(wins_MM: np.ndarray, strengths_M: np.ndarray, ridge: float) -> float:
    gap_MM = strengths_M[:, None] - strengths_M[None, :]
    return float(-(wins_MM * np.logaddexp(0, -gap_MM)).sum() - ridge / 2 * (strengths_M**2).sum())


def _derivatives(wins_MM: np.ndarray, strengths_M: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """Gradient [M] and negative Hessian [M, M] of the log-posterior."""
    chance_MM = 1 / (1 + np.exp(strengths_M[None, :] - strengths_M[:, None]))
    games_MM = wins_MM + wins_MM.T
    gradient_M = (wins_MM - games_MM * chance_MM).sum(axis=1) - ridge * strengths_M
    weight_MM = games_MM * chance_MM * chance_MM.T
    return gradient_M, np.diag(weight_MM.sum(axis=1) + ridge) - weight_MM


def _laplacian(left_N: np.ndarray, right_N: np.ndarray, weight_N: np.ndarray, num_models: int) -> np.ndarray:
    weight_MM = np.zeros((num_models, num_models))
    np.add.at(weight_MM, (left_N, right_N), weight_N)
    np.add.at(weight_MM, (right_N, left_N), weight_N)
    return np.diag(weight_MM.sum(axis=1)) - weight_MM


def _reaches_all(is_edge_MM: np.ndarray) -> bool:
    """Whether the graph of wins is strongly connected (Ford 1957: then, and only then, the maximum is finite)."""
    reach_MM = is_edge_MM | np.eye(len(is_edge_MM), dtype=bool)
    for _ in range(len(is_edge_MM)):
        reach_MM = reach_MM | (reach_MM.astype(int) @ reach_MM.astype(int) > 0)
    return bool(reach_MM.all())
