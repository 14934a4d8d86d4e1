"""Which scores are kept: limits on the value, on the quantile, or both."""

from dataclasses import dataclass
from enum import Enum

import numpy as np


class Within(Enum):
    """Of what a quantile is taken."""

    language = "language"
    corpus = "corpus"


@dataclass(kw_only=True, slots=True)
class KeepConfig:
    """Which scores of one scorer are kept; a document stays when it is within all four limits, or was not judged."""

    min_value: float = float("-inf")
    """Lowest score kept."""

    max_value: float = float("inf")
    """Highest score kept."""

    min_quantile: float = 0.0
    """Share of documents, those of the lowest scores, that go: 0.1 drops the lowest tenth."""

    max_quantile: float = 1.0
    """Share of documents below the highest score kept: 0.95 drops the highest twentieth."""

    within: Within = Within.language
    """Quantiles of each language by itself, so that no language is dropped for being rare, or of the corpus."""

    def __post_init__(self) -> None:
        if not self.min_value <= self.max_value:
            raise ValueError(
                f"scores.scorers.*.keep.min_value={self.min_value} must be at most max_value={self.max_value}"
            )
        if not 0.0 <= self.min_quantile < self.max_quantile <= 1.0:
            raise ValueError(
                f"scores.scorers.*.keep.min_quantile={self.min_quantile} must be from 0 and below "
                f"max_quantile={self.max_quantile}, which must be at most 1"
            )


def limits_of(values: np.ndarray, keep: KeepConfig) -> tuple[float, float]:
    """Lowest and highest score kept of these: the narrower of value and quantile. A score equal to a limit is kept."""
    judged = values[~np.isnan(values)]
    lowest, highest = keep.min_value, keep.max_value
    if len(judged) and keep.min_quantile > 0.0:
        lowest = max(lowest, float(np.quantile(judged, keep.min_quantile)))
    if len(judged) and keep.max_quantile < 1.0:
        highest = min(highest, float(np.quantile(judged, keep.max_quantile)))
    return lowest, highest
