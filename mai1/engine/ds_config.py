"""The settings of the engine, and their translation to DeepSpeed's configuration: pure functions."""

from dataclasses import dataclass
from enum import Enum

import torch


class Precision(Enum):
    """Number format of weights and activations; optimizer state is fp32 always."""

    auto = "auto"  # bf16 on a GPU, fp32 on a CPU
    fp32 = "fp32"
    bf16 = "bf16"


@dataclass(kw_only=True, slots=True)
class EngineConfig:
    zero_stage: int = 2
    """What DeepSpeed shards over data-parallel ranks: 1 optimizer state, 2 gradients too."""
    expert_parallel: int = 1
    """Ranks that share one copy of the experts; divides the number of ranks and of experts."""
    precision: Precision = Precision.auto
    """auto | fp32 | bf16."""
    recompute: bool = False
    """Compute activations again in the backward instead of keeping them: less memory, about a third more FLOPs."""
    compile: bool = False
    """Compile every block with torch.compile into few fused kernels; takes a minute or two at the start. GPUs only."""
    timeout_s: float = 600.0
    """Seconds after which a collective that some rank never joined ends the run."""

    def __post_init__(self) -> None:
        if self.zero_stage not in (1, 2):
            raise ValueError(
                f"engine.zero_stage={self.zero_stage} must be 1 or 2: stage 0 clips gradients wrongly with experts, "
                "stage 3 is not supported yet"
            )
        if self.expert_parallel < 1:
            raise ValueError(f"engine.expert_parallel={self.expert_parallel} must be at least 1")
        if self.timeout_s <= 0:
            raise ValueError(f"engine.timeout_s={self.timeout_s} must be above 0")
        if self.precision is Precision.bf16 and self.zero_stage == 1:
            raise ValueError(
                "engine.zero_stage=1 with bf16 keeps a full fp32 gradient buffer on every rank: use engine.zero_stage=2"
            )

    def dtype_on(self, device: torch.device) -> torch.dtype:
        """Weights and activations on this device."""
        is_bf16 = self.precision is Precision.bf16 or (self.precision is Precision.auto and device.type == "cuda")
        return torch.bfloat16 if is_bf16 else torch.float32

    def check_device(self, device: torch.device) -> None:
        """Refuse what only a GPU can do."""
        if self.compile and device.type != "cuda":
            raise ValueError(
                "engine.compile=true needs a GPU: on a CPU experts run one after the other, so use engine.compile=false"
            )

    def check_topology(self, *, world_size: int, num_experts: int) -> None:
        """Refuse an expert-parallel size that ranks or experts cannot be divided by."""
        size = self.expert_parallel
        usable = [n for n in range(1, world_size + 1) if world_size % n == 0 and num_experts % n == 0]
        for count, what in ((world_size, "ranks"), (num_experts, "experts (model.moe.num_experts)")):
            if count % size:
                raise ValueError(
                    f"engine.expert_parallel={size} must divide the {count} {what}: "
                    f"use {' or '.join(map(str, usable))} on {world_size} rank{'s' * (world_size > 1)}"
                )


def deepspeed_config(
    config: EngineConfig, *, dtype: torch.dtype, microbatch: int, accumulation: int, world_size: int, clip_norm: float
) -> dict:
    """The dict DeepSpeed is initialized with.

    Gradients accumulate in fp32 also for bf16 weights, and expert gradients are averaged over all data-parallel ranks,
    so the result does not depend on the expert-parallel size.
    """
    settings = {
        "train_batch_size": microbatch * accumulation * world_size,
        "train_micro_batch_size_per_gpu": microbatch,
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": clip_norm,
        "zero_optimization": {
            "stage": config.zero_stage,
            "contiguous_gradients": True,
            "reduce_scatter": True,
            "overlap_comm": False,
        },
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
        "wall_clock_breakdown": False,
    }
    if dtype is torch.bfloat16:
        settings["bf16"] = {"enabled": True}
        settings["data_types"] = {"grad_accum_dtype": "fp32"}
    return settings
