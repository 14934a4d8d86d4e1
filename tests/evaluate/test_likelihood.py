import pytest
import torch

from mai1.dist import World
from mai1.engine.experts import expert_parallel_group
from mai1.evaluate.batches import plan_turns
from mai1.evaluate.likelihood import Likelihood, SharedModel, log_likelihoods
from mai1.evaluate.requests import Request
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from tests.support.checkpoints import ALONE
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, family_configs, tiny_model_config


def make_model(**changes) -> MoETransformer:
    model = MoETransformer(tiny_model_config(init_std=0.1, max_positions=64) if not changes else changes["config"])
    initialize(model, seed=9)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> MoETransformer:
    return make_model()


def make_requests() -> list[Request]:
    """Questions with several answers of any lengths, repeated ones, contexts that are too long, single answers."""
    generator = torch.Generator().manual_seed(3)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(0, 256, (count,), generator=generator).tolist())

    requests = []
    for length, answers in ((5, (1, 1, 1)), (9, (3, 1, 7, 2)), (1, (4,)), (60, (6, 2)), (80, (3, 9)), (5, (12,))):
        context = ids(length)
        requests += [Request(context, ids(count)) for count in answers]
    return [*requests, requests[4], requests[0]]


@torch.no_grad()
def by_loop(model: MoETransformer, request: Request, max_length: int = 64) -> Likelihood:
    """One id after the other, from nothing but what stands before it."""
    ids, total, is_greedy = [*request.context, *request.continuation], 0.0, True
    ids = ids[-(max_length + 1) :]
    for place in range(len(ids) - len(request.continuation), len(ids)):
        logits_V = model(torch.tensor([ids[:place]])).logits_BTV[0, -1].double()
        total += float(logits_V.log_softmax(-1)[ids[place]])
        is_greedy &= int(logits_V.argmax()) == ids[place]
    return Likelihood(total, is_greedy)


def assert_alike(found: list[Likelihood], expected: list[Likelihood], *, within: float = 1e-4) -> None:
    assert [each.is_greedy for each in found] == [each.is_greedy for each in expected]
    assert [each.log_likelihood for each in found] == pytest.approx(
        [each.log_likelihood for each in expected], abs=within
    )


def shared(model: MoETransformer, world: World = ALONE, **settings) -> SharedModel:
    return SharedModel(model=model, world=world, pad_id=END_OF_TEXT, **settings)


@pytest.mark.parametrize("tokens_at_once", [1, 40, 4096])
def test_every_likelihood_equals_a_loop_over_ids(model: MoETransformer, tokens_at_once: int):
    requests = make_requests()
    found = log_likelihoods(shared(model, tokens_at_once=tokens_at_once), requests)
    assert_alike(found, [by_loop(model, request) for request in requests])


def test_greedy_continuations_are_known_as_such(model: MoETransformer):
    ids = [1, 2, 3]
    for _ in range(4):
        ids.append(int(model(torch.tensor([ids])).logits_BTV[0, -1].argmax()))
    best, other = Request((1, 2, 3), tuple(ids[3:])), Request((1, 2, 3), (*ids[3:6], ids[6] + 1))
    assert [each.is_greedy for each in log_likelihoods(shared(model), [other, best, best])] == [False, True, True]


@pytest.mark.parametrize("name", ["deepseek_v3", "olmoe", "glm4_moe_mtp"])
def test_every_family_goes_on_from_its_cache(name: str):
    model, requests = make_model(config=family_configs()[name]), make_requests()[:9]
    found = log_likelihoods(shared(model), requests)
    assert_alike(found, [by_loop(model, request, max_length=256) for request in requests])


def test_a_context_is_computed_once_for_all_its_continuations(model: MoETransformer):
    context = tuple(range(50))
    requests = [Request(context, (i, i + 1, i + 2)) for i in range(8)]
    once = shared(model)
    log_likelihoods(once, requests)
    assert once.seen_tokens == 50 + 2 + 7 * 2
    letters = shared(model)
    log_likelihoods(letters, [Request(context, (i,)) for i in range(8)])
    assert letters.seen_tokens == 50


def test_the_order_of_requests_and_repeats_change_nothing(model: MoETransformer):
    requests = make_requests()
    straight = log_likelihoods(shared(model), requests)
    assert log_likelihoods(shared(model), requests[::-1]) == straight[::-1]
    assert straight[-2:] == [straight[4], straight[0]]


def test_a_turn_has_as_many_positions_as_allowed():
    turns = plan_turns(make_requests(), tokens_at_once=40, shares_contexts=True)
    for turn in turns:
        rows = turn.first_rows()
        assert len(turn.groups) == 1 or len(rows.rows) * rows.length <= 40
    assert sum(len(group.continuations) for turn in turns for group in turn.groups) == len(make_requests())


def test_a_continuation_longer_than_the_model_is_refused(model: MoETransformer):
    with pytest.raises(ValueError, match="a continuation of 65 tokens must have at most max_length=64"):
        log_likelihoods(shared(model), [Request((1,), tuple(range(65)))])
    with pytest.raises(ValueError, match="max_length=65 must be from 1 to the 64 positions"):
        shared(model, max_length=65)


def test_evaluation_leaves_the_mode_as_it_was(model: MoETransformer):
    model.train()
    log_likelihoods(shared(model), make_requests()[:2])
    assert model.training
    model.eval()


def _on_ranks(world: World, kind: str) -> list[tuple[float, bool]]:
    config = tiny_model_config(init_std=0.1, max_positions=64)
    groups = {}
    if kind == "experts":
        groups["expert_group"] = expert_parallel_group(2)
    if kind == "sequence":
        groups["sequence_group"] = torch.distributed.new_group(range(world.size))
    model = MoETransformer(config, **groups)
    initialize(model, seed=9)
    found = log_likelihoods(shared(model, world, tokens_at_once=40), make_requests())
    return [(each.log_likelihood, each.is_greedy) for each in found]


@pytest.mark.parametrize("kind", ["rows", "experts", "sequence"])
def test_two_ranks_equal_one(model: MoETransformer, kind: str):
    """As many batches as do not divide evenly, so that one rank ends with padding."""
    expected = log_likelihoods(shared(model, tokens_at_once=40), make_requests())
    for found in run_ranks(_on_ranks, 2, kind):
        assert_alike([Likelihood(*each) for each in found], expected)
