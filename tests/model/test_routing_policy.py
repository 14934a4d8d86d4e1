import pytest
import torch

from mai1.model.moe.layer import MoELayer
from mai1.model.moe.router import Router, Routing, Scores, TokenMarks
from mai1.model.moe.routing_policy import (
    Choice,
    RoutingConfig,
    jitter_noise,
    noise_seed,
)
from mai1.model.transformer import MoETransformer
from tests.model.test_moe import WIDTH, make_layer, random_tokens, swiglu
from tests.model.test_transformer import make_model

NUM_EXPERTS, LENGTH = 8, 10
VALID_BT = torch.tensor([[1] * 10, [1] * 4 + [0] * 6, [0] * 10, [1] + [0] * 9]).bool()
"""A whole sequence, a padded one, padding alone, and a single token."""
POLICIES = {
    "capacity": RoutingConfig(capacity_factor=0.75),
    "expert choice": RoutingConfig(choice=Choice.expert),
    "jitter": RoutingConfig(jitter=0.3),
    "forced balance": RoutingConfig(forced_balance=True),
}


def make_marks(*, valid_BT: torch.Tensor = VALID_BT, counted_BT: torch.Tensor | None = None) -> TokenMarks:
    return TokenMarks(valid_BT, valid_BT if counted_BT is None else counted_BT, 100 + torch.arange(len(valid_BT)))


def make_router(policy: RoutingConfig, **options) -> Router:
    router = make_layer(**options).router
    router.policy, router.noise_seed = policy, noise_seed(0, 1)
    return router


def tokens_of(valid_BT: torch.Tensor = VALID_BT, *, seed: int = 0) -> torch.Tensor:
    return random_tokens(valid_BT.numel(), seed=seed)[0]


@pytest.mark.parametrize("top_k", [1, 3, 8])
def test_forced_balance_gives_every_expert_its_turn_with_the_weights_of_its_scores(top_k: int):
    router, valid_BT = make_router(POLICIES["forced balance"], top_k=top_k), torch.ones(3, 16).bool()
    routing = router(tokens_of(valid_BT), make_marks(valid_BT=valid_BT))
    assert routing.tokens_per_expert_BE.tolist() == [[16 * top_k // 8] * 8] * 3
    assert all(len(set(chosen)) == top_k for chosen in routing.experts_NK.tolist())
    scores_NK = routing.scores_NE.gather(1, routing.experts_NK)
    torch.testing.assert_close(routing.weights_NK, scores_NK / scores_NK.sum(1, keepdim=True))


def layer_by_loop(layer: MoELayer, x_ND: torch.Tensor, routing: Routing) -> torch.Tensor:
    """The sum of every choice's expert, weighted; nothing for a choice that is none."""
    rows = []
    for x_D, chosen, weights in zip(x_ND, routing.experts_NK.tolist(), routing.weights_NK, strict=True):
        row = torch.zeros_like(x_D)
        for e, weight in zip(chosen, weights, strict=True):
            if e < NUM_EXPERTS:
                row = row + weight * swiglu(x_D, layer.experts.gate_up[e], layer.experts.down[e])
        rows.append(row)
    return torch.stack(rows)


@pytest.mark.parametrize("name", POLICIES)
def test_the_layer_equals_a_loop_over_choices_forward_and_backward(name: str):
    layer, gradients = make_layer(num_shared_experts=0), []
    layer.router.policy = POLICIES[name]
    for slow in (False, True):
        x_BTD = tokens_of().view(*VALID_BT.shape, WIDTH).requires_grad_()
        y_BTD, routing = layer(x_BTD, make_marks())
        y_ND = layer_by_loop(layer, x_BTD.flatten(0, 1), routing) if slow else y_BTD.flatten(0, 1)
        layer.zero_grad()
        (y_ND * tokens_of(seed=1)).sum().backward()
        gradients.append([y_ND.detach(), x_BTD.grad, *(p.grad.clone() for p in layer.parameters())])
    for fast, slow in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, slow, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("scores", Scores)
def test_gradients_of_the_weights_pass_central_differences(name: str, scores: Scores):
    router = make_router(POLICIES[name], scores=scores, num_shared_experts=0, normalize_weights=True)
    direction = torch.randn(VALID_BT.numel(), NUM_EXPERTS + 1, generator=torch.Generator().manual_seed(1))

    def value(x_ND: torch.Tensor) -> torch.Tensor:
        routing = router(x_ND, make_marks())
        return (routing.weights_NK * direction.gather(1, routing.experts_NK)).sum()

    x_ND, generator = tokens_of().requires_grad_(), torch.Generator().manual_seed(2)
    value(x_ND).backward()
    for tensor in (x_ND, router.weight):
        for _ in range(5):
            step = torch.randn(tensor.shape, generator=generator)
            step = step / step.norm() * 3e-3  # no choice changes on the way
            with torch.no_grad():
                tensor += step
                above = value(x_ND).double()
                tensor -= 2 * step
                below = value(x_ND).double()
                tensor += step
            expected = (tensor.grad * step).sum().item()
            assert (above - below).item() / 2 == pytest.approx(expected, abs=2e-6, rel=2e-2)


@pytest.mark.parametrize("name", POLICIES)
def test_evaluation_is_plain_dropless_token_choice(name: str):
    router, plain, x_ND = make_router(POLICIES[name]), make_router(RoutingConfig()), tokens_of()
    expected, trained = plain(x_ND, make_marks()), router(x_ND, make_marks())
    found = router.eval()(x_ND, make_marks())
    assert torch.equal(found.experts_NK, expected.experts_NK) and torch.equal(found.weights_NK, expected.weights_NK)
    is_same = trained.weights_NK.shape == expected.weights_NK.shape
    assert not is_same or not torch.equal(trained.weights_NK, expected.weights_NK)  # in training the key has an effect


@pytest.mark.parametrize("name", POLICIES)
def test_one_token_and_all_on_one_expert_are_routed_without_nan(name: str):
    for valid_BT in (torch.ones(1, 1).bool(), torch.zeros(1, 1).bool(), torch.ones(2, 20).bool()):
        router = make_router(POLICIES[name], top_k=1)
        router.selection_bias.copy_(torch.tensor([9.0] + [0.0] * 7))
        x_ND = torch.ones(valid_BT.numel(), WIDTH, requires_grad=True)
        routing = router(x_ND, make_marks(valid_BT=valid_BT))
        routing.weights_NK.square().sum().backward()
        assert routing.weights_NK.isfinite().all() and x_ND.grad.isfinite().all()
        assert router.weight.grad.isfinite().all()


def test_jitter_multiplies_the_routers_input_alone():
    layer, x_BTD = make_layer(num_shared_experts=0), random_tokens(20)
    layer.router.policy, marks = RoutingConfig(jitter=0.2), make_marks(valid_BT=torch.ones(1, 20).bool())
    noise_ND = jitter_noise(marks.samples_B, num_positions=20, width=WIDTH, seed=0, amount=0.2)
    y_BTD, routing = layer(x_BTD, marks)
    torch.testing.assert_close(routing.logits_NE, (x_BTD[0] * noise_ND) @ layer.router.weight.T)
    torch.testing.assert_close(y_BTD[0], layer_by_loop(layer, x_BTD[0], routing))


def model_with(policy: RoutingConfig, *, seed: int = 0) -> MoETransformer:
    model = make_model()
    model.set_routing(policy, seed=seed)
    return model


def outcome(model: MoETransformer, *, rows: slice = slice(None)) -> tuple[torch.Tensor, dict[int, Routing]]:
    tokens_BT = torch.randint(256, (3, 12), generator=torch.Generator().manual_seed(0))[rows]
    output = model(tokens_BT, samples_B=torch.arange(50, 53)[rows])
    return output.logits_BTV, output.routings


@pytest.mark.parametrize("name", POLICIES)
def test_a_model_trains_by_its_policy_alike_for_any_split_and_with_recomputation(name: str):
    model, gradients = model_with(POLICIES[name]), []
    logits_BTV, _ = outcome(model)
    parts = [outcome(model, rows=slice(b, b + 1))[0] for b in range(3)]
    torch.testing.assert_close(torch.cat(parts), logits_BTV, atol=2e-5, rtol=1e-5)
    assert not torch.allclose(logits_BTV, outcome(model_with(RoutingConfig()))[0], atol=1e-3)
    for model.recompute in (False, True):
        model.zero_grad()
        outcome(model)[0].square().mean().backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], gradient, atol=0, rtol=0, msg=key)


def test_every_layer_and_seed_has_noise_of_its_own():
    noise_of = [
        [moe.router.noise_seed for moe in model_with(RoutingConfig(), seed=s).moe_layers().values()] for s in (0, 1)
    ]
    assert len({key for keys in noise_of for key in keys}) == 4
    first, again, other = (outcome(model_with(POLICIES["jitter"], seed=s))[0] for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.allclose(first, other, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (dict(capacity_factor=-1.0), "routing.capacity_factor=-1.0 must not be negative or infinite: use 0"),
        (dict(capacity_factor=float("nan")), "routing.capacity_factor=nan must not be negative"),
        (dict(capacity_factor=float("inf")), "routing.capacity_factor=inf must not be negative or infinite"),
        (dict(jitter=1.0), "routing.jitter=1.0 must be at least 0 and below 1: use 0"),
        (dict(jitter=float("nan")), "routing.jitter=nan must be at least 0"),
        (dict(max_rows=-1), "routing.max_rows=-1 must not be negative: use 0"),
        (dict(forced_balance=True, choice=Choice.expert), "use routing.choice=token"),
    ],
)
def test_impossible_policies_are_refused_by_key(options: dict, error: str):
    with pytest.raises(ValueError, match=error):
        RoutingConfig(**options)
