"""The same run with the layers divided into stages: same losses, gradient norms, weights, records and held-out loss."""

import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mai1.data.batch import Batch
from mai1.dist import World
from mai1.engine.ds_config import Precision
from mai1.evaluate.heldout import heldout_losses
from mai1.model.attention import AttentionKind, QKNorm
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.optim.config import Method, OptimConfig
from mai1.train.alarms import AlarmConfig
from mai1.train.metrics import MetricsLog, WandbConfig
from mai1.train.selfcheck import self_check
from mai1.train.step_log import StepLog
from mai1.train.trainer import Trainer
from mai1.watch.replicas import check_replicas
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, ByteRows, tiny_model_config, tiny_trainer, train
from tests.support.topologies import two_sources, weights_here

STEPS = 20
OPTIM = OptimConfig(learning_rate=1e-3, warmup_steps=3, clip_norm=0.5)
SHORT_ROWS = ByteRows(sequence_length=24)
LONGER = 32
"""Tokens of held-out rows: others than the training rows have."""
LATENT = {"kind": AttentionKind.latent, "num_kv_heads": 4, "head_dim": 12, "qk_norm": QKNorm.none}
LATENT |= {"kv_rank": 20, "rope_dim": 8, "value_dim": 16}
FIVE_LAYERS = tiny_model_config(num_layers=5)
RUNS = {
    "muon": {"model": FIVE_LAYERS, "rows": SHORT_ROWS, "optim": replace(OPTIM, method=Method.muon)},
    "losses": {
        "model": tiny_model_config(num_layers=5, attention=LATENT),
        "balance": BalanceConfig(method=BalanceMethod.sequence_loss, loss_weight=0.03, z_loss_weight=1e-2),
        "rows": ByteRows(sequence_length=24, masked=True),
        "routing": RoutingConfig(jitter=0.05),
    },
    "global": {
        "model": FIVE_LAYERS,
        "rows": SHORT_ROWS,
        "balance": BalanceConfig(method=BalanceMethod.global_loss, loss_weight=0.03),
    },
}
TOPOLOGIES = {
    "two stages of two ranks": ("muon", {"pipeline_parallel": 2, "microbatch": 1}),
    "more stages than microbatches": ("muon", {"pipeline_parallel": 4, "microbatch": 4}),
    "two stages, experts over two ranks": ("losses", {"pipeline_parallel": 2, "expert_parallel": 2, "microbatch": 1}),
    "two stages of two slices of rows": ("losses", {"pipeline_parallel": 2, "sequence_parallel": 2}),
    "four stages, recomputation": ("losses", {"pipeline_parallel": 4, "recompute": True}),
    "four stages, the load of the step before, state on the CPU": (
        "global",
        {"pipeline_parallel": 4, "offload_optimizer": True},
    ),
}


def _train(world: World, run: str, topology: dict) -> dict:
    """Figures of every step, held-out loss and weights afterwards; the self-check holds before."""
    num_stages = topology.get("pipeline_parallel", 1)
    with tempfile.TemporaryDirectory() as folder:
        trainer = tiny_trainer(world, Path(folder), **{"optim": OPTIM, "zero_stage": 1} | RUNS[run] | topology)
        said = self_check(
            trainer.engine.model,
            trainer.objective.balance,
            end_of_text_id=END_OF_TEXT,
            world=world,
            num_stages=num_stages,
        )
        assert "documents isolated" in said
        figures = train(trainer, STEPS)
    return {
        "figures": np.array(figures),
        "heldout": _heldout_losses(trainer),
        "weights": weights_here(trainer),
        "load": np.array(trainer.state.tokens_per_expert),
    }


def _heldout_losses(trainer: Trainer) -> np.ndarray:
    engine = trainer.engine
    found = heldout_losses(
        engine.model, two_sources(LONGER), world=trainer.world, rows_at_once=2, end_of_text_id=END_OF_TEXT,
        num_stages=engine.place.num_stages, run=engine.eval_batch,
    )  # fmt: skip
    return np.array([(loss.loss, loss.tokens) for loss in found.values()])


def _train_all(world: World) -> dict[str, dict]:
    return {name: _train(world, run, topology) for name, (run, topology) in TOPOLOGIES.items()}


@pytest.fixture(scope="module")
def one_rank() -> dict[str, dict]:
    return {run: run_ranks(_train, 1, run, {})[0] for run in RUNS}


@pytest.fixture(scope="module")
def of_ranks() -> list[dict]:
    return run_ranks(_train_all, 4, timeout_s=400)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_stages_train_as_one_rank(one_rank: dict, of_ranks: list[dict], topology: str):
    expected, names = one_rank[TOPOLOGIES[topology][0]], set()
    for found in (of_rank[topology] for of_rank in of_ranks):
        for key in ("figures", "heldout", "load"):
            difference = np.abs(found[key] - expected[key]) / np.maximum(np.abs(expected[key]), 1)
            assert difference.max() < 1e-5, f"{key}: {difference.max(0)}"
        for name, (first, weight) in found["weights"].items():
            whole = expected["weights"][name][1]
            part = whole[first : first + len(weight)] if weight.ndim else whole
            assert np.abs(part - weight).max() < 1e-4, name
        names |= found["weights"].keys()
    assert names == expected["weights"].keys()


BF16 = {"precision": Precision.bf16, "model": FIVE_LAYERS, "rows": SHORT_ROWS, "optim": OPTIM}


def _state(trainer: Trainer) -> list[torch.Tensor]:
    engine = trainer.engine
    parts = [[f.master.clone(), *(f.moments[key].clone() for key in sorted(f.moments))] for f in engine.fragments()]
    return [tensor.clone() for _, tensor in engine.weights()] + [tensor for part in parts for tensor in part]


def _train_in_bf16(world: World, topology: dict) -> dict:
    """Figures of eight steps, what a refused step and one that is not finite moved, and how far weights are from masters."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = tiny_trainer(world, Path(folder), **BF16, **topology)
        figures, asked = np.array(train(trainer, 8)), []
        engine, before = trainer.engine, _state(trainer)

        def step(factor: float, verdict: bool) -> bool:
            """One step in which the first stage's activations, or on one stage the loss, are multiplied."""

            def compute(batch: Batch, x_BTD: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
                output = engine.model(batch.tokens_BT, x_BTD=x_BTD)
                return output.hidden_BTD * (factor if engine.place.stage == 0 else 1), output.hidden_BTD.square().mean()

            def accept(grad_norm: float) -> bool:
                asked.append(grad_norm)
                return verdict and math.isfinite(grad_norm)

            batches = trainer.loader.microbatches(0)
            return engine.train_batch(batches, compute, learning_rate=1e-3, accept=accept).is_applied

        applied = [step(1.0, verdict=False), step(math.nan, verdict=True)]
        is_unmoved = all(torch.equal(old, new) for old, new in zip(before, _state(trainer), strict=True))
        applied.append(step(1.0, verdict=True))
    masters = {f.name: (f.start, f.master) for f in engine.fragments()}
    rounding = max(
        (weight.flatten()[start : start + len(master)] - master.bfloat16()).abs().max().item()
        for name, weight in engine.weights()
        if name in masters
        for start, master in [masters[name]]
    )
    moved = not all(torch.equal(old, new) for old, new in zip(before, _state(trainer), strict=True))
    return {
        "figures": figures, "asked": asked, "applied": applied, "is_unmoved": is_unmoved, "moved": moved,
        "rounding": rounding,
    }  # fmt: skip


@pytest.fixture(scope="module")
def in_bf16() -> list[dict]:
    return run_ranks(
        _train_in_bf16, 4, {"zero_stage": 1, "pipeline_parallel": 2, "expert_parallel": 2, "microbatch": 1}
    )


def test_stages_train_in_bf16_as_one_rank(in_bf16: list[dict]):
    [expected] = run_ranks(_train_in_bf16, 1, {})
    for found in in_bf16:
        difference = np.abs(found["figures"] - expected["figures"]) / expected["figures"]
        # a rounding is 4e-3, and CPUs with products in bf16 round elsewhere: 1e-3 to 6e-3 of the norm were seen
        assert (difference.max(0) < [1e-3, 2e-2]).all(), difference.max(0)
        assert found["rounding"] == 0, "weights are not the masters, rounded"


def test_all_stages_refuse_a_step_alike(in_bf16: list[dict]):
    for found in in_bf16:
        assert found["applied"] == [False, False, True] and found["is_unmoved"] and found["moved"]
        assert len(found["asked"]) == 3 and found["asked"][0] == in_bf16[0]["asked"][0] > 0
        assert not math.isfinite(found["asked"][1])


def _fit(world: World, folder: str, topology: dict) -> None:
    """Four steps with a record every second one, and held-out losses."""
    model = {"model": FIVE_LAYERS, "rows": ByteRows(sequence_length=24, masked=True), "optim": OPTIM}
    trainer = tiny_trainer(world, Path(folder), steps=4, expert_parallel=2, microbatch=1, **model, **topology)
    trainer.config.log_every, trainer.evaluation.heldout, trainer.save = 2, two_sources(LONGER), trainer.drift.restart
    if world.is_main:
        trainer.log = StepLog(
            MetricsLog(Path(folder), from_step=0, wandb=WandbConfig(), run_name="r", config={}),
            FIVE_LAYERS.moe_layers,
            alarms=AlarmConfig(),
            source_names=trainer.loader.rows.source_names,
            expert_parallel=2,
        )
    trainer.fit()
    check_replicas(trainer._replicas(), world, step=4)


def test_records_of_all_stages_are_those_of_one(tmp_path: Path):
    records = []
    for num_ranks, topology in ((2, {}), (4, {"zero_stage": 1, "pipeline_parallel": 2})):
        folder = tmp_path / str(num_ranks)
        run_ranks(_fit, num_ranks, str(folder), topology)
        records.append([json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()])
    assert len(records[0]) == len(records[1]) == 4
    for one, staged in zip(*records, strict=True):
        different = {"tokens_per_s", "mfu", "seconds"}
        assert _rounded(one, different) == _rounded(staged, different)
    assert list(records[1][2]["layers"]) == ["1", "2", "3", "4"]


def _rounded(value: object, left_out: set[str]) -> object:
    """Figures to four digits."""
    if isinstance(value, dict):
        return {key: _rounded(entry, left_out) for key, entry in value.items() if key not in left_out}
    if isinstance(value, list):
        return [_rounded(entry, left_out) for entry in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
