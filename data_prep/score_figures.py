"""What a person needs to choose a limit of a score: its distribution, what each limit would cost, and documents to read."""

import math

import numpy as np

from data_prep.selection import Selection

NUM_BARS = 40
QUANTILES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
"""Where the score and the bytes below it are given."""

SAMPLED = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
SAMPLES_PER_QUANTILE = 2


def distribution_of(name: str, values: np.ndarray, selection: Selection, num_bytes_N: np.ndarray) -> dict:
    """How many documents have which score, from the 0.5th to the 99.5th percentile, and the scores of quantiles.

    The first and last bar hold what lies beyond. Dropped is what this scorer dropped; what others did is counted apart, and so
    are documents without a score, NaN.
    """
    judged = np.flatnonzero(np.isfinite(values))
    order = judged[np.argsort(values[judged], kind="stable")]
    low, high = np.percentile(values[judged], [0.5, 99.5]) if len(judged) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1.0, NUM_BARS + 1)
    own = [number for number, reason in enumerate(selection.reasons, 1) if reason.startswith(f"scores.{name}.")]
    inside, reasons = np.clip(values[judged], edges[0], edges[-1]), selection.reason_N[judged]
    is_own = np.isin(reasons, own)
    parts = {"kept": reasons == 0, "dropped": is_own, "dropped_otherwise": (reasons > 0) & ~is_own}
    below = np.concatenate([[0], np.cumsum(num_bytes_N[order])])
    return {
        "judged": len(judged),
        "not_judged": len(values) - len(judged),
        "bytes": int(below[-1]),
        "edges": [round(float(edge), 6) for edge in edges],
        **{part: np.histogram(inside[is_it], edges)[0].tolist() for part, is_it in parts.items()},
        "quantiles": [
            {"quantile": q, "score": round(float(np.quantile(values[judged], q)), 6), "bytes_below": int(below[first])}
            for q, first in ((q, math.floor(q * len(order))) for q in QUANTILES)
            if len(judged)
        ],
    }


def quantile_documents(values: np.ndarray) -> dict[float, list[int]]:
    """Neighbours in the order of their scores at each quantile; none stands at two."""
    judged = np.flatnonzero(np.isfinite(values))
    order = judged[np.argsort(values[judged], kind="stable")]
    taken: set[int] = set()
    documents = {}
    for quantile in SAMPLED:
        first = math.floor(quantile * (len(order) - SAMPLES_PER_QUANTILE)) if len(order) else 0
        places = order[max(first, 0) : max(first, 0) + SAMPLES_PER_QUANTILE].tolist()
        documents[quantile] = [place for place in places if place not in taken]
        taken.update(places)
    return documents


def limits_shown(name: str, selection: Selection) -> list[dict]:
    """The limits of a scorer, one a language or one for all; None where there is none on that side."""
    return [
        {
            "language": limit.language,
            "lowest": _finite(limit.lowest),
            "highest": _finite(limit.highest),
            "judged": limit.num_judged,
            "low": limit.num_low,
            "high": limit.num_high,
        }
        for limit in selection.limits
        if limit.scorer == name
    ]


def limit_in_words(name: str, language: str, selection: Selection) -> str:
    """What a score had to be in a language."""
    limit = next(each for each in selection.limits if each.scorer == name and each.language in ("", language))
    bounds = {"at least": limit.lowest, "at most": limit.highest}
    return " and ".join(f"{words} {bound:.4g}" for words, bound in bounds.items() if math.isfinite(bound))


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
