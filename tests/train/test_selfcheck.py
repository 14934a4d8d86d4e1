"""The self-check passes what is right on any topology, changes nothing, and names every planted fault on every rank."""

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import torch
import torch.nn.functional as F

import mai1.loss
from mai1.dist import World
from mai1.engine.ds_config import Precision
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.moe.layer import MoELayer
from mai1.model.moe.router import Scores
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.transformer import MoETransformer
from mai1.train import selfcheck_balancing
from mai1.train.selfcheck import self_check
from mai1.train.selfcheck_experts import _digests
from mai1.train.trainer import Trainer
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, tiny_model_config, tiny_trainer, train

BIAS = BalanceConfig(method=BalanceMethod.bias, bias_rate=1e-2)
SEQUENCE, SWITCH, GLOBAL = (
    BalanceConfig(method=method)
    for method in (BalanceMethod.sequence_loss, BalanceMethod.switch_loss, BalanceMethod.global_loss)
)
SOFTMAX = {"scores": Scores.softmax, "num_shared_experts": 0, "scaling_factor": 1.0}


def make_trainer(world: World, **settings) -> Trainer:
    with tempfile.TemporaryDirectory() as folder:
        return tiny_trainer(world, Path(folder), **settings)


def check(trainer: Trainer) -> str:
    return self_check(trainer.engine.model, trainer.objective.balance, end_of_text_id=END_OF_TEXT, world=trainer.world)


def _lines(world: World, settings: list[dict]) -> list[str]:
    return [check(make_trainer(world, **each)) for each in settings]


def test_the_line_says_what_holds_on_one_rank():
    groups = tiny_model_config(moe={"num_groups": 4, "top_groups": 2}, num_dense_layers=0, num_mtp_layers=1)
    settings = [
        {},
        {"balance": SEQUENCE, "precision": Precision.bf16, "recompute": True},
        {"balance": replace(BIAS, bias_rate=0.0), "model": groups},
        {
            "balance": GLOBAL,
            "model": tiny_model_config(moe=SOFTMAX | {"num_experts": 5}),
            "routing": RoutingConfig(jitter=0.1),
        },
        {"balance": SWITCH, "model": tiny_model_config(moe={"num_experts": 1, "top_k": 1})},
    ]
    [lines] = run_ranks(_lines, 1, settings)
    end = "documents isolated"
    expected = [
        rf"dispatch = dense to \de-[78], 8 experts distinct, balancing moves the router, {end}",
        rf"dispatch = dense to \de-3, 8 experts distinct, balancing gradients right, {end}",
        rf"dispatch = dense to \de-[78], 8 experts distinct, balancing off, {end}",
        rf"dispatch = dense to \de-[78], 5 experts distinct, balancing gradients right, {end}",
        rf"dispatch = dense to \de-[78], 1 experts distinct, balancing off, {end}",
    ]
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(rf"self-check: {pattern} \(\d\.\d\d s\)", line), line
        assert float(line[-7:-3]) < 1


@pytest.mark.parametrize("num_ranks", [2, 4])
def test_the_line_says_what_holds_on_several_ranks(num_ranks: int):
    settings = [
        {"expert_parallel": 2},
        {"expert_parallel": 2, "precision": Precision.bf16, "balance": GLOBAL, "microbatch": 1},
        {"balance": SEQUENCE},
        {"expert_parallel": 2, "routing": RoutingConfig(max_rows=16)},
    ]
    of_ranks = run_ranks(_lines, num_ranks, settings)
    for lines in of_ranks:
        ends = f"8 experts distinct on {num_ranks} ranks, .*, documents isolated, replicas equal .*"
        assert re.fullmatch(rf"self-check: expert parallel = local to \de-[78], {ends}", lines[0])
        assert re.fullmatch(rf"self-check: expert parallel = local to \de-3, {ends}", lines[1])
        assert re.fullmatch(rf"self-check: dispatch = dense to \de-[78], {ends}", lines[2])
        assert re.fullmatch(rf"self-check: expert parallel = local to \de-[78], {ends}", lines[3])


def _five_steps(world: World, settings: dict, checked: bool) -> dict:
    trainer = make_trainer(world, **settings)
    model = trainer.engine.model
    before = (torch.get_rng_state(), model.training, _digest(model))
    if checked:
        check(trainer)
    after = (torch.get_rng_state(), model.training, _digest(model))
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.layers[0]._forward_pre_hooks
    return {"figures": train(trainer, 5), "state": trainer.state.tokens_per_expert, "weights": _digest(model)}


def _digest(model: MoETransformer) -> str:
    tensors = model.state_dict().values()
    return hashlib.sha256(b"".join(t.flatten().view(torch.uint8).numpy().tobytes() for t in tensors)).hexdigest()


@pytest.mark.parametrize(
    ("num_ranks", "settings"),
    [
        pytest.param(
            1, {"routing": RoutingConfig(jitter=0.1, capacity_factor=1.0)}, id="one rank, jitter and capacity"
        ),
        pytest.param(
            2,
            {"expert_parallel": 2, "recompute": True, "precision": Precision.bf16},
            id="expert parallel, bf16, recompute",
        ),
        pytest.param(2, {"balance": GLOBAL}, id="data parallel, global loss"),
    ],
)
def test_training_is_bitwise_the_same_with_and_without_it(num_ranks: int, settings: dict):
    assert run_ranks(_five_steps, num_ranks, settings, True) == run_ranks(_five_steps, num_ranks, settings, False)


@contextmanager
def hooked(module: torch.nn.Module, hook: Callable) -> Iterator[None]:
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def changed(tensor: torch.Tensor, value: torch.Tensor) -> Iterator[None]:
    before = tensor.detach().clone()
    tensor.data.copy_(value)
    try:
        yield
    finally:
        tensor.data.copy_(before)


def last_layer(trainer: Trainer) -> MoELayer:
    return trainer.engine.model.moe_layers()[2]


def rows_come_back_to_the_wrong_token(trainer: Trainer):
    return hooked(last_layer(trainer), lambda layer, given, result: (result[0].roll(1, 1), result[1]))


def backward_exchange_is_wrong(trainer: Trainer):
    """The value stays, the gradient doubles."""
    return hooked(last_layer(trainer), lambda layer, given, result: (2 * result[0] - result[0].detach(), result[1]))


def two_experts_of_a_rank_are_equal(trainer: Trainer):
    experts = last_layer(trainer).experts
    stack = torch.cat([experts.gate_up[:1], experts.gate_up[:1], experts.gate_up[2:]])
    both = changed(experts.gate_up, stack), changed(experts.down, experts.down[[0, 0, *range(2, len(experts.down))]])
    return _together(*both)


@contextmanager
def _together(first, second) -> Iterator[None]:
    with first, second:
        yield


def bias_is_rounded_to_bf16(trainer: Trainer):
    router = last_layer(trainer).router
    return mock.patch.dict(router._buffers, selection_bias=router.selection_bias.bfloat16())


def bias_never_moves(trainer: Trainer):
    return mock.patch.object(selfcheck_balancing, "update_selection_bias", lambda router, counts_E, *, rate: None)


def bias_moves_the_wrong_way(trainer: Trainer):
    right = selfcheck_balancing.update_selection_bias
    wrong = lambda router, counts_E, *, rate: right(router, counts_E, rate=-rate)  # noqa: E731
    return mock.patch.object(selfcheck_balancing, "update_selection_bias", wrong)


def bias_is_not_heeded(trainer: Trainer):
    def choose_by_score(router, given, routing):
        return replace(routing, experts_NK=routing.scores_NE.topk(router.top_k).indices)

    return hooked(last_layer(trainer).router, choose_by_score)


def balancing_is_detached(trainer: Trainer):
    router = last_layer(trainer).router
    return hooked(router, lambda module, given, routing: replace(routing, scores_NE=routing.scores_NE.detach()))


def balancing_gradient_is_doubled(trainer: Trainer):
    def double(router, given, routing):
        doubled_NE = routing.scores_NE * 1
        doubled_NE.register_hook(lambda gradient: 2 * gradient)
        return replace(routing, scores_NE=doubled_NE)

    return hooked(last_layer(trainer).router, double)


def balancing_loss_is_doubled(trainer: Trainer):
    right = mai1.loss.balance_loss_sum
    return mock.patch.object(mai1.loss, "balance_loss_sum", lambda *given, **named: 2 * right(*given, **named))


def totals_stay_on_their_rank(trainer: Trainer):
    return mock.patch.object(selfcheck_balancing, "sum_over_ranks", lambda values, world: values)


@contextmanager
def documents_are_not_told_apart(trainer: Trainer) -> Iterator[None]:
    drop = lambda model, given, named: (given, named | {"segments_BT": None})  # noqa: E731
    handle = trainer.engine.model.register_forward_pre_hook(drop, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def attention_looks_ahead(trainer: Trainer):
    right = F.scaled_dot_product_attention
    return mock.patch.object(
        F, "scaled_dot_product_attention", lambda *given, is_causal=False, **named: right(*given, **named)
    )


def _messages(world: World, settings: dict, faults: list[Callable]) -> list[str]:
    """What the self-check says to each planted fault; it passes before and after."""
    trainer = make_trainer(world, **settings)
    messages = []
    for fault in faults:
        check(trainer)
        with fault(trainer), pytest.raises(RuntimeError) as raised:
            check(trainer)
        messages.append(str(raised.value))
    check(trainer)
    return messages


def assert_named(messages: list[str], patterns: list[str]) -> None:
    for message, pattern in zip(messages, patterns, strict=True):
        assert message.startswith("the self-check failed and nothing was trained: ") and "\n" not in message
        assert re.search(pattern, message), message


@pytest.mark.parametrize("precision", [Precision.fp32, Precision.bf16])
def test_a_fault_of_one_rank_is_named(precision: Precision):
    found = {
        rows_come_back_to_the_wrong_token: r"layer 2: its output differs by \d.* of the largest value .* mixes up rows",
        backward_exchange_is_wrong: r"trained: layer 2: its gradient by the input differs by 1.0e\+00 ",
        two_experts_of_a_rank_are_equal: r"layer 2: experts 0 \(rank 0\) and 1 \(rank 0\) have the same weights",
        bias_is_rounded_to_bf16: r"layer 2: selection_bias is torch.bfloat16 and not fp32",
        bias_never_moves: r"layer 1: after a step with all load on expert 0 .* changed by 0.0e\+00 .*layer 2: after",
        bias_moves_the_wrong_way: r"all load on expert 0 its selection_bias changed by 1.7e-02 and .* others by -2.5e-03",
        bias_is_not_heeded: r"trained: layer 2: only \d+ of 31 tokens go to expert \d when its selection_bias is raised by 1000",
        documents_are_not_told_apart: r"depends on a token of the document before \(influence \d",
        attention_looks_ahead: r"trained: a position depends on a later token \(influence \d",
    }
    [messages] = run_ranks(_messages, 1, {"balance": BIAS, "precision": precision}, list(found))
    assert_named(messages, list(found.values()))


@pytest.mark.parametrize("balance", [SEQUENCE, SWITCH, GLOBAL], ids=lambda balance: balance.method.value)
def test_a_fault_of_a_balancing_loss_is_named(balance: BalanceConfig):
    method = rf"balance.method={balance.method.value}"
    found = {
        balancing_is_detached: rf"trained: layer 2: no gradient of {method} reaches router.weight",
        balancing_gradient_is_doubled: rf"trained: layer 2: the gradient of {method} by router.weight along a random",
        balancing_loss_is_doubled: rf"layer 1: the loss of {method} is 2\.\d+ on this rank's share .* gives 1\.\d",
    }
    [messages] = run_ranks(_messages, 1, {"balance": balance}, list(found))
    assert_named(messages, list(found.values()))


def both_ranks_hold_the_same_experts(trainer: Trainer):
    experts, generator = last_layer(trainer).experts, torch.Generator().manual_seed(3)
    fresh = [torch.randn(weight.shape, generator=generator) * 0.05 for weight in (experts.gate_up, experts.down)]
    return _together(changed(experts.gate_up, fresh[0]), changed(experts.down, fresh[1]))


def a_replica_differs_in_one_weight(trainer: Trainer):
    weight = trainer.engine.model.layers[1].attention.query.weight
    value = weight.detach().clone()
    value[5, 7] += 1e-6 * (trainer.world.rank == 1)
    return changed(weight, value)


def a_bias_drifted_apart(trainer: Trainer):
    bias_E = last_layer(trainer).router.selection_bias
    return changed(bias_E, bias_E + 1e-3 * (trainer.world.rank == 1))


def one_rank_mixes_up_rows(trainer: Trainer):
    shift = int(trainer.world.rank == 1)
    return hooked(last_layer(trainer), lambda layer, given, result: (result[0].roll(shift, 1), result[1]))


def test_a_fault_between_two_ranks_is_named_on_both():
    found = {
        both_ranks_hold_the_same_experts: r"trained: layer 2: experts 0 \(rank 0\) and 4 \(rank 1\) have the same weights",
        a_replica_differs_in_one_weight: r"layers.1.attention.query.weight of rank 1 is not that of rank 0",
        a_bias_drifted_apart: r"layers.2.ffn.router.selection_bias of rank 1 is not that of rank 0",
        documents_are_not_told_apart: r"trained: a position depends on a token of the document before",
    }
    first, second = run_ranks(_messages, 2, {"expert_parallel": 2, "balance": BIAS}, list(found))
    assert first == second
    assert_named(first, list(found.values()))


def an_expert_replica_differs(trainer: Trainer):
    weight = last_layer(trainer).experts.down
    value = weight.detach().clone()
    value[1, 3, 4] += 1e-6 * (trainer.world.rank == 3)
    return changed(weight, value)


def test_a_replica_of_an_expert_that_differs_is_named():
    of_ranks = run_ranks(_messages, 4, {"expert_parallel": 2}, [an_expert_replica_differs])
    for [message] in of_ranks:
        assert "layer 2: expert 5 of rank 3 is not that of rank 1, though both are replicas" in message


def _message(world: World, fault: Callable, settings: dict) -> str:
    return _messages(world, settings, [fault])[0]


def test_a_fault_of_one_rank_among_two_ends_both():
    first, second = run_ranks(_message, 2, one_rank_mixes_up_rows, {"expert_parallel": 2})
    assert first == second
    assert re.search(
        r"nothing was trained: rank 1: layer 2: its output differs by .* over expert-parallel ranks", first
    )


def test_a_loss_whose_share_counts_one_rank_only_is_named():
    of_ranks = run_ranks(_message, 2, totals_stay_on_their_rank, {"balance": GLOBAL})
    for message in of_ranks:
        assert re.search(
            r"the loss of balance.method=global_loss is 1\.\d+ on this rank's share .* gives 0\.\d+", message
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (3, 1024), (2, 5000)])
def test_a_changed_sign_or_two_swapped_weights_change_the_digest_of_their_row(
    shape: tuple[int, int], dtype: torch.dtype
):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(shape, generator=generator).to(dtype)
    digests = _digests(rows)
    assert len(set(digests.tolist())) == len(rows)
    assert torch.equal(_digests(torch.cat([rows[:, :1], rows], dim=1)[:, 1:]), digests)  # wherever it lies in memory
    for _ in range(30):
        row, first, second = (int(torch.randint(n, (), generator=generator)) for n in (shape[0], shape[1], shape[1]))
        flipped, swapped = rows.clone(), rows.clone()
        flipped[row, first] *= -1
        swapped[row, [first, second]] = rows[row, [second, first]]
        assert (_digests(flipped) != digests).nonzero().flatten().tolist() == [row]
        assert (_digests(swapped) != digests).nonzero().flatten().tolist() == [row] * bool(swapped.ne(rows).any())
