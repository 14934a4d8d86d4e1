"""What a growth does, as data: for every expert and router row of the result, what of the source it is made of.

A weight that is copied with a factor has the inverse factor on its gradient, and one that is used by a share of the tokens,
or with a share of the weight, has that share of it. Moments are carried with those factors, `exp_avg_sq` with their squares,
so that the optimizer finds what it would have found had training been in the new parameters all along.

Legend: D width, E experts.
"""

from dataclasses import dataclass, field

import torch

from mai1.model.transformer import ModelConfig


@dataclass(frozen=True, slots=True)
class ExpertOrigin:
    """An expert made of inner channels of one network of the same layer of the source."""

    source: int
    """The source's expert; 0 where its layer is dense."""
    first_channel: int = 0
    """Of the network's inner channels, the first that the expert takes; channels beyond its last are zero."""
    gain: float = 1.0
    """Factor on the output projection."""
    gradient_share: float = 1.0
    """Gradient of the expert over that of what it is made of, but for the gain; 0: it has no history of its own."""
    is_altered: bool = False
    """Whether the plan's noise and redrawn channels are for it."""


@dataclass(frozen=True, slots=True)
class RowOrigin:
    """A router row: one of the source's, or a new one drawn at random."""

    source: int | None
    drawn: int = 0
    """Which of the layer's random rows, where there is no source; equal numbers are equal rows."""
    gradient_share: float = 1.0
    """As of an expert."""
    is_lowered: bool = False
    """Its selection bias is put so low that no token chooses it."""


@dataclass(slots=True)
class LayerGrowth:
    """One layer of the result."""

    experts: list[ExpertOrigin]
    rows: list[RowOrigin]
    is_from_dense: bool = False
    """The source's layer has one dense network and no router."""
    makes_shared: bool = False
    """The result's shared experts are the first channels of the source's network."""
    shift_ED: torch.Tensor | None = None
    """Added to the router's rows."""
    bias_shift_E: torch.Tensor | None = None
    """Added to the selection bias."""


@dataclass(slots=True)
class GrowthPlan:
    """From the source to the result, layer by layer; what is not named stays as it is."""

    method: str
    source: ModelConfig
    config: ModelConfig
    """Of the result."""
    layers: dict[int, LayerGrowth]
    """By layer index."""
    noise: float = 0.0
    """Normal noise on the altered experts' weights, as a share of each matrix's standard deviation."""
    redrawn: float = 0.0
    """Share of the altered experts' inner channels that are drawn anew: Nakamura et al. 2025, arXiv 2502.19261, section 3."""
    seed: int = 0
    new_experts: list[int] = field(default_factory=list)
    """Ids, in every layer, of the experts that stand beside those of the source."""


def prefix_of(config: ModelConfig, layer: int) -> str:
    """How our names of a block's tensors begin."""
    return f"layers.{layer}" if layer < config.num_layers else f"mtp.{layer - config.num_layers}.block"
