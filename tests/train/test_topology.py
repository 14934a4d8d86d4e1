"""The same run on any number of ranks, spread in any supported way: same losses, same gradient norms, same weights."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from mai1.checkpoint.names import local_tensors
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from tests.support.ranks import run_ranks
from tests.support.tiny import ByteRows, tiny_trainer, train
from tests.support.topologies import accumulating, supported

STEPS = 20
ON_FOUR_RANKS = dict(supported())


def _train(world, settings: dict) -> dict:
    settings = dict(settings)
    masked = settings.pop("masked", False)
    with tempfile.TemporaryDirectory() as folder:
        trainer = tiny_trainer(world, Path(folder), rows=ByteRows(masked=masked), **settings)
        figures = train(trainer, STEPS)
    local = local_tensors(trainer.engine.model)
    weights = {name: (local[name].start, whole.flatten().tolist()) for name, whole in trainer.engine.weights()}
    return {"figures": figures, "weights": weights}


def _train_all(world, settings_of_runs: dict[str, dict]) -> dict[str, dict]:
    """One run after the other in the same processes, whose start takes longer than a run."""
    return {name: _train(world, settings) for name, settings in settings_of_runs.items()}


def _logical(results: list[dict]) -> dict[str, torch.Tensor]:
    """Every tensor whole, from the parts of all ranks."""
    whole: dict[str, torch.Tensor] = {}
    for result in results:
        for name, (start, values) in result["weights"].items():
            size = max(start + len(values), len(whole.get(name, ())))
            grown = torch.zeros(size)
            grown[: len(whole.get(name, ()))] = whole.get(name, torch.zeros(0))
            grown[start : start + len(values)] = torch.tensor(values)
            whole[name] = grown
    return whole


@pytest.fixture(scope="module")
def one_rank() -> list[dict]:
    """The reference: one rank, four microbatches a step."""
    return run_ranks(_train, 1, {})


@pytest.fixture(scope="module")
def on_four_ranks() -> Callable[[bool], dict[str, list[dict]]]:
    """Results by name of all supported combinations: two microbatches a step, with a pipeline four."""

    @cache
    def results(is_pipeline: bool) -> dict[str, list[dict]]:
        runs = {
            name: accumulating(settings)
            for name, settings in ON_FOUR_RANKS.items()
            if ("pipeline_parallel" in settings) == is_pipeline
        }
        of_ranks = run_ranks(_train_all, 4, runs, timeout_s=400)
        return {name: [of_rank[name] for of_rank in of_ranks] for name in runs}

    return results


@pytest.mark.parametrize("name", ON_FOUR_RANKS)
def test_every_supported_combination_on_four_ranks_equals_one_rank(one_rank, on_four_ranks, name):
    got = on_four_ranks("pipeline_parallel" in ON_FOUR_RANKS[name])
    _assert_same_run(one_rank, got[name])


@pytest.mark.parametrize(
    ("num_ranks", "settings"),
    [
        pytest.param(1, {"microbatch": 8}, id="one rank, no accumulation"),
        pytest.param(1, {"zero_stage": 1}, id="one rank, ZeRO-1"),
        pytest.param(1, {"zero_stage": 3}, id="one rank, ZeRO-3"),
        pytest.param(1, {"recompute": True}, id="one rank, recomputation"),
        pytest.param(2, {"expert_parallel": 2, "recompute": True}, id="two ranks, expert parallel, recomputation"),
        pytest.param(2, {"zero_stage": 3, "recompute": True}, id="two ranks, ZeRO-3, recomputation"),
    ],
)
def test_other_settings_change_nothing_either(one_rank, num_ranks, settings):
    _assert_same_run(one_rank, run_ranks(_train, num_ranks, settings))


def test_masked_rows_and_balancing_loss_do_not_depend_on_the_topology():
    balance = BalanceConfig(method=BalanceMethod.sequence_loss, loss_weight=0.03, z_loss_weight=1e-2)
    # a weight for which no token stands so near a tie that rounding flips its expert
    settings = {"masked": True, "balance": balance}
    expected = run_ranks(_train, 1, settings)
    got = run_ranks(_train, 2, settings | {"expert_parallel": 2})
    _assert_same_run(expected, got)


def _assert_same_run(expected: list[dict], got: list[dict]) -> None:
    want = torch.tensor(expected[0]["figures"])
    for result in got:
        difference = (torch.tensor(result["figures"]) - want).abs() / want.abs().clamp(min=1)
        assert difference.max() < 1e-5, f"loss and gradient norm differ by {difference.max(0).values.tolist()}"
    weights, reference = _logical(got), _logical(expected)
    assert weights.keys() == reference.keys()
    worst = max((weights[name] - reference[name]).abs().max().item() for name in reference)
    assert worst < 1e-4, f"weights differ by {worst}"
