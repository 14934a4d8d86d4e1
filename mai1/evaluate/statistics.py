"""From figures of items to a score, its standard error and what guessing scores.

Every score here is a ratio of sums over items, or the exponential of one: an accuracy divides by the number of items, bits per
byte by bytes. The standard error of a ratio follows from the residuals of its items, which for a mean is the usual one, and
with clusters, whose items are no independent ones, from the sums within each (Miller 2024, arXiv 2411.00640, §2.2 and §3).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

NORMAL_95 = 1.959964
"""Standard errors on either side of a value that hold the true one in 95 of 100 cases, for many items."""


class Scale(Enum):
    """What is made of the ratio."""

    ratio = "ratio"
    exponential = "exponential"


@dataclass(frozen=True, slots=True)
class Metric:
    """One kind of score."""

    scale: Scale
    is_higher_better: bool


ACCURACY = Metric(Scale.ratio, is_higher_better=True)
PERPLEXITY = Metric(Scale.exponential, is_higher_better=False)
BITS = Metric(Scale.ratio, is_higher_better=False)
METRICS = {
    **dict.fromkeys(("acc", "acc_norm", "acc_bytes", "exact_match"), ACCURACY),
    **dict.fromkeys(("perplexity", "byte_perplexity", "word_perplexity"), PERPLEXITY),
    "bits_per_byte": BITS,
}
"""By the names that lm-evaluation-harness gives them; `acc_norm` divides by characters and `acc_bytes` by bytes."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What one item adds to a score."""

    numerator: float
    denominator: float = 1.0
    chance: float | None = None
    """What guessing is expected to add to the numerator; None where nobody can guess."""


@dataclass(frozen=True, slots=True)
class Score:
    """One score over items."""

    value: float
    standard_error: float | None
    """None of fewer than two items or clusters."""
    items: int
    chance: float | None = None
    """What guessing scores on the same items."""
    z: float | None = None
    """Standard errors between the score and guessing, item by item."""

    @property
    def margin(self) -> float | None:
        """95% of such intervals, value +- margin, hold the true value."""
        return None if self.standard_error is None else NORMAL_95 * self.standard_error


def score(figures: Sequence[Figure], metric: Metric, *, clusters: Sequence[str] | None = None) -> Score:
    """The score of at least one item; `clusters` names what each item belongs to."""
    numerators, denominators = (
        np.array([getattr(figure, key) for figure in figures], dtype=np.float64) for key in ("numerator", "denominator")
    )
    ratio, error = ratio_of_sums(numerators, denominators, clusters)
    if error == 0.0 and metric is ACCURACY and ratio in (0.0, 1.0):
        error = _error_of_unanimity(len(figures), is_right=ratio == 1.0)
    if metric.scale is Scale.exponential:
        value = math.exp(min(ratio, 700.0))
        return Score(value, None if error is None else value * error, len(figures))
    chances = [figure.chance for figure in figures]
    if None in chances:
        return Score(ratio, error, len(figures))
    guessed = np.array(chances, dtype=np.float64)
    gain, gain_error = ratio_of_sums(numerators - guessed, denominators, clusters)
    gain_error = gain_error or error
    z = gain / gain_error if gain_error else None
    return Score(ratio, error, len(figures), float(guessed.sum() / denominators.sum()), z)


def _error_of_unanimity(count: int, *, is_right: bool) -> float:
    """Where all items are right or all wrong: as if two more were right and two wrong (Agresti and Coull 1998, §3)."""
    share = (2 + count * is_right) / (count + 4)
    return math.sqrt(share * (1 - share) / (count + 4))


def ratio_of_sums(
    numerators: np.ndarray, denominators: np.ndarray, clusters: Sequence[str] | None = None
) -> tuple[float, float | None]:
    """The ratio of the sums, and its standard error by linearisation (Cochran 1977, Sampling Techniques, eq. 2.46)."""
    ratio = float(numerators.sum() / denominators.sum())
    residuals = numerators - ratio * denominators
    if clusters is not None:
        _, groups = np.unique(np.array(clusters), return_inverse=True)
        residuals = np.bincount(groups, weights=residuals)
    count = len(residuals)
    if count < 2:
        return ratio, None
    return ratio, float(math.sqrt(count / (count - 1) * (residuals**2).sum()) / denominators.sum())
