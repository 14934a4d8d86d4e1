"""The settings of the engine, and their translation to DeepSpeed's configuration: pure functions."""

from dataclasses import dataclass
from enum import Enum

import torch

from mai1.model.expert_kernels import ExpertKernels

WHOLE_BELOW = 10_000
"""Parameters with fewer elements stay whole under ZeRO-3: norms, whose gathering costs more than their memory."""


class Precision(Enum):
    """Number format of weights and activations; optimizer state is fp32 always."""

    auto = "auto"  # bf16 on a GPU, fp32 on a CPU
    fp32 = "fp32"
    bf16 = "bf16"


@dataclass(kw_only=True, slots=True)
class EngineConfig:
    zero_stage: int = 2
    """What DeepSpeed shards over data-parallel ranks: 1 optimizer state, 2 gradients too, 3 weights too."""
    expert_parallel: int = 1
    """Ranks that share one copy of the experts; divides the number of ranks and of experts."""
    sequence_parallel: int = 1
    """Ranks that share every row, a slice of its positions each: for contexts too long for one rank."""
    pipeline_parallel: int = 1
    """Stages the layers are divided into, one group of ranks each: for models too large for ZeRO over all ranks."""
    offload_optimizer: bool = False
    """Keep optimizer state in CPU memory and update there: less GPU memory, slower steps."""
    precision: Precision = Precision.auto
    """auto | fp32 | bf16."""
    recompute: bool = False
    """Compute activations again in the backward instead of keeping them: less memory, about a third more FLOPs."""
    compile: bool = False
    """Compile every block with torch.compile into few fused kernels; takes a minute or two at the start. GPUs only."""
    expert_kernels: ExpertKernels = ExpertKernels.torch
    """torch | compiled (on CPUs in fp32; gcc compiles it at the start in a second) | triton (on GPUs, in few fused kernels)."""
    timeout_s: float = 600.0
    """Seconds after which a collective that some rank never joined ends the run."""

    def __post_init__(self) -> None:
        if self.zero_stage not in (1, 2, 3):
            raise ValueError(
                f"engine.zero_stage={self.zero_stage} must be 1, 2 or 3: stage 0 clips gradients wrongly with experts"
            )
        for key in ("expert_parallel", "sequence_parallel", "pipeline_parallel"):
            if getattr(self, key) < 1:
                raise ValueError(f"engine.{key}={getattr(self, key)} must be at least 1")
        if self.timeout_s <= 0:
            raise ValueError(f"engine.timeout_s={self.timeout_s} must be above 0")

    def dtype_on(self, device: torch.device) -> torch.dtype:
        """Weights and activations on this device."""
        is_bf16 = self.precision is Precision.bf16 or (self.precision is Precision.auto and device.type == "cuda")
        return torch.bfloat16 if is_bf16 else torch.float32

    def data_parallel(self, world_size: int) -> int:
        """Groups of ranks that read different rows."""
        return world_size // (self.sequence_parallel * self.pipeline_parallel)

    def check_device(self, device: torch.device) -> None:
        """Refuse what this device cannot do, or only badly."""
        if self.compile and device.type != "cuda":
            raise ValueError(
                "engine.compile=true needs a GPU: on a CPU experts run one after the other, so use engine.compile=false"
            )

        is_bf16 = self.dtype_on(device) is torch.bfloat16
        if self.expert_kernels is ExpertKernels.compiled and (is_bf16 or device.type != "cpu"):
            raise ValueError(
                "engine.expert_kernels=compiled computes in fp32 on a CPU, and this run is in "
                f"{'bf16' if is_bf16 else 'fp32'} on {device.type}: use engine.expert_kernels=torch"
            )
        if self.expert_kernels is ExpertKernels.triton and device.type != "cuda":
            raise ValueError(
                f"engine.expert_kernels=triton computes on a GPU, and this run is on {device.type}: "
                "use engine.expert_kernels=torch or compiled"
            )
        if is_bf16 and self.zero_stage == 1 and self.pipeline_parallel == 1:
            raise ValueError(
                "engine.zero_stage=1 with bf16 keeps a full fp32 gradient buffer on every rank: use engine.zero_stage=2"
            )

    def check_topology(self, *, world_size: int, num_experts: int) -> None:
        """Refuse sizes that ranks or experts cannot be divided by."""
        for key in ("pipeline_parallel", "sequence_parallel"):
            size = getattr(self, key)
            if world_size % size:
                _refuse_size(key, size, world_size, "ranks", num_ranks=world_size)
        per_stage = world_size // self.pipeline_parallel
        if per_stage % self.sequence_parallel:
            _refuse_size(
                "sequence_parallel", self.sequence_parallel, per_stage, "ranks of a stage", num_ranks=per_stage
            )
        for count, what in ((per_stage, "ranks"), (num_experts, "experts (model.moe.num_experts)")):
            if count % self.expert_parallel:
                usable = [n for n in range(1, per_stage + 1) if per_stage % n == 0 and num_experts % n == 0]
                _refuse_size("expert_parallel", self.expert_parallel, count, what, num_ranks=per_stage, usable=usable)


def _refuse_size(
    key: str, size: int, count: int, what: str, *, num_ranks: int, usable: list[int] | None = None
) -> None:
    usable = usable or [n for n in range(1, count + 1) if count % n == 0]
    raise ValueError(
        f"engine.{key}={size} must divide the {count} {what}: "
        f"use {' or '.join(map(str, usable))} on {num_ranks} rank{'s' * (num_ranks > 1)}"
    )


def deepspeed_config(
    config: EngineConfig,
    *,
    dtype: torch.dtype,
    microbatch: int,
    accumulation: int,
    world_size: int,
    clip_norm: float,
    prefetches: bool = True,
) -> dict:
    """The dict DeepSpeed is initialized with.

    Gradients accumulate in fp32 also for bf16 weights, and expert gradients are averaged over all data-parallel ranks,
    so the result does not depend on the expert-parallel size. With ZeRO-3, `prefetches` says that weights may be gathered
    ahead of their use, in the order of the steps before. For DeepSpeed every rank of a stage is a data-parallel
    rank: those that share rows hold other positions of them.
    """
    num_readers = world_size // config.pipeline_parallel
    zero = {
        "stage": config.zero_stage,
        "contiguous_gradients": True,
        "reduce_scatter": True,
        "overlap_comm": config.zero_stage == 3,  # weights arrive, and gradients leave, while layers compute
    }
    if config.zero_stage == 3:
        zero["stage3_param_persistence_threshold"] = WHOLE_BELOW
        if not prefetches:
            zero["stage3_prefetch_bucket_size"] = 0
    if config.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    settings = {
        "train_batch_size": microbatch * accumulation * num_readers,
        "train_micro_batch_size_per_gpu": microbatch,
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": clip_norm,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
        "wall_clock_breakdown": False,
    }
    if dtype is torch.bfloat16:
        settings["bf16"] = {"enabled": True}
        settings["data_types"] = {"grad_accum_dtype": "fp32"}
    return settings
