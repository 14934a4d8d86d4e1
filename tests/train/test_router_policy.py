"""The router while tuning: frozen to the bit, moved only by what its policy names, its drift measured, on any topology."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mai1.checkpoint.checkpoint import load_checkpoint
from mai1.data.batch import Row
from mai1.dist import World
from mai1.engine.ds_config import Precision
from mai1.evaluate.rows import Measuring
from mai1.model.adapt import adapt
from mai1.model.embedding_noise import EmbeddingNoise
from mai1.model.init import initialize
from mai1.model.lora import LoraConfig, LoraTarget
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.transformer import MoETransformer
from mai1.train.router_policy import RouterConfig, RouterPolicy, apply_router_policy, check_router_policy
from mai1.train.routing_probe import RoutingProbe, probe_rows
from mai1.train.trainer import Trainer
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, ByteRows, tiny_model_config, tiny_trainer, train

NONE = BalanceConfig(method=BalanceMethod.none, z_loss_weight=0.0)
STEPS = 8
BASE = {"rows": ByteRows(masked=True), "model": tiny_model_config(num_layers=4)}
TOPOLOGIES = {
    "rows over ranks, ZeRO-1": (2, {"zero_stage": 1}),
    "rows over ranks, ZeRO-3": (2, {"zero_stage": 3}),
    "experts over ranks": (2, {"expert_parallel": 2}),
    "experts over ranks, ZeRO-3": (2, {"expert_parallel": 2, "zero_stage": 3}),
    "slices of rows": (2, {"sequence_parallel": 2}),
    "stages": (2, {"pipeline_parallel": 2, "zero_stage": 1}),
}


def frozen_trainer(world: World, folder: Path, policy: RouterPolicy = RouterPolicy.frozen, **settings) -> Trainer:
    """`tiny_trainer` whose routers follow a policy, with noise on the embeddings."""
    balance = settings.pop("balance", NONE)

    def prepare(model: MoETransformer) -> None:
        apply_router_policy(model, policy)
        model.embedding_noise = EmbeddingNoise(8.0, 11)

    return tiny_trainer(world, folder, balance=balance, prepare=prepare, **(BASE | settings))


def probe_of(trainer: Trainer, folder: Path) -> RoutingProbe:
    return RoutingProbe(_rows(), {"model": "tiny"}, path=folder, world=trainer.world)


def _rows() -> list[Row]:
    return [ByteRows(masked=True).read(sample) for sample in range(300, 305)]


def routers_of(trainer: Trainer) -> dict[str, np.ndarray]:
    return {
        name: tensor.detach().float().numpy().copy()
        for name, tensor in trainer.engine.weights()
        if name.endswith(("router.weight", "selection_bias"))
    }


def _train(world: World, topology: dict) -> dict:
    with tempfile.TemporaryDirectory() as path:
        trainer = frozen_trainer(world, Path(path), **topology)
        probe = probe_of(trainer, Path(path))
        before, start = routers_of(trainer), probe.measure(trainer.evaluation.measuring, step=0)
        figures = train(trainer, STEPS)
        end = probe.measure(trainer.evaluation.measuring, step=STEPS)
    after = routers_of(trainer)
    return {
        "figures": np.array(figures),
        "start": np.array([(s.kl, s.changed) for s in start.values()]),
        "shift": np.array([(s.kl, s.changed) for s in end.values()]),
        "is_kept": all(np.array_equal(before[name], after[name]) for name in before) and len(before) > 1,
        "layers": list(end),
    }


def _train_all(world: World, names: list[str]) -> dict[str, dict]:
    return {name: _train(world, TOPOLOGIES[name][1]) for name in names}


@pytest.fixture(scope="module")
def one_rank() -> dict:
    return run_ranks(_train, 1, {})[0]


@pytest.mark.parametrize("is_staged", [False, True])
def test_frozen_routers_noise_and_drift_are_the_same_on_any_topology(one_rank: dict, is_staged: bool):
    names = [name for name, (_, settings) in TOPOLOGIES.items() if ("pipeline_parallel" in settings) == is_staged]
    assert one_rank["is_kept"] and one_rank["layers"] == [1, 2, 3]
    for found in run_ranks(_train_all, 2, names):
        for name in names:
            got = found[name]
            assert got["is_kept"], f"{name}: a router moved"
            assert not got["start"].any(), f"{name}: routing differs from itself"
            difference = np.abs(got["figures"] - one_rank["figures"]) / np.maximum(np.abs(one_rank["figures"]), 1)
            assert difference.max() < 1e-5, f"{name}: {difference.max(0)}"
            assert np.allclose(got["shift"][:, 0], one_rank["shift"][:, 0], rtol=1e-2), name
            assert np.abs(got["shift"][:, 1] - one_rank["shift"][:, 1]).max() < 0.02, name
    assert (one_rank["shift"] > 0).all()


def _against_a_second_model(world: World) -> dict:
    """The probe's figures, and those of a second model that is kept whole."""
    with tempfile.TemporaryDirectory() as path:
        trainer = frozen_trainer(world, Path(path))
        second = MoETransformer(BASE["model"])
        initialize(second, seed=1)
        probe = probe_of(trainer, Path(path))
        probe.measure(trainer.evaluation.measuring, step=0)
        train(trainer, STEPS)
        shifts = probe.measure(trainer.evaluation.measuring, step=STEPS)
    kls, changed, tokens = {layer: 0.0 for layer in shifts}, {layer: 0 for layer in shifts}, 0
    for row in _rows():
        batch = Measuring(model=second, world=world, rows_at_once=1, end_of_text_id=END_OF_TEXT).batches([row])[0]
        inputs = {"positions_BT": batch.positions_BT, "segments_BT": batch.isolating_segments_BT}
        outputs = [model.eval()(batch.tokens_BT, **inputs) for model in (second, trainer.engine.model)]
        for token in (batch.segments_BT[0] >= 0).nonzero().flatten().tolist():
            tokens += 1
            for layer in shifts:
                p, q = (o.routings[layer].scores_NE[token].double() for o in outputs)
                p, q = p / p.sum(), q / q.sum()
                kls[layer] += sum(float(a * torch.log(a / b)) for a, b in zip(p, q, strict=True))
                sets = [set(o.routings[layer].experts_NK[token].tolist()) for o in outputs]
                changed[layer] += sets[0] != sets[1]
    return {layer: (shifts[layer], kls[layer] / tokens, changed[layer] / tokens) for layer in shifts}


def test_drift_is_what_a_second_model_tells_token_by_token():
    [found] = run_ranks(_against_a_second_model, 1)
    for shift, kl, changed in found.values():
        assert shift.kl == pytest.approx(kl, rel=1e-4) and shift.changed == pytest.approx(changed)
        assert kl > 0


def _resume(world: World, folder: str) -> dict:
    """Figures of eight steps in one go, and of four on one topology and four on another, which reads the probe's start."""
    path = Path(folder)
    whole = frozen_trainer(world, path / "whole")
    probe = probe_of(whole, path / "whole")
    probe.measure(whole.evaluation.measuring, step=0)
    expected = train(whole, STEPS), probe.measure(whole.evaluation.measuring, step=STEPS)
    first = frozen_trainer(world, path, zero_stage=3, expert_parallel=2)
    probe_of(first, path).measure(first.evaluation.measuring, step=0)
    train(first, STEPS // 2)
    first.save()
    first.saver.wait()
    second = frozen_trainer(world, path, zero_stage=2)
    second.state = load_checkpoint(path / "latest", second.engine)
    kinds = {name for fragment in second.engine.fragments() for name in [fragment.name]}
    probe = probe_of(second, path)
    begun = probe.measure(second.evaluation.measuring, step=second.state.step)
    figures = train(second, STEPS // 2)
    shifts = probe.measure(second.evaluation.measuring, step=STEPS)
    return {
        "expected": (np.array(expected[0])[STEPS // 2 :], [s.kl for s in expected[1].values()]),
        "found": (np.array(figures), [s.kl for s in shifts.values()]),
        "begun": [s.kl for s in begun.values()],
        "has_state_of_router": any("router" in name for name in kinds),
    }


def test_a_run_with_frozen_routers_resumes_on_another_topology_and_drifts_from_its_first_start(tmp_path: Path):
    for found in run_ranks(_resume, 2, str(tmp_path)):
        for got, expected in zip(found["found"], found["expected"], strict=True):
            assert np.allclose(got, expected, rtol=1e-3)
        assert min(found["begun"]) > 0 and not found["has_state_of_router"]


def _policy(world: World, policy: RouterPolicy, balance: BalanceConfig, settings: dict) -> dict:
    with tempfile.TemporaryDirectory() as path:
        trainer = frozen_trainer(world, Path(path), policy, balance=balance, **settings)
        before = routers_of(trainer)
        train(trainer, 2)
        after = routers_of(trainer)
    return {name: bool((before[name] != after[name]).any()) for name in before}


def test_each_policy_moves_what_it_names():
    aux = replace(NONE, method=BalanceMethod.global_loss, loss_weight=0.1)
    for policy, balance, moved in (
        (RouterPolicy.aux, aux, "weight"),
        (RouterPolicy.bias, replace(NONE, method=BalanceMethod.bias), "selection_bias"),
        (RouterPolicy.frozen, NONE, "nothing"),
    ):
        [found] = run_ranks(_policy, 1, policy, balance, {})
        assert len(found) > 2 and all(has_moved == name.endswith(moved) for name, has_moved in found.items()), policy


def test_frozen_routers_stay_in_bf16_too():
    for found in run_ranks(_policy, 2, RouterPolicy.frozen, NONE, {"precision": Precision.bf16, "zero_stage": 3}):
        assert len(found) > 2 and not any(found.values())


def _starve(world: World, zero_stage: int) -> list[bool]:
    """Train with routers that send every token to the same two experts, and see that the others stay."""
    with tempfile.TemporaryDirectory() as path:
        trainer = frozen_trainer(world, Path(path), RouterPolicy.frozen, zero_stage=zero_stage, expert_parallel=2)
        for layer in trainer.engine.model.moe_layers().values():
            layer.router.selection_bias[:2] += 100.0
        train(trainer, 3)
        return [bool(np.isfinite(loss)) for loss, _ in train(trainer, 1)] + [
            max(counts[2:]) == 0 for counts in trainer.state.tokens_per_expert
        ]


@pytest.mark.parametrize("zero_stage", [2, 3])
def test_experts_that_get_no_token_hang_no_rank(zero_stage: int):
    for found in run_ranks(_starve, 2, zero_stage, timeout_s=60):
        assert all(found)


def test_a_probe_has_about_as_many_tokens_as_asked_for():
    rows = [ByteRows().read(sample) for sample in range(10)]
    assert [len(probe_rows(rows, num_tokens=count)) for count in (1, 48, 100, 480, 10**6)] == [1, 1, 2, 10, 10]


@pytest.mark.parametrize(
    ("policy", "balance", "said"),
    [
        (
            RouterPolicy.frozen,
            replace(NONE, method=BalanceMethod.bias),
            "use balance.method=none, or router.policy=bias",
        ),
        (RouterPolicy.frozen, replace(NONE, method=BalanceMethod.switch_loss), "or router.policy=aux"),
        (RouterPolicy.bias, NONE, "would move nothing: use balance.method=bias"),
        (RouterPolicy.aux, NONE, "which balance.method=none is none"),
        (RouterPolicy.aux, replace(NONE, method=BalanceMethod.bias), "use balance.method=global_loss"),
        (RouterPolicy.bias, BalanceConfig(), "balance.z_loss_weight=0.0001 cannot shrink"),
    ],
)
def test_balancing_that_would_be_silently_without_effect_is_refused(
    policy: RouterPolicy, balance: BalanceConfig, said: str
):
    with pytest.raises(ValueError, match=said):
        check_router_policy(policy, balance)


@pytest.mark.parametrize(
    ("policy", "targets", "said"),
    [
        (RouterPolicy.aux, [LoraTarget.attention], "add router to lora.targets"),
        (RouterPolicy.frozen, [LoraTarget.router], "take it out, or use router.policy=aux"),
    ],
)
def test_adapters_that_contradict_the_policy_are_refused(policy: RouterPolicy, targets: list[LoraTarget], said: str):
    """A balancing loss of peers moved nothing, because no adapter was on the router."""
    model = MoETransformer(tiny_model_config())
    adapt(model, LoraConfig(rank=2, targets=targets), seed=0)
    with pytest.raises(ValueError, match=said):
        apply_router_policy(model, policy)


def test_a_probe_cannot_be_negative():
    with pytest.raises(ValueError, match=r"router.probe_tokens=-1 must not be negative"):
        RouterConfig(probe_tokens=-1)
