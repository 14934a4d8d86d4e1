"""How many failures a run has to live through, and of what kind: they come at a constant rate, so their number is Poisson's."""

import math
from dataclasses import dataclass

LLAMA_3_CAUSES = {
    "GPU": 148,
    "HBM": 72,
    "software": 54,
    "network switch or cable": 35,
    "host maintenance": 32,
    "GPU SRAM": 19,
    "GPU system processor": 17,
    "network card": 7,
    "NCCL watchdog": 7,
    "silent data corruption": 6,
    "GPU cooling or sensor": 6,
    "SSD": 3,
    "power supply": 3,
    "chassis": 2,
    "IO board": 2,
    "dependency": 2,
    "CPU": 2,
    "system memory": 2,
}
"""Unexpected interruptions in 54 days on 16,384 H100 (Llama 3, arXiv 2407.21783, table 5): 419."""
SURE = 0.99
"""Probability that a run has no more failures than `Failures.at_most`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failures:
    """Of a whole run."""

    expected: float
    at_most: int
    """Not exceeded with a probability of 99%: what `launch.max_restarts` has to allow."""
    by_cause: dict[str, float]
    """Expected, in the proportions of Llama 3."""


def failures(seconds: float, *, mtbf_s: float) -> Failures:
    """Failures in so many seconds, lost time included, of a run with this mean time between them (`Goodput.mtbf_s`)."""
    expected, all_causes = seconds / mtbf_s, sum(LLAMA_3_CAUSES.values())
    return Failures(
        expected=expected,
        at_most=poisson_quantile(expected, SURE),
        by_cause={cause: expected * count / all_causes for cause, count in LLAMA_3_CAUSES.items()},
    )


def poisson_quantile(expected: float, probability: float) -> int:
    """The smallest count that is not exceeded with at least this probability."""
    count, below = 0, math.exp(-expected)
    while below < probability - 1e-12:
        count += 1
        below += math.exp(count * math.log(expected) - expected - math.lgamma(count + 1))
    return count
