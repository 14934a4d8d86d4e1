import math

import pytest
import torch

from mai1.model.moe.balance import load_figures, router_z_sum, sequence_balance_sum, update_selection_bias
from mai1.model.moe.router import Router, Routing, Scores
from tests.model.test_moe import choose_by_sorting, make_layer, random_tokens

VALID_BT = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]]).bool()
"""A whole sequence, a padded one, and one of padding alone."""


@pytest.mark.parametrize("groups", [dict(), dict(num_groups=4, top_groups=2), dict(num_groups=2, top_groups=1)])
@pytest.mark.parametrize("top_k", [1, 2, 4])
def test_choices_equal_sorting_every_token_by_hand(groups: dict, top_k: int):
    layer = make_layer(top_k=top_k, **groups)
    routing = layer.router(random_tokens(200)[0])
    config = type("Shape", (), {"num_experts": 8, "top_k": top_k, "num_groups": 1, "top_groups": 1} | groups)
    biased = (routing.scores_NE + layer.router.selection_bias).tolist()
    assert routing.experts_NK.tolist() == [choose_by_sorting(scores, config) for scores in biased]


def test_routing_is_fp32_whatever_the_models_dtype():
    router = make_layer().router.to(torch.bfloat16)
    x_ND = random_tokens(5)[0].to(torch.bfloat16)
    routing = router(x_ND)
    assert {routing.logits_NE.dtype, routing.scores_NE.dtype, routing.weights_NK.dtype} == {torch.float32}
    torch.testing.assert_close(routing.logits_NE, x_ND.float() @ router.weight.float().T)


def test_an_update_raises_underloaded_experts_lowers_others_and_sums_to_zero():
    router = make_layer().router
    before = router.selection_bias.clone()
    counts_E = torch.tensor([0, 1, 2, 3, 4, 5, 6, 99])
    update_selection_bias(router, counts_E, rate=0.01)
    moved_E = router.selection_bias - before
    assert (moved_E[:7] > 0).all() and moved_E[7] < 0
    torch.testing.assert_close(moved_E[:7] - moved_E[7], torch.full((7,), 0.02))
    assert abs(moved_E.sum()) < 1e-7


def test_updates_even_out_a_skewed_load():
    router = Router(
        2, num_experts=8, top_k=2, scores=Scores.sigmoid, normalize_weights=True, scaling_factor=1.0, num_groups=1, top_groups=1
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    angles_E = torch.arange(8) * (2 * math.pi / 8)
    with torch.no_grad():
        router.weight.copy_(torch.stack((angles_E.cos(), angles_E.sin()), dim=1))

    def tokens() -> torch.Tensor:
        return torch.randn(2000, 2, generator=generator) + torch.tensor([1.0, 0.5])  # most point the same way

    first = load_figures(router(tokens()).tokens_per_expert_E)
    for _ in range(300):
        update_selection_bias(router, router(tokens()).tokens_per_expert_E, rate=3e-3)
    last = load_figures(router(tokens()).tokens_per_expert_E)
    assert first.max_violation > 1.0 and last.max_violation < 0.15
    assert last.entropy > math.log(8) - 0.01 > first.entropy


def balance_by_loop(scores_NE: torch.Tensor, experts_NK: torch.Tensor, valid_BT: torch.Tensor) -> torch.Tensor:
    """DeepSeek-V3 eq. 17-20 of each sequence with alpha = 1, times its tokens."""
    (num_sequences, num_tokens), num_experts, top_k = valid_BT.shape, scores_NE.shape[1], experts_NK.shape[1]
    total = scores_NE.new_zeros(())
    for b in range(num_sequences):
        places = [b * num_tokens + t for t in range(num_tokens) if valid_BT[b, t]]
        for i in range(num_experts if places else 0):
            f_i = num_experts / (top_k * len(places)) * sum(i in experts_NK[n].tolist() for n in places)
            p_i = sum(scores_NE[n, i] / sum(scores_NE[n]) for n in places) / len(places)
            total = total + len(places) * f_i * p_i
    return total


def routing_of(logits_NE: torch.Tensor, scores: Scores) -> Routing:
    scores_NE = logits_NE.softmax(-1) if scores is Scores.softmax else logits_NE.sigmoid()
    return Routing(logits_NE, scores_NE, scores_NE.detach().topk(2).indices, None, None)


@pytest.mark.parametrize("scores", Scores)
def test_the_balancing_loss_equals_its_formula_and_passes_finite_differences(scores: Scores):
    logits_NE = torch.randn(VALID_BT.numel(), 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    routing = routing_of(logits_NE, scores)
    expected = balance_by_loop(routing.scores_NE, routing.experts_NK, VALID_BT)
    torch.testing.assert_close(sequence_balance_sum(routing, VALID_BT), expected)
    assert torch.autograd.gradcheck(
        lambda logits: sequence_balance_sum(
            Routing(logits, routing_of(logits, scores).scores_NE, routing.experts_NK, None, None), VALID_BT
        ),
        logits_NE.requires_grad_(),
    )


def test_an_even_load_has_balancing_loss_one_and_the_worst_has_experts_over_choices():
    even_NK = torch.tensor([[0, 1], [2, 3], [0, 1], [2, 3]])
    for scores_NE, experts_NK, expected in (
        (torch.full((4, 4), 0.5), even_NK, 1.0),
        (torch.tensor([[0.5, 0.5, 0.0, 0.0]] * 4), torch.tensor([[0, 1]] * 4), 4 / 2),
    ):
        routing = Routing(scores_NE, scores_NE, experts_NK, None, None)
        assert sequence_balance_sum(routing, torch.ones(1, 4).bool()).item() == pytest.approx(4 * expected)


def test_the_z_loss_equals_its_formula_and_passes_finite_differences():
    logits_NE = torch.randn(VALID_BT.numel(), 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3
    routing = routing_of(logits_NE, Scores.softmax)
    expected = sum(
        math.log(sum(math.exp(z) for z in row)) ** 2
        for row, is_valid in zip(logits_NE.tolist(), VALID_BT.flatten().tolist(), strict=True)
        if is_valid
    )
    assert router_z_sum(routing, VALID_BT).item() == pytest.approx(expected)
    assert torch.autograd.gradcheck(
        lambda logits: router_z_sum(routing_of(logits, Scores.softmax), VALID_BT), logits_NE.requires_grad_()
    )


def test_load_figures_of_even_uneven_and_empty_counts():
    even, one, none = (load_figures(torch.tensor(counts)) for counts in ([5, 5, 5, 5], [8, 0, 0, 0], [0, 0, 0, 0]))
    assert (even.load, even.max_violation, even.dead_experts) == ([0.25] * 4, 0.0, 0)
    assert even.entropy == pytest.approx(math.log(4))
    assert (one.load, one.entropy, one.max_violation, one.dead_experts) == ([1.0, 0, 0, 0], 0.0, 3.0, 3)
    assert none.load == [0.0] * 4 and none.dead_experts == 4
