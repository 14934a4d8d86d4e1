import math

import pytest
import torch

from mai1.data.heldout import HeldoutSource
from mai1.dist import World
from mai1.evaluate import heldout
from mai1.evaluate.heldout import SourceLoss, heldout_losses, mean_loss
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from tests.support.tiny import END_OF_TEXT, ByteRows, tiny_model_config


def make_sources() -> list[HeldoutSource]:
    """Rows of several documents with masks and padding, and an uneven number of them."""
    rows = ByteRows(sequence_length=20, masked=True)
    groups = {"first": [rows.read(i) for i in range(5)], "second": [rows.read(11)]}
    return [
        HeldoutSource(name, group, sum(int(row.loss_mask[1:].sum()) for row in group), bytes_per_token=size)
        for (name, group), size in zip(groups.items(), (3.5, 1.0), strict=True)
    ]


@pytest.fixture(scope="module")
def model() -> MoETransformer:
    model = MoETransformer(tiny_model_config(init_std=0.1))
    initialize(model, seed=9)
    return model


def losses_on(model: MoETransformer, world: World, *, rows_at_once: int = 2) -> dict[str, SourceLoss]:
    return heldout_losses(model, make_sources(), world=world, rows_at_once=rows_at_once, end_of_text_id=END_OF_TEXT)


def a_rank(rank: int, size: int) -> World:
    return World(rank=rank, size=size, local_rank=rank, device=torch.device("cpu"))


@torch.no_grad()
def nats_by_loop(model: MoETransformer, source: HeldoutSource) -> float:
    """Every target on its own, from nothing but its document so far."""
    nats = 0.0
    for row in source.rows:
        for t in range(1, row.num_valid):
            if row.loss_mask[t]:
                start = max([i for i in range(t) if row.ids[i] == END_OF_TEXT], default=0)
                logits_V = model(torch.tensor([row.ids[start:t].tolist()])).logits_BTV[0, -1].double()
                nats -= float(logits_V.log_softmax(-1)[row.ids[t]])
    return nats


@pytest.mark.parametrize("rows_at_once", [1, 2, 8])
def test_the_loss_equals_a_loop_over_tokens(model: MoETransformer, rows_at_once: int):
    found = losses_on(model, a_rank(0, 1), rows_at_once=rows_at_once)
    for source in make_sources()[1 if rows_at_once > 1 else 0 :]:
        loss = found[source.name]
        assert loss.tokens == source.num_tokens > 0
        assert loss.loss * loss.tokens == pytest.approx(nats_by_loop(model, source), rel=1e-5)
        assert loss.bytes == loss.tokens * source.bytes_per_token


def test_shares_of_ranks_add_up_to_the_whole(model: MoETransformer, monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(heldout, "sum_over_ranks", lambda sums, world: seen.append(sums) or [1.0] * len(sums))
    forwards = []
    hook = model.register_forward_hook(lambda *_: forwards.append(len(seen)))
    for world in (a_rank(0, 1), *(a_rank(rank, 3) for rank in range(3))):
        losses_on(model, world)
    hook.remove()
    assert [sum(parts) for parts in zip(*seen[1:], strict=True)] == pytest.approx(seen[0])
    assert (
        forwards.count(1) == forwards.count(2) == forwards.count(3)
    )  # a rank that stopped early would leave others waiting


def test_bits_per_byte_are_nats_over_log_two_and_bytes(model: MoETransformer):
    found = losses_on(model, a_rank(0, 1))
    for loss in found.values():
        assert loss.bits_per_byte == pytest.approx(loss.loss * loss.tokens / math.log(2) / loss.bytes)
    both, (one, other) = mean_loss(found), found.values()
    assert both.loss == pytest.approx((one.loss * one.tokens + other.loss * other.tokens) / (one.tokens + other.tokens))
    assert (both.tokens, both.bytes) == (one.tokens + other.tokens, one.bytes + other.bytes)
    assert both.bits_per_byte == pytest.approx(both.loss * both.tokens / math.log(2) / both.bytes)


@pytest.mark.parametrize("was_training", [True, False])
def test_evaluation_leaves_mode_and_weights_as_they_were(model: MoETransformer, was_training: bool):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train(was_training)
    losses_on(model, a_rank(0, 1))
    assert model.training is was_training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
