"""Stages get equal work and every block once; what cannot be cut into stages is refused."""

import re
from itertools import combinations

import pytest
import torch

from mai1.engine.ds_config import EngineConfig
from mai1.engine.pipeline import _WithLoss
from mai1.engine.stages import check_stages, split_blocks
from mai1.model.flops import block_flops_per_token, training_flops_per_token
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from tests.support.tiny import family_configs, tiny_model_config


@pytest.mark.parametrize("family", family_configs())
def test_flops_of_the_blocks_and_the_logits_are_those_of_the_model(family: str):
    model = tiny_model_config() if family_configs()[family].num_mtp_layers else family_configs()[family]
    blocks = sum(block_flops_per_token(model, layer, context=77) for layer in range(model.num_layers))
    logits = 2 * model.vocab_size * model.d_model
    assert 3 * (blocks + logits) == training_flops_per_token(model, context=77)


def _costs(model, blocks: list[range]) -> list[int]:
    costs = [sum(block_flops_per_token(model, layer, context=model.max_positions) for layer in part) for part in blocks]
    costs[-1] += 2 * model.vocab_size * model.d_model
    return sorted(costs, reverse=True)


@pytest.mark.parametrize("num_stages", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("changes", [{}, {"vocab_size": 20000}, {"dense_width": 800, "num_dense_layers": 3}])
def test_no_other_split_has_a_faster_slowest_stage(changes: dict, num_stages: int):
    model = tiny_model_config(num_layers=8, **changes)
    found = split_blocks(model, num_stages)
    assert [layer for part in found for layer in part] == list(range(8))
    assert all(part.stop > model.num_dense_layers for part in found), "a stage without a mixture of experts"
    cuts = combinations(range(model.num_dense_layers + 1, 8), num_stages - 1)
    others = ([range(*ends) for ends in zip((0, *cut), (*cut, 8), strict=True)] for cut in cuts)
    assert _costs(model, found) == min(_costs(model, other) for other in others)


def test_many_layers_are_split_in_no_time():
    sizes = [len(part) for part in split_blocks(tiny_model_config(num_layers=61, num_dense_layers=3), 16)]
    assert sum(sizes) == 61 and min(sizes[1:]) >= 3 and max(sizes) <= 4


def test_stages_have_the_names_and_initial_weights_of_the_whole_model():
    model = tiny_model_config(num_layers=5)
    whole = MoETransformer(model)
    initialize(whole, seed=1)
    state, names = whole.state_dict(), []
    for blocks in split_blocks(model, 3):
        stage = MoETransformer(model, blocks=blocks)
        initialize(stage, seed=1)
        for name, tensor in stage.state_dict().items():
            assert torch.equal(tensor, state[name]), name
            names.append(name)
    assert names == list(state)


def test_stages_one_after_the_other_are_the_model():
    model = tiny_model_config(num_layers=5)
    whole = MoETransformer(model).eval()
    initialize(whole, seed=1)
    tokens_BT = torch.randint(0, 256, (2, 12), generator=torch.Generator().manual_seed(0))
    x_BTD = None
    for blocks in split_blocks(model, 4):
        stage = MoETransformer(model, blocks=blocks).eval()
        initialize(stage, seed=1)
        output = stage(tokens_BT, x_BTD=x_BTD)
        x_BTD = output.hidden_BTD
        assert list(output.routings) == [layer for layer in blocks if layer in model.moe_layers]
        assert len(output.routings) + output.num_layers_elsewhere == 4
    assert torch.equal(output.logits_BTV, whole(tokens_BT).logits_BTV)


def test_a_loss_in_tow_adds_its_gradient():
    x_BTD = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    y_BTD, loss = x_BTD.exp(), x_BTD.square().sum()
    [found_BTD] = torch.autograd.grad(_WithLoss.apply(y_BTD, loss), x_BTD, torch.full_like(y_BTD, 3.0))
    torch.testing.assert_close(found_BTD, 3 * x_BTD.exp() + 2 * x_BTD)


MISTAKES = {
    "too many stages": (
        4,
        tiny_model_config(),
        "engine.pipeline_parallel=4 must not exceed the 2 MoE layers (model.num_layers - model.num_dense_layers), of which "
        "every stage needs one: use 2 or fewer",
    ),
    "tied embeddings": (
        2,
        tiny_model_config(tie_embeddings=True),
        "engine.pipeline_parallel=2 cannot be used with model.ti",
    ),
    "further tokens": (
        2,
        tiny_model_config(num_mtp_layers=1),
        "engine.pipeline_parallel=2 cannot be used with model.num_m",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_models_without_stages_are_refused(mistake: str):
    num_stages, model, message = MISTAKES[mistake]
    check_stages(EngineConfig(), model)
    with pytest.raises(ValueError, match=re.escape(message)):
        check_stages(EngineConfig(zero_stage=1, pipeline_parallel=num_stages), model)
