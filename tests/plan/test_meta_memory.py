"""The planned layout of the largest model, counted on the real classes without memory: one rank of it, on the meta device."""

import math
from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from deepspeed.runtime.utils import align_dense_tensors
from torch.testing._internal.distributed.fake_pg import FakeStore

from mai1.engine.experts import mark_experts, split_expert_groups
from mai1.engine.stages import split_blocks
from mai1.model.transformer import ModelConfig, MoETransformer
from mai1.optim.adamw import parameter_groups
from mai1.optim.config import OptimConfig
from mai1.plan.layout import Layout
from mai1.plan.memory.memory import memory_by_stage
from mai1.plan.memory.parameters import parameters_of
from mai1.plan.workload import Workload
from mai1.run.compose import compose_config
from mai1.run.config import PretrainConfig

EXPERT = 64
LAYOUTS = {
    "ZeRO-2": Layout(num_devices=512, expert=EXPERT, zero_stage=2),
    "stages": Layout(num_devices=1024, expert=EXPERT, pipeline=8, zero_stage=1),
}


@pytest.fixture(scope="module")
def expert_group() -> Iterator[dist.ProcessGroup]:
    """The 64 ranks that share the experts; nothing is ever sent."""
    dist.init_process_group("fake", store=FakeStore(), rank=5, world_size=EXPERT)
    yield dist.group.WORLD
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def model_config() -> ModelConfig:
    """500 B parameters."""
    return compose_config("pretrain", PretrainConfig, ["model=mai1_500b"]).model


@pytest.mark.parametrize("stage", [0, 3, 7])
@pytest.mark.parametrize("name", LAYOUTS)
def test_mai1_500b_takes_the_planned_bytes_on_one_rank(
    name: str, stage: int, model_config: ModelConfig, expert_group: dist.ProcessGroup
):
    layout = LAYOUTS[name]
    stage = min(stage, layout.pipeline - 1)
    blocks = split_blocks(model_config, layout.pipeline)[stage]
    with torch.device("meta"):
        model = MoETransformer(model_config, expert_group=expert_group, blocks=blocks).to(torch.bfloat16)
    workload = Workload(model=model_config, sequence_length=4096, sequences_per_step=2048)
    held = {tensor.name: tensor.shape for tensor in parameters_of(workload, layout, stage).tensors}
    assert held == {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}

    lengths, shares = padded_groups(model, layout)
    memory = memory_by_stage(workload, layout)[stage]
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    assert memory.weights == 2 * sum(lengths)
    assert memory.masters == 4 * sum(shares) and memory.moments == 8 * sum(shares)
    staged = 4 * sum(lengths) + 2 * num_parameters  # fp32 sums of the whole stage, and bf16 gradients beside them
    assert memory.gradients == (4 * sum(shares) if layout.zero_stage == 2 else staged)


def padded_groups(model: MoETransformer, layout: Layout) -> tuple[list[int], list[int]]:
    """Elements of the optimizer's groups as DeepSpeed makes and pads them, and of one rank's share of each."""
    sizes = {"expert_parallel": layout.expert, "zero_stage": layout.zero_stage}
    mark_experts(list(model.moe_layers().values()), **sizes)
    groups = split_expert_groups(
        parameter_groups(model.named_parameters(), OptimConfig()), **sizes, num_stages=layout.pipeline
    )
    replicas = [layout.expert_replicas if group.get("moe") else layout.dense_replicas for group in groups]
    lengths = []
    for group, num_ranks in zip(groups, replicas, strict=True):
        flat = [parameter.detach().flatten() for parameter in group["params"]]
        lengths.append(sum(x.numel() for x in align_dense_tensors(flat, 2 * num_ranks)))
    assert all(math.gcd(length, num_ranks) == num_ranks for length, num_ranks in zip(lengths, replicas, strict=True))
    return lengths, [length // num_ranks for length, num_ranks in zip(lengths, replicas, strict=True)]
