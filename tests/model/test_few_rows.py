import pytest
import torch

from mai1.model.init import initialize
from mai1.model.layout import lay_out
from mai1.model.moe.experts import Experts
from mai1.model.moe.grouping import group_by_expert
from mai1.model.transformer import MoETransformer
from tests.support.tiny import family_configs, tiny_model_config

NUM_EXPERTS, D, F = 6, 12, 8


def make_experts() -> Experts:
    experts, generator = Experts(D, width=F, num_local_experts=NUM_EXPERTS, first_expert=0), torch.Generator()
    for parameter in experts.parameters():
        torch.nn.init.normal_(parameter, generator=generator.manual_seed(1))
    return experts


def one_token_after_the_other(experts: Experts, x_ND, experts_NK, weights_NK) -> torch.Tensor:
    y_ND = torch.zeros_like(x_ND)
    for n, (chosen, weights) in enumerate(zip(experts_NK.tolist(), weights_NK.tolist(), strict=True)):
        for expert, weight in zip(chosen, weights, strict=True):
            if expert < NUM_EXPERTS:
                gate_F, up_F = (experts.gate_up[expert] @ x_ND[n]).chunk(2)
                y_ND[n] += weight * (experts.down[expert] @ (torch.nn.functional.silu(gate_F) * up_F))
    return y_ND


@pytest.mark.parametrize("num_tokens", [1, 2, 3, 16])
@pytest.mark.parametrize("has_choices_of_none", [False, True])
@torch.no_grad()
def test_a_few_tokens_get_what_a_loop_over_tokens_gives(num_tokens: int, has_choices_of_none: bool):
    experts, generator = make_experts(), torch.Generator().manual_seed(num_tokens)
    x_ND, weights_NK = torch.randn(num_tokens, D, generator=generator), torch.rand(num_tokens, 3, generator=generator)
    experts_NK = torch.rand(num_tokens, NUM_EXPERTS, generator=generator).argsort()[:, :3]
    if has_choices_of_none:
        experts_NK[:, 1] = NUM_EXPERTS
    expected_ND = one_token_after_the_other(experts, x_ND, experts_NK, weights_NK)
    assert experts.answers_few(x_ND)
    grouping = group_by_expert(experts_NK, num_experts=NUM_EXPERTS)
    found_ND = experts(x_ND, weights_NK, grouping, num_rows_is_common=True)
    torch.testing.assert_close(found_ND, expected_ND, atol=1e-5, rtol=1e-5)
    if num_tokens == 1 and not has_choices_of_none:
        found_ND = experts(x_ND, weights_NK, experts_NK, num_rows_is_common=True)
        torch.testing.assert_close(found_ND, expected_ND, atol=1e-5, rtol=1e-5)


def test_with_gradients_the_usual_ways_are_taken():
    experts, x_ND = make_experts(), torch.randn(1, D)
    assert not experts.answers_few(x_ND)
    with torch.no_grad():
        assert experts.answers_few(x_ND)
        experts.lora_scale = 1.0
        assert not experts.answers_few(x_ND)


@pytest.mark.parametrize("family", family_configs())
def test_a_model_that_was_laid_out_is_the_same_model(family: str):
    config = family_configs()[family]
    model, laid_out = MoETransformer(config).eval(), MoETransformer(config).eval()
    for one in (model, laid_out):
        initialize(one, seed=3)
    lay_out(laid_out)
    for (name, one), (other_name, other) in zip(model.named_parameters(), laid_out.named_parameters(), strict=True):
        assert name == other_name and torch.equal(one, other) and other.is_contiguous() and other.data_ptr() % 64 == 0
    tokens_BT = torch.randint(0, 256, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(laid_out(tokens_BT).logits_BTV, model(tokens_BT).logits_BTV)
    laid_out(tokens_BT).logits_BTV.sum().backward()  # it can still learn
    assert laid_out.layers[0].attention.output.weight.grad is not None


@torch.no_grad()
def test_joined_matrices_follow_their_parts_and_are_left_when_the_parts_move():
    model = MoETransformer(tiny_model_config())
    initialize(model, seed=3)
    lay_out(model)
    attention, tokens_BT = model.layers[1].attention, torch.zeros(1, 4, dtype=torch.int64)
    before = model(tokens_BT).logits_BTV
    attention.key.weight.mul_(3.0)
    changed = model(tokens_BT).logits_BTV
    assert attention._is_joined and not torch.allclose(before, changed)
    for projection in (attention.query, attention.key, attention.value):
        projection.weight.data = projection.weight.data.clone()
    assert not attention._is_joined
    torch.testing.assert_close(model(tokens_BT).logits_BTV, changed)
