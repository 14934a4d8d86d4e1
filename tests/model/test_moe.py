import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from mai1.model.init import initialize
from mai1.model.moe import experts as experts_module
from mai1.model.moe.expert_loop import ExpertLoop
from mai1.model.moe.experts import Experts
from mai1.model.moe.grouping import add_answers, group_by_expert, spread
from mai1.model.moe.layer import MoEConfig, MoELayer
from mai1.model.moe.router import Scores, TokenMarks
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.transformer import MoETransformer
from tests.support.tiny import tiny_model_config

WIDTH = 12
CASES = {
    "softmax": dict(scores=Scores.softmax, normalize_weights=False, num_shared_experts=0),
    "softmax_normalized": dict(scores=Scores.softmax, num_shared_experts=0),
    "sigmoid": dict(normalize_weights=False, num_shared_experts=1),
    "sigmoid_scaled": dict(scaling_factor=2.5, num_shared_experts=2),
    "groups": dict(num_groups=4, top_groups=2, scaling_factor=1.5, num_shared_experts=1),
    "one_choice": dict(top_k=1, num_shared_experts=0),
    "every_expert": dict(top_k=8, num_shared_experts=0),
}


def make_layer(**options) -> MoELayer:
    """A layer with random weights and, where there is one, a selection bias that changes many choices."""
    options = {"num_experts": 8, "top_k": 3, "expert_width": 6} | options
    layer = MoELayer(MoEConfig(**options), d_model=WIDTH, expert_group=None)
    generator = torch.Generator().manual_seed(3)
    for tensor in layer.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
    return layer


def random_tokens(num_tokens: int, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, num_tokens, WIDTH, generator=torch.Generator().manual_seed(seed))


def choose_by_sorting(scores: list[float], config: MoEConfig) -> list[int]:
    """The top_k highest scores among the top_groups groups whose two best scores sum highest."""
    size = config.num_experts // config.num_groups
    groups = [range(first, first + size) for first in range(0, config.num_experts, size)]
    if config.num_groups > 1:
        groups.sort(key=lambda group: -sum(sorted(scores[e] for e in group)[-2:]))
        groups = groups[: config.top_groups]
    return sorted((e for group in groups for e in group), key=lambda e: -scores[e])[: config.top_k]


def swiglu(x_D: torch.Tensor, gate_up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    width = down.shape[1]
    gate, up = gate_up[:width] @ x_D, gate_up[width:] @ x_D
    return down @ (gate / (1 + torch.exp(-gate)) * up)


def moe_by_loop(x_ND: torch.Tensor, weights: dict[str, torch.Tensor], config: MoEConfig) -> torch.Tensor:
    """One token and one choice at a time, from the formulas."""
    rows = []
    for x_D in x_ND:
        logits = weights["router.weight"] @ x_D
        is_softmax = config.scores is Scores.softmax
        scores = logits.exp() / logits.exp().sum() if is_softmax else 1 / (1 + torch.exp(-logits))
        chosen = choose_by_sorting((scores + weights.get("router.selection_bias", 0.0)).tolist(), config)
        share = sum(scores[e] for e in chosen) if config.normalize_weights else 1.0
        row = torch.zeros_like(x_D)
        for e in chosen:
            answer = swiglu(x_D, weights["experts.gate_up"][e], weights["experts.down"][e])
            row = row + scores[e] / share * config.scaling_factor * answer
        if config.num_shared_experts:
            row = row + swiglu(x_D, weights["shared.gate_up.weight"], weights["shared.down.weight"])
        rows.append(row)
    return torch.stack(rows)


@pytest.mark.parametrize("num_tokens", [1, 13])
@pytest.mark.parametrize("case", CASES)
def test_moe_equals_a_loop_over_tokens(case: str, num_tokens: int):
    layer, x_BTD = make_layer(**CASES[case]), random_tokens(num_tokens).requires_grad_()
    config = MoEConfig(**({"num_experts": 8, "top_k": 3, "expert_width": 6} | CASES[case]))
    direction = random_tokens(num_tokens, seed=1)
    y_BTD, _ = layer(x_BTD)
    (y_BTD * direction).sum().backward()

    slow_x = x_BTD.detach()[0].double().requires_grad_()
    slow = {name: tensor.detach().double().requires_grad_() for name, tensor in layer.state_dict().items()}
    slow_y = moe_by_loop(slow_x, slow, config)
    (slow_y * direction[0]).sum().backward()

    torch.testing.assert_close(y_BTD[0].double(), slow_y, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(x_BTD.grad[0].double(), slow_x.grad, atol=1e-6, rtol=1e-5)
    for name, parameter in layer.named_parameters():
        expected = torch.zeros_like(slow[name]) if slow[name].grad is None else slow[name].grad
        torch.testing.assert_close(parameter.grad.double(), expected, atol=2e-6, rtol=1e-5, msg=name)


def test_experts_without_a_token_get_zero_gradients_and_the_only_one_used_gets_all():
    layer, x_BTD = make_layer(top_k=1, num_shared_experts=0), random_tokens(20)
    layer.router.selection_bias.copy_(torch.tensor([0, 0, 0, 9.0, 0, 0, 0, 0]))
    y_BTD, routing = layer(x_BTD)
    y_BTD.square().sum().backward()
    assert routing.tokens_per_expert_E.tolist() == [0, 0, 0, 20, 0, 0, 0, 0]
    for gradient in (layer.experts.gate_up.grad, layer.experts.down.grad):
        used = gradient.abs().amax(dim=(1, 2)) > 0
        assert used.tolist() == [False, False, False, True, False, False, False, False]


@pytest.mark.parametrize("bias_of_first", [0.0, 9.0])
def test_no_token_is_dropped_however_uneven_the_load(bias_of_first: float):
    layer, x_BTD = make_layer(num_shared_experts=0), random_tokens(50)
    layer.router.selection_bias.zero_()[0] = bias_of_first
    routing = layer.router(x_BTD[0])
    grouping = group_by_expert(routing.experts_NK, num_experts=8)
    rows_RD = spread(x_BTD[0], grouping)
    assert len(rows_RD) == grouping.rows_per_expert_E.sum() == routing.tokens_per_expert_E.sum() == 50 * 3
    first = 0
    for expert, count in enumerate(
        grouping.rows_per_expert_E.tolist()
    ):  # each expert gets exactly its own tokens, in order
        mine = x_BTD[0, (routing.experts_NK == expert).any(1)]
        torch.testing.assert_close(rows_RD[first : first + count], mine, atol=0, rtol=0)
        first += count
    assert all(len(set(chosen)) == 3 for chosen in routing.experts_NK.tolist())


def test_padding_is_not_counted_as_load_and_changes_no_other_token():
    layer, x_BTD = make_layer(), random_tokens(9).view(3, 3, WIDTH)
    valid_BT = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 0, 0]]).bool()
    y_BTD, routing = layer(x_BTD, TokenMarks(valid_BT, valid_BT))
    expected = [0] * 8
    for chosen, is_valid in zip(routing.experts_NK.tolist(), valid_BT.flatten().tolist(), strict=True):
        for expert in chosen:
            expected[expert] += is_valid
    assert routing.tokens_per_expert_E.tolist() == expected and sum(expected) == 4 * 3
    torch.testing.assert_close(y_BTD, layer(x_BTD)[0], atol=0, rtol=0)


@pytest.mark.parametrize("normalize", [True, False])
def test_the_selection_bias_changes_choices_but_neither_weights_nor_gradients(normalize: bool):
    router, x_ND = make_layer(normalize_weights=normalize).router, random_tokens(40)[0]
    biased = router(x_ND)
    biased.weights_NK.square().sum().backward()
    gradient, router.weight.grad = router.weight.grad, None

    router.selection_bias.zero_()
    plain = router(x_ND)
    assert (plain.experts_NK.sort().values != biased.experts_NK.sort().values).any(1).float().mean() > 0.3
    weights_NK = plain.scores_NE.gather(1, biased.experts_NK)
    weights_NK = weights_NK / weights_NK.sum(1, keepdim=True) if normalize else weights_NK
    weights_NK.square().sum().backward()
    torch.testing.assert_close(biased.weights_NK, weights_NK)
    torch.testing.assert_close(gradient, router.weight.grad)
    assert not router.selection_bias.requires_grad


CHOICES_NK = torch.tensor([[0, 3], [3, 0], [0, 4], [4, 4], [1, 0], [0, 3], [3, 4]])
"""Of four experts, the third chosen by nobody; 4 is no expert."""


def test_choices_of_no_expert_come_last_and_add_nothing():
    grouping = group_by_expert(CHOICES_NK, num_experts=4)
    assert grouping.rows_per_expert_E.tolist() == [5, 1, 0, 4]
    assert grouping.token_R[:10].tolist() == [0, 1, 2, 4, 5, 4, 0, 1, 5, 6]
    assert grouping.token_R[grouping.row_NK].tolist() == [[n, n] for n in range(7)]
    layer, x_BTD = make_layer(num_experts=4, top_k=2), random_tokens(7)
    y_ND = layer.experts(x_BTD[0], torch.ones(7, 2), grouping, num_rows_is_common=False)
    assert (y_ND[3] == 0).all() and (y_ND[[0, 1, 2, 4, 5, 6]] != 0).any(1).all()


def test_gradients_of_spreading_and_adding_pass_finite_differences():
    generator, grouping = torch.Generator().manual_seed(0), group_by_expert(CHOICES_NK, num_experts=4)
    rows = torch.randn(14, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    tokens = torch.randn(7, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    weights = torch.rand(7, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: spread(x, grouping), tokens)
    assert torch.autograd.gradcheck(lambda x, w: add_answers(x, w, grouping), (rows, weights))


def test_gradients_of_the_expert_loop_pass_finite_differences_also_without_rows():
    generator, grouping = torch.Generator().manual_seed(0), group_by_expert(CHOICES_NK, num_experts=4)
    shapes = ((7, 3), (7, 2), (4, 8, 3), (4, 3, 4))
    inputs = [torch.randn(s, dtype=torch.float64, generator=generator, requires_grad=True) for s in shapes]
    assert torch.autograd.gradcheck(lambda *tensors: ExpertLoop.apply(*tensors, grouping), inputs)


@pytest.mark.parametrize("choices", [CHOICES_NK, CHOICES_NK.clamp(max=3), torch.full((7, 2), 4)])
def test_grouped_products_equal_the_loop_forward_and_backward(choices: torch.Tensor):
    generator = torch.Generator().manual_seed(1)
    experts = Experts(16, width=8, num_local_experts=4, first_expert=0)
    for parameter in experts.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    x_ND = torch.randn(7, 16, generator=generator, requires_grad=True)
    weights_NK = torch.rand(7, 2, generator=generator, requires_grad=True)
    direction = torch.randn(7, 16, generator=generator)
    inputs = [x_ND, weights_NK, *experts.parameters()]
    grouping = group_by_expert(choices, num_experts=4)
    found = []
    for is_grouped in (False, True):
        y_ND = experts(x_ND, weights_NK, grouping, num_rows_is_common=is_grouped)  # few rows: grouped where allowed
        found.append([y_ND, *torch.autograd.grad(y_ND, inputs, direction)])
    for slow, fast in zip(*found, strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("max_rows", [1, 3, 10, 27, 60])
def test_a_cap_computes_experts_in_chunks_and_changes_no_result(max_rows: int):
    results = []
    for cap in (0, max_rows):
        layer, x_BTD, held = make_layer(), random_tokens(20).requires_grad_(), []
        layer.router.policy = RoutingConfig(max_rows=cap)
        layer.experts.register_forward_pre_hook(lambda _, inputs, held=held: held.append(3 * len(inputs[0])))
        y_BTD, _ = layer(x_BTD)
        y_BTD.square().sum().backward()
        results.append([y_BTD.detach(), x_BTD.grad, *(parameter.grad for parameter in layer.parameters())])
        assert max(held) <= (max(cap, 3) if cap else 60)  # a token's three rows stay together
    for uncapped, capped in zip(*results, strict=True):
        torch.testing.assert_close(capped, uncapped, atol=2e-6, rtol=1e-5)


def bf16_model() -> MoETransformer:
    model = MoETransformer(tiny_model_config())
    initialize(model, seed=0)
    model.bfloat16()
    for layer in model.moe_layers().values():
        layer.router.selection_bias = layer.router.selection_bias.float()
    return model


def test_blocks_with_grouped_products_compile_into_one_graph_each_and_change_no_result(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(experts_module, "FEW_ROWS", 10**9)  # the way of GPUs, which a CPU takes for few rows only
    tokens_BT = torch.randint(0, 256, (2, 24), generator=torch.Generator().manual_seed(0))
    results = []
    for is_compiled in (False, True):
        model = bf16_model()
        if is_compiled:
            for block in model.layers:
                block.compile(backend="aot_eager", fullgraph=True)  # a wait for a value would break the graph: refused
        logits_BTV = model(tokens_BT).logits_BTV.float()
        logits_BTV.square().mean().backward()
        results.append([logits_BTV.detach(), *(parameter.grad.float() for parameter in model.parameters())])
    for eager, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, eager, atol=0.02 * eager.abs().max().item(), rtol=0.05)


def test_grouped_products_never_wait_for_a_value(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(experts_module, "FEW_ROWS", 10**9)
    layer = MoELayer(MoEConfig(num_experts=8, top_k=3, expert_width=32), d_model=64, expert_group=None).bfloat16()
    with FakeTensorMode(allow_non_fake_inputs=True):  # tensors without data: reading one back is an error
        x_BTD = torch.empty(2, 50, 64, dtype=torch.bfloat16, requires_grad=True)
        y_BTD, routing = layer(x_BTD)
        (grad_BTD,) = torch.autograd.grad(y_BTD.sum(), x_BTD)
        assert grad_BTD.shape == y_BTD.shape == (2, 50, 64)
        with pytest.raises(DataDependentOutputException):
            routing.tokens_per_expert_E.tolist()
