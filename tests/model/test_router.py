import pytest
import torch

from mai1.model.moe.router import TokenMarks, count_choices
from tests.model.test_moe import choose_by_sorting, make_layer, random_tokens


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


def test_only_marked_tokens_are_counted_in_the_sequence_they_are_in():
    router, counted_BT = make_layer().router, torch.tensor([[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]]).bool()
    routing = router(random_tokens(12)[0], TokenMarks(torch.ones(3, 4).bool(), counted_BT))
    expected = torch.zeros(3, 8, dtype=torch.int64)
    for n, chosen in enumerate(routing.experts_NK.tolist()):
        for expert in chosen:
            expected[n // 4, expert] += counted_BT[n // 4, n % 4]
    assert torch.equal(routing.tokens_per_expert_BE, expected) and expected.sum() == 4 * 3
    assert torch.equal(routing.tokens_per_expert_E, expected.sum(0))
    assert routing.dropped_E.tolist() == [0] * 8 and torch.equal(routing.counted_BT, counted_BT)


def test_a_choice_of_no_expert_is_counted_for_none():
    experts_NK = torch.tensor([[0, 3], [3, 3], [1, 0]])
    assert count_choices(experts_NK, torch.ones(1, 3).bool(), num_experts=3).tolist() == [[2, 1, 0]]
