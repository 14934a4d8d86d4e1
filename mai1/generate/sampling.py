"""How tokens are chosen: greedy, temperature, top-k, top-p, min-p, repetition penalty; a row's luck is its own.

Legend: B rows, V vocabulary.
"""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(kw_only=True, slots=True)
class SamplingConfig:
    max_new_tokens: int = 128
    """Longest continuation in tokens."""
    temperature: float = 0.0
    """0 takes the most likely token (greedy); 1 samples the model's own distribution."""
    top_k: int = 0
    """Sample among this many most likely tokens; 0 is off."""
    top_p: float = 1.0
    """Sample among the fewest tokens whose probabilities reach this (Holtzman et al. 2020, arXiv 1904.09751); 1 is off."""
    min_p: float = 0.0
    """Sample among tokens at least this share as likely as the likeliest (Nguyen et al. 2024, arXiv 2407.01082); 0 is off."""
    repetition_penalty: float = 1.0
    """Divides positive and multiplies negative logits of tokens that stand in the row already (Keskar et al. 2019,
    arXiv 1909.05858, §4.1), the prompt's included; 1 is off."""
    seed: int = 0
    """Seed of the sampling."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"sampling.max_new_tokens={self.max_new_tokens} must be at least 1")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"sampling.temperature={self.temperature} must not be negative: use 0 for greedy")
        if self.top_k < 0:
            raise ValueError(f"sampling.top_k={self.top_k} must not be negative: use 0 to turn it off")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"sampling.top_p={self.top_p} must be above 0 and at most 1: use 1 to turn it off")
        if not 0 <= self.min_p < 1:
            raise ValueError(f"sampling.min_p={self.min_p} must be at least 0 and below 1: use 0 to turn it off")
        if not 0 < self.repetition_penalty < float("inf"):
            raise ValueError(
                f"sampling.repetition_penalty={self.repetition_penalty} must be above 0: use 1 to turn it off"
            )
        if self.seed < 0:
            raise ValueError(f"sampling.seed={self.seed} must not be negative")


class Luck:
    """The random numbers of one row: they depend on the seed and on which sample of its prompt it is, and on nothing else."""

    def __init__(self, seed: int, sample: int = 0) -> None:
        self._generator = np.random.Generator(np.random.Philox([seed, sample]))

    def next(self) -> float:
        """Uniform in [0, 1)."""
        return float(self._generator.random())


def choose_tokens(logits_BV: torch.Tensor, config: SamplingConfig, lucks: list[Luck]) -> torch.Tensor:
    """One token for each row, int64 `[B]`: the likeliest, or drawn with the row's next random number.

    Drawn is by the inverse of the distribution function, tokens taken in the order of their ids, in fp64.
    """
    if config.temperature == 0:
        return logits_BV.argmax(-1)
    uniform_B1 = torch.tensor([[luck.next()] for luck in lucks], dtype=torch.float64, device=logits_BV.device)
    reached_BV = probabilities(logits_BV, config).cumsum(-1)
    # never beyond the last token that has a probability: there the sum stands at its end already
    threshold_B1 = uniform_B1 * reached_BV[:, -1:]
    return torch.searchsorted(reached_BV, threshold_B1, right=True).clamp(max=logits_BV.shape[1] - 1)[:, 0]


def probabilities(logits_BV: torch.Tensor, config: SamplingConfig) -> torch.Tensor:
    """What tokens are drawn with, fp64 `[B, V]`, not normalised after the last cut."""
    logits_BV = logits_BV / config.temperature
    if config.top_k:
        kth_B1 = logits_BV.topk(min(config.top_k, logits_BV.shape[1])).values[:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < kth_B1, float("-inf"))
    probabilities_BV = logits_BV.double().softmax(-1)
    if config.top_p < 1:
        ordered_BV, ids_BV = probabilities_BV.sort(descending=True)
        is_surplus_BV = ordered_BV.cumsum(-1) - ordered_BV >= config.top_p
        probabilities_BV = probabilities_BV.scatter(1, ids_BV, ordered_BV.masked_fill(is_surplus_BV, 0.0))
    if config.min_p:
        least_B1 = config.min_p * probabilities_BV.amax(-1, keepdim=True)
        probabilities_BV = probabilities_BV.masked_fill(probabilities_BV < least_B1, 0.0)
    return probabilities_BV


def penalize(logits_BV: torch.Tensor, has_occurred_BV: torch.Tensor, *, penalty: float) -> torch.Tensor:
    """Logits with those of tokens that have occurred made less likely (for a penalty above 1)."""
    punished_BV = torch.where(logits_BV > 0, logits_BV / penalty, logits_BV * penalty)
    return torch.where(has_occurred_BV, punished_BV, logits_BV)
