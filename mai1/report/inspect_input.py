"""What the inspection page is made of: tokens in order, where each comes from, and what every MoE layer chose for them."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(kw_only=True, slots=True)
class Layer:
    """What one MoE layer decided; `experts` and `weights` are [tokens, choices]."""

    number: int
    num_experts: int
    experts: np.ndarray
    weights: np.ndarray


@dataclass(kw_only=True, slots=True)
class Passage:
    """A stretch of the tokens to show as text."""

    title: str
    first: int
    end: int


@dataclass(kw_only=True, slots=True)
class Inspection:
    """Everything the page shows."""

    title: str
    subtitle: str
    notes: list[str]
    """What was cut or left out, a sentence each."""
    token_names: list[str]
    """Text of each distinct token; `tokens` counts through it."""
    tokens: np.ndarray
    """int64 [tokens]."""
    source_names: list[str]
    sources: np.ndarray
    """int64 [tokens]; counts through `source_names`."""
    layers: list[Layer]
    passages: list[Passage]
    is_surveyed: np.ndarray
    """bool [tokens]; what experts specialise in is told from these."""
    survey: str
    """What the surveyed tokens are, in a few words."""
    min_count: int
    """Choices of an expert for a token from which on the token can be characteristic of it."""

    def surveyed(self) -> "Inspection":
        """The surveyed tokens alone."""
        kept = self.is_surveyed
        return replace(
            self,
            tokens=self.tokens[kept],
            sources=self.sources[kept],
            is_surveyed=kept[kept],
            layers=[replace(each, experts=each.experts[kept], weights=each.weights[kept]) for each in self.layers],
        )
