"""How a run is laid out over devices: the sizes of every kind of parallelism, and what is sharded or computed again."""

from dataclasses import dataclass
from enum import Enum


class Format(Enum):
    """Number format of the large matrix products; weights are stored as bf16 where it is fp8."""

    fp32 = "fp32"
    bf16 = "bf16"
    fp8 = "fp8"

    @property
    def stored_bytes(self) -> int:
        """Of one weight or activation in memory."""
        return 4 if self is Format.fp32 else 2


class Recompute(Enum):
    """What the backward computes again instead of keeping it."""

    none = "none"
    selective = "selective"
    """Norms, activation functions and up-projections of latents: cheap to compute, large to keep."""
    full = "full"
    """Whole blocks; their inputs are kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Ranks are ordered as in `mai1.engine.topology`: stages outermost; tensor- and sequence-parallel ranks side by side.

    Experts are folded over all ranks of a stage: `expert` consecutive ranks hold one copy of them, whatever else these
    ranks share (arXiv 2504.14960, section 3).
    """

    num_devices: int
    expert: int = 1
    """Ranks that share one copy of the experts."""
    tensor: int = 1
    """Ranks that share every attention and dense matrix. Experts are never split within."""
    pipeline: int = 1
    """Stages."""
    virtual_stages: int = 1
    """Pieces of layers each stage holds, interleaved."""
    sequence: int = 1
    """Ranks that share every row, a slice of its positions each."""
    zero_stage: int = 2
    """0 nothing sharded, 1 optimizer state, 2 gradients too, 3 weights too."""
    microbatch: int = 1
    """Sequences that go through the model at once, on every group of ranks that reads rows of its own."""
    recompute: Recompute = Recompute.none
    format: Format = Format.bf16
    offload_optimizer: bool = False
    """Optimizer state in the host's memory, updated there."""
    overlaps_experts: bool = False
    """Rows travel to experts while other rows are computed, beyond what shared experts hide."""
    fuses_experts: bool = False
    """Experts by kernels that keep gate and up alone for the backward, on GPUs (`engine.expert_kernels=triton`)."""

    def __post_init__(self) -> None:
        for name in ("num_devices", "expert", "tensor", "pipeline", "virtual_stages", "sequence", "microbatch"):
            if getattr(self, name) < 1:
                raise ValueError(f"layout.{name}={getattr(self, name)} must be at least 1")
        if self.zero_stage not in (0, 1, 2, 3):
            raise ValueError(f"layout.zero_stage={self.zero_stage} must be 0, 1, 2 or 3")
        for name, size in (
            ("pipeline * tensor * sequence", self.tensor * self.sequence),
            ("pipeline * expert", self.expert),
        ):
            if self.num_devices % (self.pipeline * size):
                raise ValueError(
                    f"layout: {name} = {self.pipeline * size} must divide layout.num_devices={self.num_devices}"
                )

    @property
    def per_stage(self) -> int:
        """Ranks of one stage."""
        return self.num_devices // self.pipeline

    @property
    def data(self) -> int:
        """Groups of ranks that read different rows."""
        return self.per_stage // (self.tensor * self.sequence)

    @property
    def dense_replicas(self) -> int:
        """Ranks over which what is not an expert can be sharded: all that hold the same of it."""
        return self.data * self.sequence

    @property
    def expert_replicas(self) -> int:
        """Ranks over which one expert's state can be sharded."""
        return self.per_stage // self.expert
