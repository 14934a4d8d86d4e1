"""A rate with its interval."""

from math import sqrt

NORMAL_95 = 1.959964


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The interval of a rate at 95% (Wilson 1927, Journal of the American Statistical Association 22); (0, 1) of nothing."""
    if total == 0:
        return 0.0, 1.0
    rate, square = hits / total, NORMAL_95**2
    middle = rate + square / (2 * total)
    reach = NORMAL_95 * sqrt(rate * (1 - rate) / total + square / (4 * total**2))
    low, high = ((middle + sign * reach) / (1 + square / total) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)
