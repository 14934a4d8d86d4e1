"""From scores to what is kept, when all scores of the corpus are known: a mask, a reason for every drop, and a report."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from data_prep.scores.config import ScoresConfig
from data_prep.scores.keep import Within, limits_of


@dataclass(frozen=True, slots=True)
class Limit:
    """What one scorer kept of one language (empty language: of the whole corpus)."""

    scorer: str
    language: str
    lowest: float
    highest: float
    num_judged: int
    num_low: int
    num_high: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What stays of all documents."""

    keep: np.ndarray
    """bool [D]."""

    reason: np.ndarray
    """int16 [D]: the place in `reasons`; 0 for what is kept. The first scorer in the configuration that objects."""

    reasons: list[str]
    """`""`, then `scores.NAME.low` and `scores.NAME.high` of each scorer."""

    limits: list[Limit]
    """Every limit that was applied, for the report. Scorers count by themselves: a document may be low for two."""


def choose_thresholds(scores: dict[str, np.ndarray], languages: list[str], config: ScoresConfig) -> Choice:
    """Applies every scorer's limits to the scores float32 [D] of the whole corpus; NaN is kept."""
    reasons, limits = [""], []
    reason = np.zeros(len(languages), dtype=np.int16)
    of_language = np.array(languages, dtype=np.str_)
    for name, section in config.scorers.items():
        low, high = len(reasons), len(reasons) + 1
        reasons += [f"scores.{name}.low", f"scores.{name}.high"]
        for language, members in _groups(of_language, section.keep.within):
            values = scores[name][members]
            lowest, highest = limits_of(values, section.keep)
            is_low, is_high = values < lowest, values > highest
            new = np.where(is_low, low, np.where(is_high, high, 0)).astype(np.int16)
            reason[members] = np.where(reason[members] == 0, new, reason[members])
            judged = int(np.count_nonzero(~np.isnan(values)))
            limits.append(Limit(name, language, lowest, highest, judged, int(is_low.sum()), int(is_high.sum())))
    return Choice(reason == 0, reason, reasons, limits)


def _groups(languages: np.ndarray, within: Within) -> Iterator[tuple[str, np.ndarray]]:
    if within is Within.corpus:
        yield "", np.arange(len(languages))
        return
    for language in np.unique(languages):
        yield str(language), np.flatnonzero(languages == language)
