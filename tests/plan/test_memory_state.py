"""Weights, gradients, masters and moments of the planner against the tensors that a real engine holds."""

from pathlib import Path

import pytest
import torch

from mai1.dist import World
from mai1.engine.ds_config import EngineConfig, Precision
from mai1.engine.support import refusal
from mai1.model.lora import LoraConfig, LoraTarget, WholePart
from mai1.model.transformer import ModelConfig
from mai1.optim.config import Method, OptimConfig
from mai1.plan.layout import Format
from mai1.plan.memory.parameters import parameters_of
from mai1.plan.memory.state import state_of
from mai1.plan.search.support import layout_of
from mai1.plan.workload import Workload
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_model_config, tiny_trainer, train

FP32, BF16 = {"precision": Precision.fp32}, {"precision": Precision.bf16}
EXPERTS = {"expert_parallel": 2}
ONE_STAGE = (
    FP32 | {"zero_stage": 2},
    BF16 | {"zero_stage": 2} | EXPERTS,
    BF16 | {"zero_stage": 2, "offload_optimizer": True},
    FP32 | {"zero_stage": 3} | EXPERTS,
    BF16 | {"zero_stage": 3},
)
STAGES = (
    FP32 | {"zero_stage": 1, "pipeline_parallel": 2} | EXPERTS,
    BF16 | {"zero_stage": 1, "pipeline_parallel": 2} | EXPERTS,
)
MUON, ADAMW = OptimConfig(method=Method.muon), OptimConfig()
LORA = LoraConfig(rank=5, targets=list(LoraTarget), trained_whole=[WholePart.norms, WholePart.embeddings])
FROZEN_EXPERTS = LoraConfig(rank=3, targets=[LoraTarget.attention], trained_whole=[WholePart.router])
OTHERS = (  # training of another kind, in the same layouts
    FP32 | {"zero_stage": 2, "optim": MUON},
    BF16 | {"zero_stage": 2, "optim": MUON} | EXPERTS,
    FP32 | {"zero_stage": 3, "optim": MUON} | EXPERTS,
    BF16 | {"zero_stage": 2, "lora": LORA} | EXPERTS,
    BF16 | {"zero_stage": 2, "lora": FROZEN_EXPERTS} | EXPERTS,
    FP32 | {"zero_stage": 3, "lora": LORA} | EXPERTS,
    BF16 | {"zero_stage": 3, "lora": FROZEN_EXPERTS},
)


def engine_config(case: dict) -> EngineConfig:
    """What a case says of the engine."""
    return EngineConfig(**{key: value for key, value in case.items() if key not in ("optim", "lora")})


def model_config() -> ModelConfig:
    """With parameters that no number of ranks divides."""
    return tiny_model_config(dense_width=97, d_model=63, attention={"head_dim": 14})


def held_bytes(tensors: list[torch.Tensor]) -> int:
    """Each storage once."""
    return sum({tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}.values())


def state_on(world: World, folder: Path, cases: tuple[dict, ...]) -> list[dict[str, int]]:
    """What this rank holds after a step, in each case."""
    return [state_in(world, folder / str(number), case) for number, case in enumerate(cases)]


def state_in(world: World, folder: Path, case: dict) -> dict[str, int]:
    """What this rank holds after a step, and of gradients before its update."""
    trainer = tiny_trainer(world, folder, model=model_config(), microbatch=1, **case)
    engine, optimizer, seen = trainer.engine, trainer.engine._deepspeed.optimizer, {}
    update = optimizer.step

    def step(*arguments: object) -> object:
        seen["gradients"] = held_bytes(gradients_of(optimizer, list(engine.model.parameters())))
        return update(*arguments)

    optimizer.step = step
    train(trainer, 1)
    if case["zero_stage"] == 3:
        whole = [p.data for p in engine.model.parameters() if p.shape == p.ds_shape]  # else a placeholder
        weights = [*whole, *(p.ds_tensor for p in engine.model.parameters())]
    else:
        weights = list(engine.model.parameters())
    shards = {weight.untyped_storage().data_ptr() for weight in weights}
    flats = engine._partitions.flats
    moments = [x for flat in flats for x in engine._state_of(flat).values() if x.shape == flat.shape]
    own = [flat for flat in flats if flat.untyped_storage().data_ptr() not in shards]
    return seen | {"weights": held_bytes(weights), "masters": held_bytes(own), "moments": held_bytes(moments)}


def gradients_of(optimizer: object, parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    """Where DeepSpeed adds them up: fp32 shards with ZeRO-3, with pipeline stages in bf16 both kinds, else fp32 partitions."""
    if hasattr(optimizer, "grad_partitions_flat_buffer"):
        return [optimizer.grad_partitions_flat_buffer]
    if hasattr(optimizer, "fp32_groups_gradients_flat"):
        return [*optimizer.fp32_groups_gradients_flat, *(p.grad for p in parameters if p.grad is not None)]
    return [getattr(group, "flat_partition", torch.empty(0)) for group in optimizer.averaged_gradients.values()]


@pytest.mark.parametrize("sizes", [ONE_STAGE, STAGES, OTHERS], ids=["one stage", "stages", "Muon and adapters"])
def test_planned_bytes_are_those_of_a_real_engine(sizes: tuple[dict, ...], tmp_path: Path):
    """Groups of ranks outlive an engine, so each number of stages has processes of its own."""
    assert all(refusal(engine_config(case)) is None for case in sizes)
    for rank, of_rank in enumerate(run_ranks(state_on, 4, tmp_path, sizes)):
        for case, found in zip(sizes, of_rank, strict=True):
            check(case, found, rank=rank)


def check(case: dict, found: dict[str, int], *, rank: int) -> None:
    """The planner's bytes against those that were found."""
    layout = layout_of(engine_config(case), num_devices=4, microbatch=1, usual_format=Format.fp32)
    work = Workload(model=model_config(), sequence_length=48, sequences_per_step=8, lora=case.get("lora"))
    held = parameters_of(work, layout, rank // layout.per_stage)
    state = state_of(held, layout, method=case.get("optim", ADAMW).method)
    planned = {name: getattr(state, name) for name in ("weights", "masters", "moments", "gradients")}
    if layout.offload_optimizer:
        state_bytes = (
            found["masters"] + found["moments"] + found["gradients"] + layout.format.stored_bytes * state.partition
        )
        assert planned == {"weights": found["weights"], "masters": 0, "moments": 0, "gradients": 0}, (case, rank)
        assert state.host == state_bytes, (case, rank)
        return
    if not found[
        "gradients"
    ]:  # with ZeRO-1 and -2 in fp32 they lie in whole parameters, not in a partition of their own
        assert layout.format is Format.fp32
        planned["gradients"] = 0
    assert planned == found, (case, rank)
