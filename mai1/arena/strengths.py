"""Strengths from battles: Bradley-Terry with ties as half a win each, by Newton's method, and whom battles can compare.

    P(i beats j) = 1 / (1 + exp(s_j - s_i))          Bradley and Terry 1952, Biometrika 39

The strengths s maximise the log-likelihood minus `ridge`/2 times the sum of their squares. Legend: M models, N battles.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mai1.arena.battles import Judgement, Verdict

MAX_STEPS = 100
TOLERANCE = 1e-10
SCORES = {Verdict.left: 1.0, Verdict.tie: 0.5, Verdict.right: 0.0}


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


def fit_strengths(battles: Battles, *, ridge: float, weights_N: np.ndarray | None = None) -> np.ndarray:
    """Strengths [M] with mean 0. ValueError where no finite ones exist: with ridge=0 and a model that never lost or won."""
    num_models, wins_MM = len(battles.models), wins_of(battles, weights_N)
    if ridge == 0 and len(groups := groups_of(battles.models, wins_MM)) > 1:
        raise ValueError(
            f"ranking.ridge=0 gives no finite ratings: {apart(groups)}; use a ridge above 0 or judge more battles"
        )
    strengths_M = np.zeros(num_models)
    value = _log_posterior(wins_MM, strengths_M, ridge)
    for _ in range(MAX_STEPS):
        gradient_M, curvature_MM = derivatives(wins_MM, strengths_M, ridge)
        step_M = np.linalg.solve(curvature_MM + 1.0 / num_models, gradient_M)  # the constant direction costs nothing
        while _log_posterior(wins_MM, strengths_M + step_M, ridge) < value - 1e-12 and np.abs(step_M).max() > TOLERANCE:
            step_M = step_M / 2
        strengths_M = strengths_M + step_M
        value = _log_posterior(wins_MM, strengths_M, ridge)
        if np.abs(step_M).max() < TOLERANCE:
            break
    return strengths_M - strengths_M.mean()


def separate_groups(judgements: Sequence[Judgement]) -> list[list[str]]:
    """Models in groups between which no finite distance follows from the battles, the winning ones first; one group is well.

    Within a group every model has won or tied on a way to every other (Ford 1957: then, and only then, the maximum is finite).
    """
    battles = Battles.of(judgements)
    return groups_of(battles.models, wins_of(battles))


def apart(groups: list[list[str]]) -> str:
    """What separate groups mean, in words."""
    names = " | ".join(", ".join(group) for group in groups)
    return f"the battles do not say how far apart {names} are: between such groups one side won every battle, or none was held"


def wins_of(battles: Battles, weights_N: np.ndarray | None = None) -> np.ndarray:
    """Points [M, M] of the row's model against the column's."""
    wins_MM = np.zeros((len(battles.models), len(battles.models)))
    weights_N = np.ones(len(battles.score_N)) if weights_N is None else weights_N
    np.add.at(wins_MM, (battles.left_N, battles.right_N), weights_N * battles.score_N)
    np.add.at(wins_MM, (battles.right_N, battles.left_N), weights_N * (1 - battles.score_N))
    return wins_MM


def groups_of(models: list[str], wins_MM: np.ndarray) -> list[list[str]]:
    """The strongly connected parts of the graph of wins and ties, those that win over others first."""
    reach_MM = (wins_MM > 0) | np.eye(len(models), dtype=bool)
    for _ in range(len(models)):
        reach_MM = reach_MM | (reach_MM.astype(int) @ reach_MM.astype(int) > 0)
    order = sorted(range(len(models)), key=lambda number: (-reach_MM[number].sum(), number))
    mutual_MM = reach_MM & reach_MM.T
    groups = {tuple(np.flatnonzero(mutual_MM[number])): None for number in order}
    return [[models[number] for number in group] for group in groups]


def derivatives(wins_MM: np.ndarray, strengths_M: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """Gradient [M] and negative Hessian [M, M] of the log-posterior."""
    chance_MM = 1 / (1 + np.exp(strengths_M[None, :] - strengths_M[:, None]))
    games_MM = wins_MM + wins_MM.T
    gradient_M = (wins_MM - games_MM * chance_MM).sum(axis=1) - ridge * strengths_M
    weight_MM = games_MM * chance_MM * chance_MM.T
    return gradient_M, np.diag(weight_MM.sum(axis=1) + ridge) - weight_MM


def _log_posterior(wins_MM: np.ndarray, strengths_M: np.ndarray, ridge: float) -> float:
    gap_MM = strengths_M[:, None] - strengths_M[None, :]
    return float(-(wins_MM * np.logaddexp(0, -gap_MM)).sum() - ridge / 2 * (strengths_M**2).sum())
