"""What each rank owns of the weights, under every ZeRO stage: together everything once, readable and writable by name."""

import tempfile
from pathlib import Path

import pytest
import torch

from mai1.checkpoint.names import local_tensors
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train


def _inspect(world, settings: dict) -> dict:
    trainer = tiny_trainer(world, Path(tempfile.mkdtemp()), **settings)
    engine = trainer.engine
    before = [name for fragment in engine.fragments() for name in fragment.moments]
    train(trainer, 2)
    owned = [(f.name, f.start, f.master.tolist(), sorted(f.moments)) for f in engine.fragments()]
    weights = {name: tensor.clone() for name, tensor in engine.weights()}
    for name, value in weights.items():
        engine.assign(name, value + 1)
    moved = {name: bool((tensor == weights[name] + 1).all()) for name, tensor in engine.weights()}
    masters = all(
        torch.equal(f.master, weights[f.name].flatten()[f.start : f.start + f.master.numel()] + 1)
        for f in engine.fragments()
    )
    starts = {name: part.start for name, part in local_tensors(engine.model).items()}
    flat = {name: tensor.flatten().tolist() for name, tensor in weights.items()}
    return {"before": before, "owned": owned, "weights": flat, "starts": starts, "moved": moved, "masters": masters}


@pytest.fixture(scope="module", params=[1, 2, 3], ids=lambda stage: f"ZeRO-{stage}")
def ranks(request) -> list[dict]:
    return run_ranks(_inspect, 2, {"zero_stage": request.param, "expert_parallel": 2})


def test_the_ranks_own_every_element_of_every_parameter_once(ranks):
    covered: dict[str, list[tuple[int, int]]] = {}
    for rank in ranks:
        for name, start, values, _ in rank["owned"]:
            first = rank["starts"][name] + start
            covered.setdefault(name, []).append((first, first + len(values)))
    sizes = {}
    for rank in ranks:
        for name, values in rank["weights"].items():
            sizes[name] = max(sizes.get(name, 0), rank["starts"][name] + len(values))
    parameters = {name for name in sizes if "selection_bias" not in name}
    assert covered.keys() == parameters
    for name, spans in covered.items():
        ends = [0, *(end for _, end in sorted(spans))]
        assert [start for start, _ in sorted(spans)] == ends[:-1] and ends[-1] == sizes[name], name


def test_masters_are_the_weights_and_both_moments_stand_beside_them(ranks):
    for rank in ranks:
        for name, start, values, moments in rank["owned"]:
            assert values == rank["weights"][name][start : start + len(values)], name
            assert moments == ["exp_avg", "exp_avg_sq"]


def test_a_value_assigned_by_name_is_in_weights_and_masters(ranks):
    for rank in ranks:
        assert all(rank["moved"].values()), [name for name, is_moved in rank["moved"].items() if not is_moved]
        assert rank["masters"]


def _refuse_first(world, settings: dict) -> tuple:
    trainer = tiny_trainer(world, Path(tempfile.mkdtemp()), **settings)
    engine, asked = trainer.engine, []

    def state() -> list:
        weights = [tensor.clone() for _, tensor in engine.weights()]
        parts = [[f.master.clone(), *(f.moments[key].clone() for key in sorted(f.moments))] for f in engine.fragments()]
        return weights + [tensor for part in parts for tensor in part]

    def step(is_accepted: bool) -> bool:
        def compute(batch, x_BTD):
            return x_BTD, engine.model(batch.tokens_BT).hidden_BTD.square().sum()

        def accept(grad_norm: float) -> bool:
            asked.append(grad_norm)
            return is_accepted

        batches = trainer.loader.microbatches(0)
        return engine.train_batch(batches, compute, learning_rate=1e-2, accept=accept).is_applied

    step(True)
    before, count = state(), engine.optimizer_step()
    is_applied = step(False)
    after = state()
    is_same = len(before) == len(after) and all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    step(True)
    is_moved = not all(torch.equal(a, b) for a, b in zip(before, state(), strict=True))
    return is_applied, is_same, count, engine.optimizer_step(), is_moved, len(asked), len(set(asked))


@pytest.mark.parametrize("settings", [{"zero_stage": 1}, {"expert_parallel": 2}, {"zero_stage": 3}], ids=str)
def test_a_refused_step_leaves_weights_masters_moments_and_counts_bitwise(settings):
    for outcome in run_ranks(_refuse_first, 2, settings):
        is_applied, is_same, count, later_count, is_moved, num_asked, num_norms = outcome
        assert not is_applied and is_same and is_moved
        assert (count, later_count) == (1, 2)
        assert num_asked == 3, "asked once a step"
        assert num_norms == 2, "the refused step and the one after it see the same weights"
