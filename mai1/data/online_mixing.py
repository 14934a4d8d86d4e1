"""Weights that follow the training: Online Data Mixing (ODM, Albalak et al. 2023, arXiv 2312.02406, algorithm 1).

A bandit (EXP3) whose arms are the sources and whose reward is their training loss: what is not learned yet comes more often.
Its exploration falls with time, and with it the policy nears even weights, as published.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mai1.data.shares import apportion

PARTS = 1024
"""Weights are rounded to this part of the whole: the last digits of losses differ between topologies, and would matter."""


@dataclass(kw_only=True, slots=True)
class OnlineConfig:
    every_steps: int = 0
    """Steps between changes of the weights; 0: they do not follow the losses."""
    warmup_steps: int = 100
    """Steps, counted in data, before the first change; data.mixture.weights hold until then. Published: 1% of the run."""
    smoothing: float = 0.9
    """How much of a source's reward stays at each change; the rest is its newest loss."""

    def __post_init__(self) -> None:
        if self.every_steps < 0:
            raise ValueError(
                f"data.mixture.online.every_steps={self.every_steps} must not be negative: use 0 for no online mixing"
            )
        if self.warmup_steps < 1:
            raise ValueError(f"data.mixture.online.warmup_steps={self.warmup_steps} must be at least 1")
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"data.mixture.online.smoothing={self.smoothing} must be at least 0 and below 1")


def smooth(reward: float, loss: float, smoothing: float) -> float:
    """A source's reward after an interval with this mean loss.

    Algorithm 1 adds up each source's losses and divides by its probability. Here the rows were dealt out in exact shares,
    so that the sum over what was dealt out is the mean.
    """
    return smoothing * reward + (1 - smoothing) * loss


def exploration(num_arms: int, turn: int) -> float:
    """The least probability of an arm at a turn, counted from 1; of turn 0 that of an even policy."""
    even = 1 / num_arms
    return min(even, math.sqrt(math.log(num_arms) / (num_arms * turn))) if turn else even


def policy(rewards: Sequence[float], turn: int) -> list[float]:
    """Probability of each arm at a turn, counted from 1."""
    now, before = exploration(len(rewards), turn), exploration(len(rewards), turn - 1)
    largest = max(rewards)
    powers = [math.exp(before * (reward - largest)) for reward in rewards]
    return [(1 - len(rewards) * now) * power / sum(powers) + now for power in powers]


def as_parts(probabilities: Sequence[float]) -> list[int]:
    """Parts of PARTS, at least one for each."""
    return [1 + part for part in apportion(probabilities, PARTS - len(probabilities))]
