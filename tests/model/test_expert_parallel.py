import numpy as np
import pytest
import torch
import torch.distributed as dist

from mai1.dist import World
from mai1.model.init import initialize
from mai1.model.moe.layer import MoEConfig, MoELayer
from mai1.model.transformer import MoETransformer
from tests.model.test_moe import WIDTH, make_layer, random_tokens
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_model_config

TOKENS_OF_RANK = (11, 5)
SHAPE = {"num_experts": 8, "expert_width": 6, "num_shared_experts": 1}
CASES = {
    "uneven": (SHAPE | {"top_k": 3}, [0.0] * 8),
    "rank_1_gets_no_row": (SHAPE | {"top_k": 2}, [9.0, 9.0] + [0.0] * 6),
    "every_rank_sends_all_away": (SHAPE | {"top_k": 1}, [0.0] * 4 + [9.0, 0.0, 0.0, 0.0]),
}
PROMPT_BT = [[256, *b"one rank or two ", 256, *b"are one"]]


def local_layer(case: str) -> MoELayer:
    options, bias = CASES[case]
    layer = make_layer(**options)
    layer.router.selection_bias.copy_(torch.tensor(bias))
    return layer


def tokens_and_direction(rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What a rank feeds in, and the gradient of what comes out."""
    return random_tokens(TOKENS_OF_RANK[rank], seed=10 + rank), random_tokens(TOKENS_OF_RANK[rank], seed=20 + rank)


def run_on_rank(world: World) -> dict[str, dict[str, np.ndarray]]:
    """Outputs and gradients of every case, and of a whole model, with experts spread over the ranks."""
    group = dist.group.WORLD
    results = {}
    for case, (options, _) in CASES.items():
        layer = MoELayer(MoEConfig(**options), d_model=WIDTH, expert_group=group)
        half = slice(world.rank * 4, world.rank * 4 + 4)
        for name, tensor in local_layer(case).state_dict().items():
            layer.state_dict()[name].copy_(tensor[half] if name.startswith("experts.") else tensor)
        x_BTD, direction = tokens_and_direction(world.rank)
        y_BTD, _ = layer(x_BTD.requires_grad_())
        (y_BTD * direction).sum().backward()
        gradients = {name: parameter.grad.numpy() for name, parameter in layer.named_parameters()}
        results[case] = gradients | {"y": y_BTD.detach().numpy(), "x": x_BTD.grad.numpy()}
    model = MoETransformer(tiny_model_config(), expert_group=group)
    initialize(model, seed=5)
    results["model"] = {"logits": model(torch.tensor(PROMPT_BT)).logits_BTV.detach().numpy()}
    return results


@pytest.fixture(scope="module")
def of_ranks() -> list[dict]:
    return run_ranks(run_on_rank, 2)


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_of_experts_equal_one_forward_and_backward(of_ranks: list[dict], case: str):
    layer = local_layer(case)
    x_BTD, direction = (torch.cat(parts, dim=1) for parts in zip(*map(tokens_and_direction, range(2)), strict=True))
    y_BTD, routing = layer(x_BTD.requires_grad_())
    (y_BTD * direction).sum().backward()
    rows_of_ranks = routing.tokens_per_expert_E.view(2, 4).sum(1).tolist()
    assert (0 in rows_of_ranks) == (case != "uneven")

    found = [ranks[case] for ranks in of_ranks]
    for name, whole in (("y", y_BTD.detach()), ("x", x_BTD.grad)):
        np.testing.assert_allclose(np.concatenate([f[name] for f in found], axis=1), whole, atol=1e-6)
    for name, parameter in layer.named_parameters():
        is_expert = name.startswith("experts.")
        joined = np.concatenate([f[name] for f in found]) if is_expert else sum(f[name] for f in found)
        np.testing.assert_allclose(joined, parameter.grad, atol=2e-6, err_msg=name)


def test_the_initial_model_does_not_depend_on_expert_parallelism(of_ranks: list[dict]):
    model = MoETransformer(tiny_model_config())
    initialize(model, seed=5)
    logits = model(torch.tensor(PROMPT_BT)).logits_BTV.detach()
    for ranks in of_ranks:
        np.testing.assert_allclose(ranks["model"]["logits"], logits, atol=1e-6)
    assert logits.std() > 0.1
