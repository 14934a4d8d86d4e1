"""LoRA (Hu et al. 2021, arXiv 2106.09685): a frozen matrix W moves by scale * B A, and only the factors A and B are trained.

A parameter `weight [..., out, in]` gets `weight_lora_a [..., rank, in]` and `weight_lora_b [..., out, rank]` in the same
module, so expert parallelism and ZeRO treat an expert's factors as they treat its matrices. Stacked experts have factors of
their own each: what an expert learns stays its own, a rank needs those of its experts alone, and PEFT has a place for them.

Legend: N rows, D width in, O width out, R rank.
"""

import math
from dataclasses import dataclass, field
from enum import Enum

import torch
import torch.nn.functional as F
from torch import nn

A_SUFFIX, B_SUFFIX = "_lora_a", "_lora_b"


class LoraTarget(Enum):
    """What gets adapters."""

    attention = "attention"  # all its projections
    router = "router"
    experts = "experts"  # gate, up and down of every routed expert
    dense = "dense"  # feed-forward networks of the dense blocks, and shared experts


class WholePart(Enum):
    """What can be trained whole beside the adapters."""

    router = "router"
    embeddings = "embeddings"  # embedding and unembedding
    norms = "norms"


class LoraScaling(Enum):
    """The factor on B A."""

    standard = "standard"  # alpha / rank: arXiv 2106.09685, section 4.1
    rank_stabilized = "rank_stabilized"  # alpha / sqrt(rank), which lets large ranks learn: arXiv 2312.03732, eq. 4


@dataclass(kw_only=True, slots=True)
class LoraConfig:
    rank: int = 0
    """Rank of every adapter; 0 trains the whole model without any. Multiples of 8 run best on GPUs."""
    alpha: float = 32.0
    """Size of the adapters' effect: they are added times alpha / rank, or as `scaling` says."""
    scaling: LoraScaling = LoraScaling.standard
    """standard (alpha / rank) | rank_stabilized (alpha / sqrt(rank))."""
    targets: list[LoraTarget] = field(default_factory=lambda: [LoraTarget.attention, LoraTarget.experts])
    """attention | router | experts | dense (dense blocks and shared experts): what gets adapters; all else is frozen."""
    trained_whole: list[WholePart] = field(default_factory=list)
    """router | embeddings | norms: what is trained itself, beside the adapters; none by default."""

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise ValueError(f"lora.rank={self.rank} must not be negative: use 0 to train the whole model")
        if not self.alpha > 0:
            raise ValueError(f"lora.alpha={self.alpha} must be above 0")
        if not self.targets:
            raise ValueError("lora.targets=[] leaves nothing to adapt: name attention, router, experts or dense")
        for key in ("targets", "trained_whole"):
            values = [entry.value for entry in getattr(self, key)]
            if len(values) != len(set(values)):
                raise ValueError(f"lora.{key}=[{','.join(values)}] names one thing twice: name it once")
        if LoraTarget.router in self.targets and WholePart.router in self.trained_whole:
            raise ValueError(
                "lora.trained_whole=[router] cannot stand beside lora.targets=[router]: adapt the router or train it whole"
            )

    @property
    def is_on(self) -> bool:
        """Whether anything is adapted."""
        return self.rank > 0

    @property
    def scale(self) -> float:
        """What B A is multiplied by."""
        return self.alpha / (self.rank if self.scaling is LoraScaling.standard else math.sqrt(self.rank))


class Linear(nn.Linear):
    """A matrix without bias that can have an adapter."""

    lora_scale = 0.0
    """What B A is multiplied by; 0 where there is no adapter."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x_D: torch.Tensor) -> torch.Tensor:
        """Map `[..., D]` to `[..., O]`."""
        y_O = F.linear(x_D, self.weight)
        return y_O if not self.lora_scale else y_O + self.low_rank(x_D, self.weight_lora_b)

    def low_rank(self, x_D: torch.Tensor, b_OR: torch.Tensor) -> torch.Tensor:
        """What the adapter adds, `[..., O]`, with all rows of B or some."""
        return F.linear(F.linear(x_D, self.weight_lora_a) * self.lora_scale, b_OR)


def add_factors(module: nn.Module, name: str, config: LoraConfig) -> None:
    """Freeze the module's parameter `name` and give it factors, not yet filled."""
    weight = getattr(module, name)
    *leading, width_out, width_in = weight.shape
    weight.requires_grad_(False)
    module.register_parameter(name + A_SUFFIX, nn.Parameter(weight.new_empty(*leading, config.rank, width_in)))
    module.register_parameter(name + B_SUFFIX, nn.Parameter(weight.new_empty(*leading, width_out, config.rank)))
    module.lora_scale = config.scale


def is_factor(name: str) -> bool:
    """Whether a parameter's name is that of an adapter's factor."""
    return name.endswith((A_SUFFIX, B_SUFFIX))


def adapted_by(name: str) -> str:
    """The weight whose adapter a factor belongs to."""
    return name.removesuffix(A_SUFFIX).removesuffix(B_SUFFIX)


def factor_shapes(shape: tuple[int, ...], *, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of A and B for a weight `[..., out, in]`."""
    *leading, width_out, width_in = shape
    return (*leading, rank, width_in), (*leading, width_out, rank)


def merged(weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, scale: float) -> torch.Tensor:
    """`W + scale * B A` in fp32, for one matrix or a stack of them."""
    return weight.float() + (b.float() * scale) @ a.float()
