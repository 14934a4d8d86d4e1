"""The same run with every row cut into slices over ranks: same losses, gradient norms, weights and held-out loss."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
import torch.distributed as dist

from mai1.dist import World
from mai1.evaluate.heldout import heldout_losses
from mai1.model.attention import AttentionKind, QKNorm
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.sequence_parallel import _all_to_all
from mai1.train.selfcheck import self_check
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, ByteRows, tiny_model_config, tiny_trainer, train
from tests.support.topologies import two_sources, weights_here

STEPS = 20
LATENT = {"kind": AttentionKind.latent, "num_kv_heads": 4, "head_dim": 12, "qk_norm": QKNorm.none}
LATENT |= {"kv_rank": 20, "rope_dim": 8, "value_dim": 16}
RUNS = {
    "grouped": {"balance": BalanceConfig(bias_rate=1e-2)},
    "latent": {
        "model": tiny_model_config(attention=LATENT, num_mtp_layers=1),
        "balance": BalanceConfig(method=BalanceMethod.sequence_loss, loss_weight=0.03, z_loss_weight=1e-2),
        "rows": ByteRows(masked=True),
        "routing": RoutingConfig(jitter=0.05),
    },
}
TOPOLOGIES = {
    "two slices, two parts of the rows": ("grouped", {"sequence_parallel": 2}),
    "four slices": ("grouped", {"sequence_parallel": 4}),
    "two slices, experts over the same two ranks": ("grouped", {"sequence_parallel": 2, "expert_parallel": 2}),
    "two slices, experts over all ranks, ZeRO-3": (
        "grouped",
        {"sequence_parallel": 2, "expert_parallel": 4, "zero_stage": 3},
    ),
    "latent, two slices, experts over two ranks": ("latent", {"sequence_parallel": 2, "expert_parallel": 2}),
    "latent, four slices, recomputation": ("latent", {"sequence_parallel": 4, "recompute": True}),
}


def _train(world: World, run: str, topology: dict) -> dict:
    """Figures of every step, held-out loss and weights afterwards; the self-check holds before."""
    settings = {"microbatch": topology.get("sequence_parallel", 1)} | RUNS[run] | topology  # two or more of them a step
    with tempfile.TemporaryDirectory() as folder:
        trainer = tiny_trainer(world, Path(folder), **settings)
        if settings.get("zero_stage") != 3:  # which leaves no weight whole
            self_check(trainer.engine.model, trainer.objective.balance, end_of_text_id=END_OF_TEXT, world=world)
        figures = train(trainer, STEPS)
    weights = weights_here(trainer)
    heldout = heldout_losses(
        trainer.engine.model, two_sources(48), world=world, rows_at_once=2, end_of_text_id=END_OF_TEXT
    )
    losses = [(loss.loss, loss.tokens) for loss in heldout.values()]
    return {"figures": np.array(figures), "heldout": np.array(losses), "weights": weights}


def _train_all(world: World) -> dict[str, dict]:
    return {name: _train(world, run, topology) for name, (run, topology) in TOPOLOGIES.items()}


@pytest.fixture(scope="module")
def one_rank() -> dict[str, dict]:
    return {run: run_ranks(_train, 1, run, {})[0] for run in RUNS}


@pytest.fixture(scope="module")
def of_ranks() -> list[dict]:
    return run_ranks(_train_all, 4, timeout_s=400)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_slices_of_rows_train_as_one_rank(one_rank: dict, of_ranks: list[dict], topology: str):
    expected = one_rank[TOPOLOGIES[topology][0]]
    for found in (of_rank[topology] for of_rank in of_ranks):
        for name in ("figures", "heldout"):
            difference = np.abs(found[name] - expected[name]) / np.maximum(np.abs(expected[name]), 1)
            assert difference.max() < 1e-5, f"{name}: {difference.max(0)}"
        for name, (first, weight) in found["weights"].items():
            whole = expected["weights"][name][1]
            part = whole[first : first + len(weight)] if weight.ndim else whole
            assert np.abs(part - weight).max() < 1e-4, name


def _self_check_with(world: World, exchanges: dict[str, Callable]) -> dict[str, str]:
    """What the self-check says of two slices whose exchange is replaced."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = tiny_trainer(world, Path(folder), sequence_parallel=2, microbatch=4)
    messages = {}
    for fault, exchange in exchanges.items():
        with mock.patch("mai1.model.sequence_parallel._all_to_all", exchange), pytest.raises(RuntimeError) as raised:
            self_check(trainer.engine.model, trainer.objective.balance, end_of_text_id=END_OF_TEXT, world=world)
        messages[fault] = str(raised.value)
    return messages


def nothing_is_exchanged(x_S: torch.Tensor, group: dist.ProcessGroup) -> torch.Tensor:
    return x_S.clone()


def slices_change_places(x_S: torch.Tensor, group: dist.ProcessGroup) -> torch.Tensor:
    return _all_to_all(x_S, group).flip(0)


def test_the_self_check_names_an_exchange_that_mixes_up_positions():
    faults = {"nothing_is_exchanged": nothing_is_exchanged, "slices_change_places": slices_change_places}
    for messages in run_ranks(_self_check_with, 2, faults):
        assert "no token of its document's first half" in messages["nothing_is_exchanged"]
        assert "depends on a later token (influence " in messages["slices_change_places"]
