"""Shares of rows in whole numbers: no float is rounded, so that every machine deals the same rows out."""

import hashlib
import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

WHOLE_BITS = 32
WHOLE = 1 << WHOLE_BITS
"""All shares together."""
LEAST = WHOLE >> 20
"""The smallest share that is dealt out: about one row in a million."""


def apportion(weights: Sequence[float], total: int) -> list[int]:
    """Whole numbers in proportion to `weights` that sum to `total`, by largest remainder; ties go to the first."""
    ratios = [weight.as_integer_ratio() for weight in weights]
    common = math.lcm(*(denominator for _, denominator in ratios))
    exact = [numerator * (common // denominator) for numerator, denominator in ratios]
    whole = sum(exact)
    parts, remainders = zip(*(divmod(weight * total, whole) for weight in exact), strict=True)
    by_remainder = sorted(range(len(parts)), key=lambda i: -remainders[i])
    rounded_up = set(by_remainder[: total - sum(parts)])
    return [part + (place in rounded_up) for place, part in enumerate(parts)]


def shares_of(weights: Sequence[float]) -> list[int]:
    """Shares of WHOLE; what would be smaller than LEAST is left out."""
    shares = apportion(weights, WHOLE)
    if any(0 < share < LEAST for share in shares):
        return shares_of([share if share >= LEAST else 0 for share in shares])
    return shares


def deal(shares: Sequence[int], num_rows: int, *, key: str) -> list[int]:
    """How many of `num_rows` rows each share gets: its part rounded down or up, never off by a whole row.

    Systematic sampling (Madow 1949): one offset, drawn from the key, for the borders of all shares, so that no share
    is favoured: over many keys each gets exactly its part.
    """
    offset = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=WHOLE_BITS // 8).digest())
    borders = [(border * num_rows + offset) >> WHOLE_BITS for border in (0, *accumulate(shares))]
    return [upper - lower for lower, upper in pairwise(borders)]
