import tempfile
from pathlib import Path

import pytest
import torch

from mai1.dist import World
from mai1.engine.ds_config import EngineConfig, Precision
from mai1.engine.engine import Engine
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from mai1.optim.adamw import OptimConfig
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_model_config, tiny_trainer, train

BIAS_E = [0.1001, -0.2003, 0.30007, 0.7, -0.7001, 0.5003, 0.123456, 0.0]
"""A selection bias that bf16 cannot hold."""


def wrap_bf16_model(world: World) -> dict:
    model = MoETransformer(tiny_model_config())
    initialize(model, seed=0)
    for layer in model.moe_layers().values():
        layer.router.selection_bias.copy_(torch.tensor(BIAS_E))
    engine = Engine(
        model, EngineConfig(precision=Precision.bf16), OptimConfig(), world=world, microbatch=1, accumulation=1
    )
    return {
        "biases": [layer.router.selection_bias.tolist() for layer in engine.model.moe_layers().values()],
        "dtypes": sorted({str(p.dtype) for p in engine.model.parameters()}),
        "masters": sorted({str(fragment.master.dtype) for fragment in engine.fragments()}),
    }


def test_a_bf16_engine_keeps_the_selection_bias_and_the_masters_in_fp32():
    [found] = run_ranks(wrap_bf16_model, 1)
    assert found["dtypes"] == ["torch.bfloat16"] and found["masters"] == ["torch.float32"]
    for bias_E in found["biases"]:
        assert torch.equal(torch.tensor(bias_E), torch.tensor(BIAS_E))


def _train_in_bf16(world: World, settings: dict) -> list[tuple[float, float]]:
    """Loss and gradient norm of each step, of eight microbatches over all ranks."""
    optim = OptimConfig(learning_rate=2e-3, warmup_steps=3, clip_norm=0.5)
    folder = Path(tempfile.mkdtemp())
    return train(tiny_trainer(world, folder, precision=Precision.bf16, microbatch=1, optim=optim, **settings), 6)


@pytest.mark.parametrize(
    "sharing", [{}, {"expert_parallel": 2}, {"expert_parallel": 2, "sequence_parallel": 2}, {"offload_optimizer": True}]
)
def test_zero_1_accumulates_microbatches_in_bf16_as_one_rank_does(sharing: dict):
    """Gradients are rounded to bf16 once, so norms agree to its precision; clipping and the masters follow from them."""
    [expected] = run_ranks(_train_in_bf16, 1, {"zero_stage": 2})
    for num_ranks in (1, 4) if not sharing else (4,):
        for found in run_ranks(_train_in_bf16, num_ranks, {"zero_stage": 1} | sharing):
            assert [loss for loss, _ in found] == pytest.approx([loss for loss, _ in expected], abs=5e-3)
            assert [norm for _, norm in found] == pytest.approx([norm for _, norm in expected], rel=2e-2)
