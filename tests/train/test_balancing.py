"""Balancing has the right scale for any number of ranks, expert parallelism, accumulation and masking."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mai1.data.batch import Batch, collate
from mai1.dist import World
from mai1.engine.ds_config import Precision
from mai1.model.init import initialize
from mai1.model.moe.balance import BalanceConfig, BalanceMethod, Counted
from mai1.model.moe.router import Scores
from mai1.model.moe.routing_policy import Choice, RoutingConfig
from mai1.model.transformer import ModelOutput, MoETransformer
from mai1.optim.adamw import OptimConfig
from mai1.run.build import warn_of_forced_balance
from mai1.run.config import PretrainConfig
from mai1.run.stage import check_stage
from tests.model.test_balance import balance_by_loop
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, ByteRows, tiny_model_config, tiny_trainer, train

LAST_LOAD = [[9, 1, 0, 4, 4, 2, 30, 1], [1, 1, 1, 20, 5, 0, 3, 3]]
"""Of two MoE layers; what the step before is said to have counted."""
ROWS_PER_STEP = 8
TERMS = {
    "switch": BalanceConfig(method=BalanceMethod.switch_loss, loss_weight=0.5, z_loss_weight=0.0),
    "sequence": BalanceConfig(method=BalanceMethod.sequence_loss, loss_weight=0.5, z_loss_weight=0.0),
    "global": BalanceConfig(method=BalanceMethod.global_loss, loss_weight=0.5, z_loss_weight=0.0),
    "global, all tokens": BalanceConfig(
        method=BalanceMethod.global_loss, loss_weight=0.5, z_loss_weight=0.0, counted=Counted.tokens
    ),
    "z": BalanceConfig(method=BalanceMethod.none, z_loss_weight=0.5),
}
TOPOLOGIES = {  # ranks, expert parallelism, accumulation
    "1 rank, 1 microbatch": (1, 1, 1),
    "1 rank, 2 microbatches": (1, 1, 2),
    "1 rank, 4 microbatches": (1, 1, 4),
    "2 ranks, 1 microbatch": (2, 1, 1),
    "2 ranks, 4 microbatches": (2, 1, 4),
    "2 ranks EP 2, 1 microbatch": (2, 2, 1),
    "2 ranks EP 2, 2 microbatches": (2, 2, 2),
    "4 ranks, 1 microbatch": (4, 1, 1),
    "4 ranks EP 2, 1 microbatch": (4, 2, 1),
    "4 ranks EP 2, 2 microbatches": (4, 2, 2),
}


def _router_gradients(world: World, expert_parallel: int, accumulation: int) -> dict[str, list]:
    """The gradient that reaches the optimizer for each router, from each term alone: pieces by (term, name)."""
    found = {}
    for term, balance in TERMS.items():
        optim = OptimConfig(clip_norm=0.0)
        with tempfile.TemporaryDirectory() as folder:
            trainer = tiny_trainer(
                world,
                Path(folder),
                rows=ByteRows(masked=True),
                expert_parallel=expert_parallel,
                microbatch=ROWS_PER_STEP // world.size // accumulation,
                balance=balance,
                optim=optim,
            )
        totals_of = trainer._totals
        trainer._totals = lambda *which, of=totals_of: replace(of(*which), num_targets=1e30)  # no language loss
        trainer.state.tokens_per_expert = LAST_LOAD
        train(trainer, 1)
        for fragment in trainer.engine.fragments():
            if fragment.name.endswith("router.weight"):  # the first moment after one step from zero is a share of it
                gradient = fragment.moments["exp_avg"] / (1 - optim.beta1)
                found.setdefault(f"{term}|{fragment.name}", []).append((fragment.start, gradient.tolist()))
    return found


@cache
def gradients_on(topology: str) -> dict[str, torch.Tensor]:
    """Whole gradients by term and router."""
    num_ranks, expert_parallel, accumulation = TOPOLOGIES[topology]
    whole: dict[str, torch.Tensor] = {}
    for found in run_ranks(_router_gradients, num_ranks, expert_parallel, accumulation):
        for key, pieces in found.items():
            for start, values in pieces:
                whole.setdefault(key, torch.full((8 * 64,), torch.nan))[start : start + len(values)] = torch.tensor(
                    values
                )
    return whole


def read_microbatches(size: int) -> list[Batch]:
    rows = [ByteRows(masked=True).read(sample) for sample in range(ROWS_PER_STEP)]
    return [collate(rows[i : i + size], end_of_text_id=END_OF_TEXT) for i in range(0, ROWS_PER_STEP, size)]


def sum_by_loop(output: ModelOutput, counted_BT: torch.Tensor, balance: BalanceConfig) -> torch.Tensor:
    """A term's sum over layers and counted tokens, one token at a time."""
    total = torch.zeros(())
    for routing, last_load_E in zip(output.routings.values(), LAST_LOAD, strict=True):
        if balance.method is BalanceMethod.none:
            logits = [row for row, counts in zip(routing.logits_NE, counted_BT.flatten(), strict=True) if counts]
            total = total + sum(row.exp().sum().log() ** 2 for row in logits)
        else:
            arguments = (routing.scores_NE, routing.experts_NK, counted_BT)
            total = total + balance_by_loop(*arguments, method=balance.method, last_load_E=last_load_E)
    return total


@cache
def gradients_by_loop(term: str, *, microbatch: int) -> dict[str, torch.Tensor]:
    """One process, no engine: the gradient of the mean over layers and counted tokens of the whole step."""
    model, balance = MoETransformer(tiny_model_config()), TERMS[term]
    initialize(model, seed=1)
    total, num_counted = 0.0, 0
    for batch in read_microbatches(microbatch):
        is_valid_BT = batch.segments_BT >= 0
        counted_BT = is_valid_BT if balance.counted is Counted.tokens else batch.loss_mask_BT.bool()
        output = model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=batch.segments_BT)
        total = total + sum_by_loop(output, counted_BT, balance)
        num_counted += int(counted_BT.sum())
    (0.5 * total / (num_counted * 2)).backward()
    return {name: p.grad.flatten() for name, p in model.named_parameters() if name.endswith("router.weight")}


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_balancing_gradients_reach_every_router_with_the_scale_of_one_process(topology: str, term: str):
    num_ranks, _, accumulation = TOPOLOGIES[topology]
    size = ROWS_PER_STEP // num_ranks // accumulation if term == "switch" else ROWS_PER_STEP
    expected = gradients_by_loop(term, microbatch=size)
    assert len(expected) == 2
    for name, gradient in expected.items():
        found = gradients_on(topology)[f"{term}|{name}"]
        assert gradient.abs().max() > 1e-3
        torch.testing.assert_close(found, gradient, atol=1e-6, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


def _counts_and_biases(world: World, settings: dict, num_steps: int) -> list[dict]:
    """After each step: what this rank's layers counted in it, what the trainer says, and the biases."""
    counts, steps = [], []
    with tempfile.TemporaryDirectory() as folder:
        trainer = tiny_trainer(world, Path(folder), rows=ByteRows(masked=True), **settings)
    layers = list(trainer.engine.model.moe_layers().values())
    for place, layer in enumerate(layers):
        layer.register_forward_hook(lambda *given, at=place: counts.append((at, given[2][1].tokens_per_expert_E)))
    trainer.engine.model.train()
    for step in range(num_steps):
        counts.clear()
        figures, _ = trainer.train_step(step)
        mine = torch.stack([sum(count for at, count in counts if at == place) for place in range(len(layers))])
        biases = torch.stack([layer.router.selection_bias for layer in layers])
        said = figures.tokens_per_expert_LE
        steps.append({"mine": mine, "said": said, "state": trainer.state.tokens_per_expert, "biases": biases})
    return [{name: torch.as_tensor(value).tolist() for name, value in step.items()} for step in steps]


@pytest.mark.parametrize(
    ("num_ranks", "settings"),
    [
        pytest.param(1, {"microbatch": 2}, id="one rank, four microbatches"),
        pytest.param(2, {"expert_parallel": 2, "precision": Precision.bf16}, id="two ranks EP 2, bf16"),
        pytest.param(4, {"microbatch": 1, "precision": Precision.bf16}, id="four ranks, bf16"),
    ],
)
def test_the_bias_moves_once_a_step_in_fp32_by_the_counts_of_the_whole_world(num_ranks: int, settings: dict):
    rate = 3e-3  # no multiple of it is a bf16 number
    balance = BalanceConfig(method=BalanceMethod.bias, bias_rate=rate)
    ranks = run_ranks(_counts_and_biases, num_ranks, settings | {"balance": balance}, 3)
    biases = torch.zeros(2, 8)
    for step in range(3):
        counts = sum(torch.tensor(rank[step]["mine"]) for rank in ranks)
        signs = (counts.double().mean(1, keepdim=True) - counts).sign()
        biases += rate * (signs - signs.mean(1, keepdim=True)).float()
        for rank in ranks:
            assert rank[step]["said"] == rank[step]["state"] == counts.tolist()
            torch.testing.assert_close(torch.tensor(rank[step]["biases"]), biases, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("counted", Counted)
@pytest.mark.parametrize("recompute", [False, True])
def test_load_is_the_targets_or_all_tokens_but_never_padding(counted: Counted, recompute: bool):
    settings = {"balance": BalanceConfig(counted=counted), "recompute": recompute, "expert_parallel": 2}
    [step], _ = run_ranks(_counts_and_biases, 2, settings, 1)
    batches = read_microbatches(ROWS_PER_STEP)
    num_targets = sum(int(batch.loss_mask_BT.sum()) for batch in batches)
    num_tokens = sum(int((batch.segments_BT >= 0).sum()) for batch in batches)
    assert num_targets < num_tokens < ROWS_PER_STEP * 48
    expected = num_tokens if counted is Counted.tokens else num_targets
    assert [sum(layer) for layer in step["said"]] == [expected * 2] * 2  # two choices a token


def _train(world: World, settings: dict) -> list[tuple[float, float]]:
    with tempfile.TemporaryDirectory() as folder:
        return train(tiny_trainer(world, Path(folder), rows=ByteRows(masked=True), **settings), 2)


@pytest.mark.parametrize(
    "routing",
    [
        pytest.param(RoutingConfig(jitter=0.2, capacity_factor=0.8), id="jitter and capacity"),
        pytest.param(RoutingConfig(choice=Choice.expert), id="expert choice"),
        pytest.param(RoutingConfig(forced_balance=True), id="forced balance"),
    ],
)
def test_a_routing_policy_trains_alike_on_any_topology(routing: RoutingConfig):
    balance = BalanceConfig(method=BalanceMethod.none)
    settings = {"routing": routing, "balance": balance}
    [expected] = run_ranks(_train, 1, settings | {"microbatch": 8})
    plain = run_ranks(_train, 1, {"balance": balance})[0]
    assert abs(plain[-1][0] - expected[-1][0]) > 1e-5
    for found in run_ranks(_train, 2, settings | {"expert_parallel": 2, "recompute": True}):
        assert torch.allclose(torch.tensor(found), torch.tensor(expected), atol=1e-5, rtol=0)


def stage_of(*, moe: dict | None = None, routing: dict | None = None, method: BalanceMethod = BalanceMethod.none):
    """As much of a stage as its check looks at."""
    config = PretrainConfig(routing=RoutingConfig(**(routing or {})), balance=BalanceConfig(method=method))
    model_config = tiny_model_config(max_positions=2048, moe=moe or {})
    return SimpleNamespace(config=config, model_config=model_config, data=SimpleNamespace(rows=None))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            dict(
                method=BalanceMethod.bias,
                moe={"scores": Scores.softmax, "num_shared_experts": 0, "scaling_factor": 1.0},
            ),
            "balance.method=bias needs model.moe.scores=sigmoid.*: use balance.method=global_loss or sequence_loss",
        ),
        (
            dict(method=BalanceMethod.bias, routing={"choice": Choice.expert}),
            "balance.method=bias has nothing to even out with routing.choice=expert.*: use balance.method=none",
        ),
        (
            dict(method=BalanceMethod.switch_loss, routing={"forced_balance": True}),
            "balance.method=switch_loss has nothing to even out with routing.forced_balance=true.*balance.method=none",
        ),
        (
            dict(routing={"choice": Choice.expert}, moe={"num_groups": 4, "top_groups": 2}),
            "routing.choice=expert .* model.moe.num_groups=4: use routing.choice=token",
        ),
    ],
)
def test_balancing_that_cannot_work_is_refused_with_its_mend(options: dict, error: str):
    with pytest.raises(ValueError, match=error):
        check_stage(stage_of(**options), world_size=1)


def test_what_can_work_is_let_through():
    for method in BalanceMethod:
        check_stage(stage_of(method=method, routing={"jitter": 0.1, "capacity_factor": 1.25}), world_size=1)
    check_stage(stage_of(routing={"choice": Choice.expert}), world_size=1)
    check_stage(stage_of(routing={"forced_balance": True}), world_size=1)


def test_a_run_with_forced_balance_says_so_loudly(capfd: pytest.CaptureFixture):
    world = World(0, 1, 0, torch.device("cpu"))
    warn_of_forced_balance(RoutingConfig(), world)
    assert capfd.readouterr().err == ""
    warn_of_forced_balance(RoutingConfig(forced_balance=True), world)
    assert "WARNING: routing.forced_balance=true" in capfd.readouterr().err
