"""What one scaling law says about a budget; the laws are in the files `*_law.py`, all of them together in `laws.py`."""

import math
from collections.abc import Callable
from dataclasses import dataclass

GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommendation:
    """A law's answer for `compute_flops`; None where the law says nothing."""

    law: str
    source: str
    compute_flops: float
    """Of the whole training, as the law counts them."""
    active: float | None = None
    """Parameters a token passes through, counted as the law counts them."""
    total: float | None = None
    experts: int | None = None
    """Routed experts of a layer."""
    top_k: int | None = None
    """Of them, those a token goes to."""
    granularity: float | None = None
    """Twice the model's width over an expert's (Ling's definition, others converted)."""
    tokens: float | None = None
    loss: float | None = None
    """Nats a token on the law's own text and tokenizer: losses of two laws cannot be compared."""
    learning_rate: float | None = None
    """Peak, of AdamW."""
    batch_tokens: float | None = None
    """Tokens of an optimizer step."""
    fitted_flops: tuple[float, float] | None
    """Budgets of the runs the law was fitted to; None where they were not published."""
    note: str

    @property
    def extrapolates(self) -> bool:
        """Whether the budget lies outside of what the law was fitted to, or that is not known."""
        return self.fitted_flops is None or not self.fitted_flops[0] <= self.compute_flops <= self.fitted_flops[1]


def lowest(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one valley is lowest between two positive numbers: golden sections of the logarithm."""
    low, high = math.log(low), math.log(high)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = function(math.exp(left)), function(math.exp(right))
    while high - low > 1e-9:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = function(math.exp(left))
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = function(math.exp(right))
    return math.exp((low + high) / 2)
