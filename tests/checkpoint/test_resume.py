"""Interrupted equals uninterrupted: bit for bit on the same topology, and state bit for bit on any other."""

from pathlib import Path

import numpy as np
import pytest

from mai1.checkpoint.checkpoint import load_checkpoint
from mai1.checkpoint.names import local_tensors, logical_shapes
from mai1.checkpoint.saver import save_checkpoint
from mai1.checkpoint.verify import verify
from mai1.engine.ds_config import Precision
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.optim.config import Method, OptimConfig
from mai1.train.trainer import Trainer
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train

GLOBAL = {
    "balance": BalanceConfig(method=BalanceMethod.global_loss, loss_weight=0.5),
    "routing": RoutingConfig(jitter=0.1),
}
"""Each step needs the load of the one before."""

MUON = OptimConfig(method=Method.muon, learning_rate=2e-3, warmup_steps=3, clip_norm=0.5)
TOPOLOGIES = {  # what a run may be saved and resumed on: number of ranks, settings
    "1 rank": (1, {}),
    "2 ranks, expert parallel": (2, {"expert_parallel": 2}),
    "2 ranks, ZeRO-1": (2, {"zero_stage": 1}),
    "4 ranks, expert parallel 2": (4, {"expert_parallel": 2}),
    "2 ranks, ZeRO-2, optimizer offloaded": (2, {"offload_optimizer": True}),
    "2 ranks, sequence parallel": (2, {"sequence_parallel": 2}),
    "4 ranks, expert parallel 4, ZeRO-1": (4, {"expert_parallel": 4, "zero_stage": 1}),
    "2 stages": (2, {"pipeline_parallel": 2, "zero_stage": 1}),
    "2 ranks, ZeRO-3": (2, {"zero_stage": 3}),
    "2 stages of 2 ranks, expert parallel 2": (4, {"pipeline_parallel": 2, "expert_parallel": 2, "zero_stage": 1}),
    "4 ranks, expert parallel 2, ZeRO-3": (4, {"expert_parallel": 2, "zero_stage": 3}),
}
NAMES = list(TOPOLOGIES)
"""Each resumes what the one before it has saved."""


def save(trainer: Trainer, folder: Path) -> Path:
    return save_checkpoint(folder, trainer.engine, trainer.state, files=trainer.files)


def pieces_of(trainer: Trainer) -> list[tuple[str, int, np.ndarray]]:
    """Everything that decides the next step on this rank: name, place in the logical tensor, values."""
    local = local_tensors(trainer.engine.model)
    found = [(name, local[name].start, whole.float()) for name, whole in trainer.engine.weights()]
    for fragment in trainer.engine.fragments():
        start = local[fragment.name].start + fragment.start
        found += [(f"{fragment.name}|{kind}", start, state) for kind, state in fragment.moments.items()]
        found.append((f"{fragment.name}|master", start, fragment.master))
    return [(name, start, values.detach().flatten().numpy().copy()) for name, start, values in found]


def logical(pieces_of_ranks: list[list]) -> dict[str, np.ndarray]:
    """Whole flat tensors from the pieces of all ranks, which must agree where they overlap and leave nothing out."""
    sizes: dict[str, int] = {}
    for name, start, values in (piece for pieces in pieces_of_ranks for piece in pieces):
        sizes[name] = max(sizes.get(name, 0), start + len(values))
    whole = {name: np.full(size, np.nan, dtype=np.float32) for name, size in sizes.items()}
    for name, start, values in (piece for pieces in pieces_of_ranks for piece in pieces):
        known = whole[name][start : start + len(values)]
        assert np.array_equal(known[~np.isnan(known)], values[~np.isnan(known)]), name
        whole[name][start : start + len(values)] = values
    assert not [name for name, values in whole.items() if np.isnan(values).any()]
    return whole


def _interrupted_and_not(world, folder: str, settings: dict) -> tuple:
    """Train 8 steps; and 5, save, load into fresh objects, 3 more. Returns figures and whether all state is identical."""
    straight = tiny_trainer(world, Path(folder), **settings)
    expected = train(straight, 8)
    first = tiny_trainer(world, Path(folder), **settings)
    train(first, 5)
    saved = save(first, Path(folder))
    second = tiny_trainer(world, Path(folder), **settings)
    second.state = load_checkpoint(saved, second.engine)
    got = train(second, 3)
    pairs = zip(pieces_of(straight), pieces_of(second), strict=True)
    differing = [name for (name, _, want), (_, _, have) in pairs if not np.array_equal(want, have)]
    return expected[5:], got, differing, second.engine.optimizer_step(), verify(saved, world)


@pytest.mark.parametrize(
    ("num_ranks", "settings"),
    [
        pytest.param(1, {}, id="one rank"),
        pytest.param(1, {"precision": Precision.bf16}, id="one rank, bf16 with fp32 masters"),
        pytest.param(2, {"expert_parallel": 2}, id="two ranks, expert parallel"),
        pytest.param(2, {"zero_stage": 1}, id="two ranks, ZeRO-1"),
        pytest.param(2, {"zero_stage": 3}, id="two ranks, ZeRO-3"),
        pytest.param(2, {"optim": MUON, "expert_parallel": 2}, id="two ranks, expert parallel, Muon"),
        pytest.param(2, {"sequence_parallel": 2}, id="two ranks, sequence parallel"),
        pytest.param(2, GLOBAL, id="two ranks, last step's load, jitter"),
    ],
)
def test_resumed_training_is_bitwise_equal_to_uninterrupted(tmp_path, num_ranks, settings):
    for expected, got, differing, optimizer_step, problems in run_ranks(
        _interrupted_and_not, num_ranks, str(tmp_path), settings
    ):
        assert got == expected
        assert not differing
        assert optimizer_step == 8
        assert not problems


def _train_and_save(world, folder: str, settings: dict) -> tuple[list, list]:
    trainer = tiny_trainer(world, Path(folder), **settings)
    train(trainer, 5)
    save(trainer, Path(folder))
    state = pieces_of(trainer)
    return state, train(trainer, 3)


def _load_and_train(world, folder: str, settings: dict) -> tuple[list, list]:
    trainer = tiny_trainer(world, Path(folder) / "other", **settings)
    trainer.state = load_checkpoint(Path(folder) / "step_00000005", trainer.engine)
    state = pieces_of(trainer)
    return state, train(trainer, 3)


@pytest.fixture(scope="module")
def saved_on(tmp_path_factory):
    """A checkpoint of each topology with its logical state and the next steps, made when first asked for."""
    known = {}

    def of(name: str) -> tuple[Path, dict[str, np.ndarray], list]:
        if name not in known:
            folder = tmp_path_factory.mktemp("saved")
            num_ranks, settings = TOPOLOGIES[name]
            results = run_ranks(_train_and_save, num_ranks, str(folder), settings)
            known[name] = folder, logical([state for state, _ in results]), results[0][1]
        return known[name]

    return of


@pytest.mark.parametrize(
    ("before", "after"), list(zip(NAMES, NAMES[1:] + NAMES[:1], strict=True)), ids=lambda name: name
)
def test_any_topology_resumes_any_other_exactly(saved_on, before, after):
    """All weights, masters, moments and the selection bias are the same bits; the next steps agree to rounding."""
    folder, state, expected = saved_on(before)
    num_ranks, settings = TOPOLOGIES[after]
    results = run_ranks(_load_and_train, num_ranks, str(folder), settings)
    loaded = logical([pieces for pieces, _ in results])
    assert loaded.keys() == state.keys()
    assert not [name for name in state if not np.array_equal(loaded[name], state[name])]
    assert np.allclose(results[0][1], expected, atol=1e-5, rtol=0)


def test_the_last_steps_load_goes_along(tmp_path):
    expected = run_ranks(_train_and_save, 1, str(tmp_path), GLOBAL)[0][1]
    got = run_ranks(_load_and_train, 2, str(tmp_path), GLOBAL | {"expert_parallel": 2})[0][1]
    assert np.allclose(got, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("before", "after"), [("bf16", "fp32"), ("fp32", "bf16")])
def test_masters_survive_a_change_of_precision_exactly(tmp_path, before, after):
    saved = run_ranks(_train_and_save, 2, str(tmp_path), {"precision": Precision[before]})
    loaded = run_ranks(_load_and_train, 2, str(tmp_path), {"precision": Precision[after]})
    want, have = (logical([state for state, _ in results]) for results in (saved, loaded))
    kinds = [name for name in want if "|" in name]
    assert kinds and not [name for name in kinds if not np.array_equal(want[name], have[name])]
    if after == "fp32":
        assert not [name for name in kinds if name.endswith("|master") and not _is_master(have, name)]


def _is_master(state: dict[str, np.ndarray], name: str) -> bool:
    return np.array_equal(state[name], state[name.removesuffix("|master")])


def test_muons_momentum_goes_to_another_topology_exactly(tmp_path):
    saved = run_ranks(_train_and_save, 2, str(tmp_path), {"optim": MUON, "expert_parallel": 2})
    loaded = run_ranks(_load_and_train, 1, str(tmp_path), {"optim": MUON})
    want, have = (logical([state for state, _ in results]) for results in (saved, loaded))
    assert any(name.endswith("|momentum_buffer") for name in want) and want.keys() == have.keys()
    assert not [name for name in want if not np.array_equal(want[name], have[name])]
    assert np.allclose(loaded[0][1], saved[0][1], atol=1e-4, rtol=0)


def test_a_run_of_another_optimizer_is_refused_on_every_rank(tmp_path):
    run_ranks(_train_and_save, 1, str(tmp_path), {"optim": MUON})
    for message in run_ranks(_refused, 2, str(tmp_path)):
        assert "optim.method=adamw but" in message and "was trained with optim.method=muon" in message


def _refused(world, folder: str) -> str:
    trainer = tiny_trainer(world, Path(folder) / "other")
    with pytest.raises(ValueError) as caught:
        load_checkpoint(Path(folder) / "step_00000005", trainer.engine)
    return str(caught.value)


def test_every_tensor_of_the_model_has_a_place(family_models):
    for model in family_models:
        local, shapes = local_tensors(model), logical_shapes(model.config)
        assert local.keys() == shapes.keys() == model.state_dict().keys()
        for name, tensor in model.state_dict().items():
            assert local[name].shape == shapes[name] == tuple(tensor.shape) and local[name].start == 0
