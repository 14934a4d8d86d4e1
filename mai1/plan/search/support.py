"""Whether this version can run a layout, and what to write on the command line where it can."""

from dataclasses import fields

import torch

from mai1.engine.ds_config import EngineConfig, Precision
from mai1.engine.stages import check_stages
from mai1.engine.support import check_combination
from mai1.model.expert_kernels import ExpertKernels
from mai1.model.sequence_parallel import check_sequence_parallel
from mai1.plan.layout import Format, Layout, Recompute
from mai1.plan.workload import Workload

ABSENT = {
    "tensor parallelism": lambda layout: layout.tensor > 1,
    "interleaved stages": lambda layout: layout.virtual_stages > 1,
    "fp8": lambda layout: layout.format is Format.fp8,
    "selective recompute": lambda layout: layout.recompute is Recompute.selective,
    "overlapping microbatches": lambda layout: layout.overlaps_experts,
}
"""What the planner knows and the engine does not, and whether a layout uses it."""


def obstacles(workload: Workload, layout: Layout) -> list[str]:
    """What this version lacks to run the layout, or what its engine says against it; empty where it can."""
    if absent := [name for name, is_used in ABSENT.items() if is_used(layout)]:
        return absent
    try:
        _check(workload, engine_of(layout), layout.num_devices)
    except ValueError as error:
        return [str(error)]
    return []


def engine_of(layout: Layout) -> EngineConfig:
    """The engine's configuration of a layout that uses nothing ABSENT; ValueError where a value is refused."""
    return EngineConfig(
        zero_stage=layout.zero_stage,
        expert_parallel=layout.expert,
        sequence_parallel=layout.sequence,
        pipeline_parallel=layout.pipeline,
        offload_optimizer=layout.offload_optimizer,
        precision=Precision(layout.format.value),
        recompute=layout.recompute is Recompute.full,
        expert_kernels=ExpertKernels.triton if layout.fuses_experts else ExpertKernels.torch,
    )


def layout_of(engine: EngineConfig, *, num_devices: int, microbatch: int, usual_format: Format) -> Layout:
    """The layout in which a training run with this configuration would run; `usual_format` is precision=auto's."""
    is_auto = engine.precision is Precision.auto
    return Layout(
        num_devices=num_devices,
        expert=engine.expert_parallel,
        pipeline=engine.pipeline_parallel,
        sequence=engine.sequence_parallel,
        zero_stage=engine.zero_stage,
        microbatch=microbatch,
        recompute=Recompute.full if engine.recompute else Recompute.none,
        format=usual_format if is_auto else Format(engine.precision.value),
        offload_optimizer=engine.offload_optimizer,
        fuses_experts=engine.expert_kernels is ExpertKernels.triton,
    )


def overrides_of(workload: Workload, layout: Layout) -> list[str]:
    """What to write after `mai1 pretrain` to train in this layout; only of one without obstacles."""
    engine, usual = engine_of(layout), EngineConfig()
    changed = {
        field.name: getattr(engine, field.name)
        for field in fields(engine)
        if getattr(engine, field.name) != getattr(usual, field.name)
    }
    values = {f"engine.{key}": getattr(value, "value", value) for key, value in changed.items()}
    values |= {
        "data.sequence_length": workload.sequence_length,
        "batch.sequences_per_step": workload.sequences_per_step,
        "batch.sequences_per_microbatch": layout.microbatch,
    }
    return [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in values.items()]


def _check(workload: Workload, engine: EngineConfig, num_devices: int) -> None:
    """The engine's own checks before a run."""
    check_combination(engine)
    engine.check_topology(world_size=num_devices, num_experts=workload.model.moe.num_experts)
    check_stages(engine, workload.model)
    check_sequence_parallel(
        engine.sequence_parallel,
        num_heads=workload.model.attention.num_heads,
        sequence_length=workload.sequence_length,
    )
    engine.check_device(torch.device("cpu" if engine.precision is Precision.fp32 else "cuda"))
    if workload.lora is not None and engine.expert_kernels is not ExpertKernels.torch:
        raise ValueError(
            f"engine.expert_kernels={engine.expert_kernels.value} computes experts that are trained whole, without "
            "adapters: use engine.expert_kernels=torch"
        )
