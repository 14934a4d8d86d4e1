import math

import pytest
import torch

from mai1.model.moe.router import Routing, Scores
from mai1.model.moe.routing_policy import Choice, RoutingConfig, expert_capacity, experts_choose, within_capacity
from tests.model.test_routing_policy import NUM_EXPERTS, POLICIES, VALID_BT, make_marks, make_router, tokens_of

COUNTED_BT = VALID_BT & (torch.arange(10) % 3 > 0)


def pairs_of(routing: Routing, *, num_experts: int = NUM_EXPERTS) -> set[tuple[int, int]]:
    """Every (token, expert) that is computed."""
    return {(n, e) for n, row in enumerate(routing.experts_NK.tolist()) for e in row if e < num_experts}


def capacity_by_hand(num_tokens: int, *, top_k: int, factor: float) -> int:
    even = num_tokens * top_k * factor / NUM_EXPERTS
    whole = round(even)
    return min(num_tokens, whole if abs(even - whole) < 1e-9 else math.ceil(even))


def serve_in_order(
    wanted_NK: list[list[int]], valid_BT: torch.Tensor, *, factor: float
) -> tuple[set[tuple[int, int]], list[tuple[int, int]]]:
    """What is kept and what is dropped when each sequence's tokens come one after the other."""
    kept, dropped, length = set(), [], valid_BT.shape[1]
    for b, valid_T in enumerate(valid_BT.tolist()):
        places = [capacity_by_hand(sum(valid_T), top_k=len(wanted_NK[0]), factor=factor)] * NUM_EXPERTS
        for n in [b * length + t for t in range(length) if valid_T[t]]:
            for e in wanted_NK[n]:
                if places[e]:
                    places[e] -= 1
                    kept.add((n, e))
                else:
                    dropped.append((n, e))
    return kept, dropped


@pytest.mark.parametrize("factor", [0.1, 0.5, 1.0, 1.3, 8.0])
@pytest.mark.parametrize("options", [dict(top_k=1), dict(top_k=3), dict(top_k=2, num_groups=4, top_groups=2)])
def test_capacity_serves_tokens_one_after_the_other_and_accounts_for_every_choice(options: dict, factor: float):
    router, x_ND = make_router(RoutingConfig(capacity_factor=factor), **options), tokens_of()
    wanted = router.eval()(x_ND, make_marks(counted_BT=COUNTED_BT))
    routing = router.train()(x_ND, make_marks(counted_BT=COUNTED_BT))
    kept, dropped = serve_in_order(wanted.experts_NK.tolist(), VALID_BT, factor=factor)
    assert pairs_of(routing) == kept
    expected = [sum(e == i and bool(COUNTED_BT.flatten()[n]) for n, e in dropped) for i in range(NUM_EXPERTS)]
    assert routing.dropped_E.tolist() == expected
    assert torch.equal(routing.tokens_per_expert_BE, wanted.tokens_per_expert_BE)  # load is what was wanted
    counted_kept = sum(bool(COUNTED_BT.flatten()[n]) for n, _ in kept)
    assert routing.tokens_per_expert_E.sum() - routing.dropped_E.sum() == counted_kept
    is_kept_NK = routing.experts_NK < NUM_EXPERTS
    assert torch.equal(routing.experts_NK[is_kept_NK], wanted.experts_NK[is_kept_NK])
    assert torch.equal(routing.weights_NK, wanted.weights_NK * is_kept_NK)  # the others' weights stay as they were


def test_ample_capacity_drops_nothing_and_half_of_it_drops_what_exceeds_it():
    all_on_two = torch.tensor([[0, 1]] * 10)
    for factor, kept in ((4.0, 10), (2.0, 5), (0.4, 1)):
        is_kept_NK = within_capacity(all_on_two, VALID_BT[:1], num_experts=NUM_EXPERTS, factor=factor)
        assert is_kept_NK.sum(0).tolist() == [kept, kept] and is_kept_NK[:kept].all()


def test_padding_takes_no_place_wherever_it_stands():
    valid_BT = torch.tensor([[0, 1, 0, 1, 1, 0, 0, 0, 1, 0]]).bool()
    is_kept_NK = within_capacity(torch.zeros(10, 1).long(), valid_BT, num_experts=NUM_EXPERTS, factor=4.0)
    assert is_kept_NK.flatten().nonzero().flatten().tolist() == [1, 3]  # 4 tokens * 4 / 8 experts = 2 places


def test_capacity_never_looks_at_later_tokens():
    router, valid_BT = make_router(POLICIES["capacity"]), torch.ones(1, 40).bool()
    x_ND, later_ND = tokens_of(valid_BT), tokens_of(valid_BT, seed=7)
    one = router(x_ND, make_marks(valid_BT=valid_BT))
    other = router(torch.cat((x_ND[:25], later_ND[25:])), make_marks(valid_BT=valid_BT))
    assert one.dropped_E.sum() > 10
    assert torch.equal(one.experts_NK[:25], other.experts_NK[:25])
    assert not torch.equal(one.experts_NK[25:], other.experts_NK[25:])


@pytest.mark.parametrize(
    ("num_tokens", "factor", "expected"),
    [(40, 1.1, 11), (40, 1.0, 10), (41, 1.0, 11), (1, 0.01, 1), (3, 100.0, 3), (0, 1.0, 0), (10**6, 1.2, 300_000)],
)
def test_a_capacity_that_is_whole_but_for_rounding_stays_whole(num_tokens: int, factor: float, expected: int):
    valid_BT = torch.ones(1, num_tokens).bool()
    assert expert_capacity(valid_BT, top_k=2, num_experts=8, factor=factor).tolist() == [expected]


def take_best(scores_NE: torch.Tensor, valid_BT: torch.Tensor, *, top_k: int, factor: float) -> set[tuple[int, int]]:
    """Every expert sorts the tokens of each sequence and takes the first ones."""
    taken, length = set(), valid_BT.shape[1]
    for b, valid_T in enumerate(valid_BT.tolist()):
        places = [b * length + t for t in range(length) if valid_T[t]]
        capacity = capacity_by_hand(len(places), top_k=top_k, factor=factor)
        for e in range(scores_NE.shape[1]):
            best = sorted(places, key=lambda n, e=e: (-scores_NE[n, e].item(), n))
            taken |= {(n, e) for n in best[:capacity]}
    return taken


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 2.5, 8.0])
@pytest.mark.parametrize(
    "options",
    [
        dict(top_k=2, scores=Scores.softmax, num_shared_experts=0, normalize_weights=False),
        dict(top_k=3, scores=Scores.softmax, num_shared_experts=0, scaling_factor=2.0),
        dict(top_k=1, scaling_factor=1.5),
    ],
)
def test_each_expert_takes_its_best_tokens_of_every_sequence(options: dict, factor: float):
    router, x_ND = make_router(RoutingConfig(choice=Choice.expert, capacity_factor=factor), **options), tokens_of()
    routing = router(x_ND, make_marks(counted_BT=COUNTED_BT))
    taken = take_best(routing.scores_NE, VALID_BT, top_k=options["top_k"], factor=factor or 1.0)
    assert pairs_of(routing) == taken
    per_token = [sum(n == m for m, _ in taken) for n in range(len(x_ND))]
    assert routing.experts_NK.shape[1] == max(per_token)
    scale, normalize = options.get("scaling_factor", 1.0), options.get("normalize_weights", True)
    for n, (chosen, weights) in enumerate(zip(routing.experts_NK.tolist(), routing.weights_NK.tolist(), strict=True)):
        total = sum(routing.scores_NE[n, e].item() for e in chosen if e < NUM_EXPERTS) if normalize else 1.0
        expected = [routing.scores_NE[n, e].item() / total * scale if e < NUM_EXPERTS else 0.0 for e in chosen]
        assert weights == pytest.approx(expected, rel=1e-5)
    counts = [sum(e == i and bool(COUNTED_BT.flatten()[n]) for n, e in taken) for i in range(NUM_EXPERTS)]
    assert routing.tokens_per_expert_E.tolist() == counts and routing.dropped_E.tolist() == [0] * NUM_EXPERTS


def test_expert_choice_loads_every_expert_alike_however_skewed_the_scores():
    router, valid_BT = make_router(RoutingConfig(choice=Choice.expert), top_k=2), torch.ones(2, 16).bool()
    x_ND = tokens_of(valid_BT) + 5.0 * router.weight[0].detach()  # every token likes expert 0
    routing = router(x_ND, make_marks(valid_BT=valid_BT))
    assert routing.tokens_per_expert_BE.tolist() == [[4] * NUM_EXPERTS] * 2
    assert router.eval()(x_ND, make_marks(valid_BT=valid_BT)).tokens_per_expert_E.max() >= 16


def test_of_equal_scores_the_earlier_token_is_taken():
    chosen = experts_choose(torch.full((10, 2), 0.5), VALID_BT[:1], top_k=1, factor=0.4)
    assert chosen.tolist() == [[0, 1]] * 2 + [[2, 2]] * 8


def test_a_token_that_nobody_takes_has_no_expert_and_a_finite_gradient():
    router = make_router(RoutingConfig(choice=Choice.expert, capacity_factor=0.2))
    x_ND = tokens_of().requires_grad_()
    routing = router(x_ND, make_marks())
    nobody_N = (routing.experts_NK == NUM_EXPERTS).all(1)
    assert 0 < nobody_N.sum() < len(x_ND) and routing.weights_NK[nobody_N].abs().sum() == 0
    routing.weights_NK.square().sum().backward()
    assert x_ND.grad.isfinite().all() and router.weight.grad.isfinite().all()
    assert x_ND.grad[nobody_N].abs().sum() == 0
