import math

import pytest
import torch

from mai1.model.moe.balance import BalanceMethod, balance_loss_sum, router_z_sum, update_selection_bias
from mai1.model.moe.router import Router, Routing, Scores
from mai1.train.expert_figures import load_figures
from tests.model.test_moe import make_layer

COUNTED_BT = torch.tensor([[1, 1, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]]).bool()
"""A whole sequence, a masked one, and one of which nothing counts."""
NUM_EXPERTS = 5
LAST_LOAD_E = [7, 0, 2, 11, 1]
LOSSES = [BalanceMethod.switch_loss, BalanceMethod.sequence_loss, BalanceMethod.global_loss]


def make_routing(
    logits_NE: torch.Tensor, *, counted_BT: torch.Tensor = COUNTED_BT, scores: Scores = Scores.softmax, top_k: int = 2
) -> Routing:
    """Top-k routing of given logits, counted by hand."""
    scores_NE = logits_NE.softmax(-1) if scores is Scores.softmax else logits_NE.sigmoid()
    experts_NK = scores_NE.detach().topk(top_k).indices
    counts_BE = torch.zeros(len(counted_BT), logits_NE.shape[1], dtype=torch.int64)
    for n, chosen in enumerate(experts_NK.tolist()):
        for expert in chosen:
            counts_BE[n // counted_BT.shape[1], expert] += counted_BT.flatten()[n]
    weights_NK = scores_NE.gather(1, experts_NK)
    return Routing(logits_NE, scores_NE, experts_NK, weights_NK, counted_BT, counts_BE, torch.zeros_like(counts_BE[0]))


def random_logits(*, seed: int = 0, num_tokens: int = COUNTED_BT.numel()) -> torch.Tensor:
    return torch.randn(num_tokens, NUM_EXPERTS, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def balance_by_loop(
    scores_NE: torch.Tensor,
    experts_NK: torch.Tensor,
    counted_BT: torch.Tensor,
    *,
    method: BalanceMethod,
    last_load_E: list[int] | None = None,
) -> torch.Tensor:
    """`E * sum_e f_e * p_e` of every counted token, with f_e counted over the tokens that the method says."""
    num_experts, places = scores_NE.shape[1], [n for n, c in enumerate(counted_BT.flatten().tolist()) if c]
    sequence_of = {n: n // counted_BT.shape[1] for n in places}
    scopes = [[n for n in places if sequence_of[n] == b] for b in range(len(counted_BT))]
    total = scores_NE.new_zeros(())
    for scope in [places] if method is BalanceMethod.switch_loss else scopes:
        choices = [e for n in scope for e in experts_NK[n].tolist()]
        f_E = [choices.count(e) / len(choices) for e in range(num_experts)] if choices else []
        if method is BalanceMethod.global_loss:
            f_E = [load / sum(last_load_E) for load in last_load_E]
        for n in scope:
            for e in range(num_experts):
                total = total + num_experts * f_E[e] * scores_NE[n, e] / scores_NE[n].sum()
    return total


def loss_of(routing: Routing, method: BalanceMethod, last_load_E: list[int] | None = LAST_LOAD_E) -> torch.Tensor:
    last_load_LE = None if last_load_E is None else torch.tensor([last_load_E])
    return balance_loss_sum({1: routing}, method=method, last_load_LE=last_load_LE)


@pytest.mark.parametrize("scores", Scores)
@pytest.mark.parametrize("method", LOSSES)
def test_every_balancing_loss_equals_its_formula_and_passes_finite_differences(method: BalanceMethod, scores: Scores):
    logits_NE = random_logits()
    routing = make_routing(logits_NE, scores=scores)
    expected = balance_by_loop(
        routing.scores_NE, routing.experts_NK, COUNTED_BT, method=method, last_load_E=LAST_LOAD_E
    )
    torch.testing.assert_close(loss_of(routing, method), expected)
    assert torch.autograd.gradcheck(
        lambda logits: loss_of(make_routing(logits, scores=scores), method), logits_NE.requires_grad_()
    )


@pytest.mark.parametrize("method", LOSSES)
def test_layers_add_up_each_with_its_own_load(method: BalanceMethod):
    one, other = make_routing(random_logits(seed=1)), make_routing(random_logits(seed=2))
    loads = [LAST_LOAD_E, LAST_LOAD_E[::-1]]
    both = balance_loss_sum({1: one, 4: other}, method=method, last_load_LE=torch.tensor(loads))
    torch.testing.assert_close(both, loss_of(one, method, loads[0]) + loss_of(other, method, loads[1]))


@pytest.mark.parametrize("method", LOSSES)
def test_an_even_load_has_balancing_loss_one_and_the_worst_has_experts_over_choices(method: BalanceMethod):
    even_NE = torch.tensor([[9.0, 8, 0, 0], [0, 0, 9, 8]] * 2).log_softmax(-1)
    even = make_routing(even_NE, counted_BT=torch.ones(2, 2).bool())
    worst = make_routing(torch.tensor([[99.0, 99, 0, 0]] * 4), counted_BT=torch.ones(2, 2).bool())
    assert loss_of(even, method, [3, 3, 3, 3]).item() == pytest.approx(4 * 1.0)
    assert loss_of(worst, method, [8, 8, 0, 0]).item() == pytest.approx(4 * 4 / 2)


def test_the_losses_differ_in_where_they_want_evenness():
    """Each sequence on experts of its own: even over the microbatch, uneven in every sequence."""
    logits_NE = torch.tensor([[99.0, 99, 0, 0]] * 3 + [[0, 0, 99.0, 99]] * 3)
    routing = make_routing(logits_NE, counted_BT=torch.ones(2, 3).bool())
    assert loss_of(routing, BalanceMethod.switch_loss).item() == pytest.approx(6 * 1.0)
    assert loss_of(routing, BalanceMethod.sequence_loss).item() == pytest.approx(6 * 2.0)
    assert loss_of(routing, BalanceMethod.global_loss, [1, 0, 0, 0]).item() == pytest.approx(6 * 1.0)
    assert loss_of(routing, BalanceMethod.global_loss, None).item() == pytest.approx(6 * 1.0)  # the first step


def test_a_gradient_step_on_each_loss_takes_score_from_the_busiest_expert():
    for method in LOSSES:
        logits_NE = (torch.zeros(8, 4) + torch.tensor([2.0, 1.0, 0.0, -1.0])).requires_grad_()
        routing = make_routing(logits_NE, counted_BT=torch.ones(2, 4).bool(), top_k=1)
        loss_of(routing, method, [8, 0, 0, 0]).backward()
        assert (logits_NE.grad[:, 0] > 0).all() and (logits_NE.grad[:, 1:] < 0).all(), method


@pytest.mark.parametrize("counted", [[[0, 0], [0, 0]], [[0, 1], [0, 0]], [[1, 1], [1, 1]]])
@pytest.mark.parametrize("method", LOSSES)
def test_none_one_and_all_tokens_on_one_expert_make_finite_losses_and_gradients(method, counted):
    logits_NE = torch.tensor([[200.0, -200.0, -200.0]] * 4, requires_grad=True)
    counted_BT = torch.tensor(counted).bool()
    for scores in Scores:
        routing = make_routing(logits_NE, counted_BT=counted_BT, scores=scores, top_k=1)
        loss = loss_of(routing, method, [0, 0, 0])
        (gradient,) = torch.autograd.grad(loss + router_z_sum(routing), logits_NE)
        assert loss.isfinite() and gradient.isfinite().all()
        assert (loss == 0) == (not counted_BT.any() or method is BalanceMethod.global_loss)
        assert gradient[~counted_BT.flatten()].abs().sum() == 0


@pytest.mark.parametrize("method", [BalanceMethod.bias, BalanceMethod.none])
def test_methods_without_a_loss_have_none(method: BalanceMethod):
    loss = loss_of(make_routing(random_logits().requires_grad_()), method)
    assert loss.item() == 0 and not loss.requires_grad


def test_the_z_loss_equals_its_formula_and_passes_finite_differences():
    logits_NE = random_logits() * 3
    expected = sum(
        math.log(sum(math.exp(z) for z in row)) ** 2
        for row, counts in zip(logits_NE.tolist(), COUNTED_BT.flatten().tolist(), strict=True)
        if counts
    )
    assert router_z_sum(make_routing(logits_NE)).item() == pytest.approx(expected)
    assert torch.autograd.gradcheck(lambda logits: router_z_sum(make_routing(logits)), logits_NE.requires_grad_())


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
