"""Ratings from battles: strengths on Elo's scale, each with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mai1.arena.battles import Judgement
from mai1.arena.strengths import Battles, fit_strengths
from mai1.arena.uncertainty import bootstrap, posterior_errors, sandwich_errors, sees_no_variation

ELO = 400 / np.log(10)
"""Points of Elo's scale for one unit of strength."""
NORMAL_95 = 1.959964


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
class Rating:
    """One model's place; ratings in points of Elo, intervals at 95%."""

    model: str
    rating: float
    low: float
    high: float
    """By the sandwich estimate, battles of a prompt taken together; by the posterior's curvature where that is blind."""
    bootstrap_low: float | None
    bootstrap_high: float | None
    """None also where the sandwich is blind, as every sample would be like the others."""
    battles: int
    wins: int
    ties: int
    losses: int


def rate(judgements: Sequence[Judgement], config: RankingConfig) -> list[Rating]:
    """All models, the best first."""
    battles = Battles.of(judgements)
    if config.anchor and config.anchor not in battles.models:
        raise ValueError(f"ranking.anchor={config.anchor} must be one of {', '.join(battles.models)}: use one of them")
    contrast_MM = contrasts(battles.models, config.anchor)
    fitted_M = fit_strengths(battles, ridge=config.ridge)
    strengths_M = contrast_MM @ fitted_M
    error_M = sandwich_errors(battles, fitted_M, contrast_MM, ridge=config.ridge)
    if is_blind := sees_no_variation(battles):
        error_M = np.maximum(error_M, posterior_errors(battles, fitted_M, contrast_MM, ridge=config.ridge))
    rounds = 0 if is_blind else config.bootstrap_rounds
    drawn_RM = bootstrap(battles, contrast_MM, ridge=config.ridge, rounds=rounds, seed=config.seed)
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


def contrasts(models: list[str], anchor: str) -> np.ndarray:
    """What is subtracted from each strength: the anchor's, or the mean."""
    identity_MM = np.eye(len(models))
    return identity_MM - (identity_MM[models.index(anchor)] if anchor else np.full(len(models), 1 / len(models)))
