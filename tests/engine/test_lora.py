"""Adapters on any number of ranks, spread in any supported way: the same losses and factors, and a base that never moves."""

import tempfile
from pathlib import Path

import pytest
import torch

from mai1.checkpoint.names import local_tensors
from mai1.engine.ds_config import Precision
from mai1.model.lora import LoraConfig, LoraTarget, WholePart, is_factor
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.run.adapters import training_flops
from tests.checkpoint.test_resume import logical
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train
from tests.support.topologies import accumulating, supported

ALL = LoraConfig(rank=8, alpha=16.0, targets=list(LoraTarget))
NO_EXPERTS = LoraConfig(rank=4, targets=[LoraTarget.attention], trained_whole=[WholePart.norms])
PARTLY = LoraConfig(rank=4, targets=[LoraTarget.experts], trained_whole=[WholePart.router, WholePart.embeddings])
NOTHING_ELSE = BalanceConfig(method=BalanceMethod.none, z_loss_weight=0.0)
STEPS = 4


def _train(world, settings: dict) -> dict:
    settings = {"balance": NOTHING_ELSE} | settings
    with tempfile.TemporaryDirectory() as folder:
        trainer = tiny_trainer(world, Path(folder), **settings)
        before = {name: weight.clone() for name, weight in trainer.engine.weights()}
        figures = train(trainer, STEPS)
    local = local_tensors(trainer.engine.model)
    after = {name: weight.clone() for name, weight in trainer.engine.weights()}
    return {
        "figures": figures,
        "moved": [name for name in after if not torch.equal(before[name], after[name])],
        "weights": [(name, local[name].start, whole.float().flatten().numpy()) for name, whole in after.items()],
        "trained": [name for name, parameter in trainer.engine.model.named_parameters() if parameter.requires_grad],
        "owned": sum(fragment.master.numel() for fragment in trainer.engine.fragments()),
    }


def _train_all(world, runs: dict[str, dict]) -> dict[str, dict]:
    """One run after the other in the same processes, whose start takes longer than a run."""
    return {name: _train(world, settings) for name, settings in runs.items()}


def assert_same_run(expected: dict, got: list[dict]) -> None:
    want = torch.tensor(expected["figures"])
    for result in got:
        torch.testing.assert_close(torch.tensor(result["figures"]), want, atol=1e-5, rtol=1e-5)
        assert set(result["moved"]) == set(result["trained"])
    reference, weights = logical([expected["weights"]]), logical([result["weights"] for result in got])
    assert weights.keys() == reference.keys()
    assert max(abs(weights[name] - reference[name]).max() for name in reference) < 1e-4
    assert sum(result["owned"] for result in got) == expected["owned"], "state is owned once"


@pytest.fixture(scope="module")
def one_rank() -> dict[str, dict]:
    return run_ranks(
        _train_all, 1, {"all": {"lora": ALL}, "no experts": {"lora": NO_EXPERTS}, "partly": {"lora": PARTLY}}
    )[0]


def test_nothing_but_adapters_and_what_is_trained_whole_moves(one_rank):
    for result in one_rank.values():
        assert result["moved"] == result["trained"]
    assert all(is_factor(name) for name in one_rank["all"]["moved"])
    assert {"embedding.weight", "unembedding.weight"} < set(one_rank["partly"]["moved"])
    assert one_rank["all"]["figures"][-1][0] < one_rank["all"]["figures"][0][0]


def test_optimizer_state_is_of_adapters_alone(one_rank):
    sizes = {name: len(values) for name, _, values in one_rank["all"]["weights"]}
    assert one_rank["all"]["owned"] == sum(size for name, size in sizes.items() if is_factor(name))


RUNS_ON_TWO = {
    "rows only": {"lora": ALL},
    "experts": {"lora": ALL, "expert_parallel": 2},
    "ZeRO-3": {"lora": ALL, "zero_stage": 3},
    "experts, ZeRO-3, recomputation": {"lora": ALL, "expert_parallel": 2, "zero_stage": 3, "recompute": True},
    "sequences": {"lora": ALL, "sequence_parallel": 2},
    "optimizer offloaded": {"lora": ALL, "offload_optimizer": True},
    "frozen experts on two ranks": {"lora": NO_EXPERTS, "expert_parallel": 2},
    "frozen experts on two ranks, ZeRO-3": {"lora": NO_EXPERTS, "expert_parallel": 2, "zero_stage": 3},
    "whole routers and embeddings": {"lora": PARTLY, "expert_parallel": 2},
    "whole routers and embeddings, ZeRO-3": {"lora": PARTLY, "expert_parallel": 2, "zero_stage": 3},
    "stages": {"lora": ALL, "pipeline_parallel": 2, "zero_stage": 1},
}


@pytest.fixture(scope="module")
def two_ranks() -> list[dict[str, dict]]:
    return run_ranks(_train_all, 2, {name: settings | {"microbatch": 1} for name, settings in RUNS_ON_TWO.items()})


@pytest.mark.parametrize("name", RUNS_ON_TWO)
def test_two_ranks_equal_one(one_rank, two_ranks, name):
    reference = {id(ALL): "all", id(NO_EXPERTS): "no experts", id(PARTLY): "partly"}[id(RUNS_ON_TWO[name]["lora"])]
    assert_same_run(one_rank[reference], [of_rank[name] for of_rank in two_ranks])


@pytest.mark.slow
@pytest.mark.parametrize("is_pipeline", [False, True], ids=["without stages", "stages"])
def test_every_supported_combination_on_four_ranks_equals_one_rank(one_rank, is_pipeline):
    runs = {
        f"{name}, {kind}": accumulating(settings) | {"lora": lora}
        for name, settings in supported()
        for kind, lora in (("all", ALL), ("no experts", NO_EXPERTS))
        if ("pipeline_parallel" in settings) == is_pipeline
        and (kind == "all" or "expert_parallel" in settings)  # frozen experts matter where ranks share them
    }
    of_ranks = run_ranks(_train_all, 4, runs, timeout_s=390)
    for name in runs:
        assert_same_run(one_rank[name.rpartition(", ")[2]], [of_rank[name] for of_rank in of_ranks])


def _flops(world, lora: LoraConfig | None, expert_parallel: int) -> list[int]:
    with tempfile.TemporaryDirectory() as folder:
        engine = tiny_trainer(world, Path(folder), lora=lora, expert_parallel=expert_parallel).engine
    found = training_flops(engine, context=48, world=world)
    return [found.per_token, found.per_choice]


def test_frozen_matrices_cost_two_thirds_and_factors_what_they_take():
    lora = LoraConfig(rank=4, targets=[LoraTarget.experts])
    [(whole_token, whole_choice)] = run_ranks(_flops, 1, None, 1)
    [(token, choice)] = run_ranks(_flops, 1, lora, 1)
    of_expert = 4 * (64 + 2 * 32) + 4 * (32 + 64)  # A and B of gate_up and of down
    assert whole_choice == 18 * 64 * 32 and choice == 12 * 64 * 32 + 6 * of_expert
    context = 3 * 3 * 48 * 4 * 2 * 16  # attention itself: three layers of four heads
    assert token == (whole_token - context) * 2 // 3 + context + 6 * 2 * 2 * of_expert  # two layers, two choices
    assert run_ranks(_flops, 2, lora, 2) == [[token, choice]] * 2


def test_bf16_trains_fp32_masters_of_adapters():
    [result] = run_ranks(_train, 1, {"lora": ALL, "precision": Precision.bf16})
    assert set(result["moved"]) <= set(result["trained"]) and len(result["moved"]) > len(result["trained"]) * 0.9
    assert result["figures"][-1][0] < result["figures"][0][0]
