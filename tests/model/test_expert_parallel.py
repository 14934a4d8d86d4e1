import numpy as np
import pytest
import torch
import torch.distributed as dist

from mai1.dist import World
from mai1.model.init import initialize
from mai1.model.moe.layer import MoEConfig, MoELayer
from mai1.model.moe.routing_policy import RoutingConfig
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


def run_capped(world: World) -> dict[int, list[np.ndarray]]:
    """Outputs and gradients with experts on two ranks, for several limits on the rows a rank holds at once."""
    results = {}
    for case, max_rows in ((case, max_rows) for case in CASES for max_rows in (0, 1, 7, 16)):
        options, _ = CASES[case]
        layer = MoELayer(MoEConfig(**options), d_model=WIDTH, expert_group=dist.group.WORLD)
        layer.router.policy = RoutingConfig(max_rows=max_rows)
        half = slice(world.rank * 4, world.rank * 4 + 4)
        for name, tensor in local_layer(case).state_dict().items():
            layer.state_dict()[name].copy_(tensor[half] if name.startswith("experts.") else tensor)
        held = []
        layer.experts.register_forward_pre_hook(lambda _, inputs, held=held: held.append(len(inputs[0])))
        x_BTD, direction = tokens_and_direction(world.rank)
        y_BTD, _ = layer(x_BTD.requires_grad_())
        num_trips = len(held)
        (y_BTD * direction).sum().backward()
        gradients = [parameter.grad.numpy() for parameter in layer.parameters()]
        results[case, max_rows] = [max(held), num_trips, y_BTD.detach().numpy(), x_BTD.grad.numpy(), *gradients]
    return results


def test_a_cap_bounds_the_rows_that_arrive_on_a_rank_and_changes_no_result():
    for of_rank in run_ranks(run_capped, 2):
        for (case, max_rows), (most_held, num_trips, *found) in of_rank.items():
            most_uncapped, _, *expected = of_rank[case, 0]
            assert most_held <= max(max_rows, 2) if max_rows else num_trips == 1  # at least one row from each rank
            assert num_trips > 1 or max_rows in (0, 16) or most_uncapped <= max_rows
            for capped, uncapped in zip(found, expected, strict=True):
                np.testing.assert_allclose(capped, uncapped, atol=2e-6, rtol=1e-5, err_msg=f"{case} {max_rows}")


def order_of_gradients(world: World) -> list[str]:
    """Names of the weights in the order in which their gradients are complete; all rows go to the first rank's experts."""
    width = 16
    layer = MoELayer(MoEConfig(num_experts=8, top_k=2, expert_width=16), d_model=width, expert_group=dist.group.WORLD)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    layer.router.selection_bias[:2] = 9.0
    order = []
    for name, parameter in layer.named_parameters():
        parameter.register_post_accumulate_grad_hook(lambda _, name=name: order.append(name))
    layer(torch.randn(1, 300, width, requires_grad=True))[0].sum().backward()
    return order


def test_gradients_come_in_the_same_order_on_every_rank_whatever_its_load():
    first, second = run_ranks(order_of_gradients, 2)
    assert first == second and len(first) == 5
