"""Device counts that divide badly, and counts nearby that divide better: what they would gain."""

from dataclasses import replace

from mai1.plan.search.candidate import Candidate
from mai1.plan.search.search import search
from mai1.plan.search.space import Question

ENOUGH = 64
"""A power of two that leaves a choice of every size; a smaller one is asked of fewer devices."""
FARTHEST = 0.05
"""Share by which a count may differ, and by one device always."""


def divides_badly(num_devices: int) -> bool:
    """Whether the largest power of two in a count is small, so that experts, heads and batches have few ways to divide it."""
    return _power_of_two(num_devices) < min(ENOUGH, num_devices / 4)


def counts_near(num_devices: int) -> list[int]:
    """The nearest count below and above with as large a power of two as lies near enough; none where there is none."""
    found = []
    for is_above in (False, True):
        unit = 1
        while (doubled := _rounded(num_devices, 2 * unit, is_above)) and _is_near(doubled, num_devices):
            unit *= 2
        count = _rounded(num_devices, unit, is_above)
        if count != num_devices and _power_of_two(count) >= 2 * _power_of_two(num_devices):
            found.append(count)
    return found


def best_nearby(question: Question, best: Candidate) -> list[Candidate]:
    """The best layout of each count nearby, in the format and with the rows at once of `best`: a few seconds, not minutes."""
    pinned = question.pinned | {"format": best.layout.format, "microbatch": best.layout.microbatch}
    found = []
    for count in counts_near(question.num_devices) if divides_badly(question.num_devices) else ():
        found += search(replace(question, num_devices=count, pinned=pinned), limit=1).best
    return found


def factors_of(count: int) -> str:
    """15000 as 2^3 x 3 x 5^4."""
    powers: dict[int, int] = {}
    divisor = 2
    while count > 1:
        while count % divisor == 0:
            powers[divisor] = powers.get(divisor, 0) + 1
            count //= divisor
        divisor = divisor + 1 if divisor * divisor <= count else max(count, divisor + 1)
    return " x ".join(f"{prime}^{power}" if power > 1 else str(prime) for prime, power in powers.items()) or "1"


def _power_of_two(count: int) -> int:
    return count & -count


def _rounded(count: int, unit: int, is_above: bool) -> int:
    return -(-count // unit) * unit if is_above else count // unit * unit


def _is_near(count: int, wanted: int) -> bool:
    return count > 0 and abs(count - wanted) <= max(1, FARTHEST * wanted)
