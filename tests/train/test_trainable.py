"""Some experts are trained alone: what is frozen stays to the bit, and the rest moves as it would in a model of its own."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mai1.checkpoint.checkpoint import load_checkpoint
from mai1.checkpoint.saver import save_checkpoint
from mai1.engine.ds_config import EngineConfig, Precision
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.optim.config import Method, OptimConfig
from mai1.train.trainable import Part, TrainableConfig
from tests.checkpoint.test_resume import logical, pieces_of
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train

OPTIM = OptimConfig(learning_rate=5e-3, warmup_steps=2, weight_decay=0.5)
BALANCE = BalanceConfig(method=BalanceMethod.none)
ROWS = TrainableConfig(part=Part.experts_and_rows, experts=[1, 6])
TOPOLOGIES = {
    "1 rank, bf16": (1, {"precision": Precision.bf16}),
    "2 ranks, ZeRO-1": (2, {"zero_stage": 1}),
    "2 ranks, ZeRO-1, expert parallel": (2, {"zero_stage": 1, "expert_parallel": 2}),
    "2 ranks, expert parallel": (2, {"expert_parallel": 2}),
    "2 ranks, sequence parallel": (2, {"sequence_parallel": 2}),
}


def _partly(world, folder: str, settings: dict, trainable: TrainableConfig) -> tuple:
    """Whole training for three steps and a checkpoint; from there some experts alone, for four steps."""
    given = {"optim": OPTIM, "balance": BALANCE} | settings
    whole = tiny_trainer(world, Path(folder), **given)
    train(whole, 3)
    saved = save_checkpoint(Path(folder), whole.engine, whole.state, files=whole.files)
    trainer = tiny_trainer(world, Path(folder), trainable=trainable, **given)
    trainer.state = load_checkpoint(saved, trainer.engine)
    before = pieces_of(trainer)
    return before, train(trainer, 4), pieces_of(trainer)


def rows_that_moved(before: list, after: list) -> dict[str, list[int]]:
    """By piece of state: which rows of its first dimension are not what they were, bit for bit."""
    first, second, found = logical(before), logical(after), {}
    for name, values in first.items():
        num_rows = 8 if ".experts." in name or ".router." in name else 1
        changed = (values != second[name]).reshape(num_rows, -1).any(1)
        found[name] = changed.nonzero()[0].tolist()
    return found


def assert_only_the_named_moved(results: list[tuple]) -> None:
    moved = rows_that_moved([result[0] for result in results], [result[2] for result in results])
    assert any("exp_avg" in piece for piece in moved) and any("embedding" in piece for piece in moved)
    for piece, rows in moved.items():
        is_trained = ".experts." in piece or ".router.weight" in piece
        assert rows == ([1, 6] if is_trained else []), piece


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """One rank in fp32."""
    (result,) = run_ranks(_partly, 1, str(tmp_path_factory.mktemp("alone")), {}, ROWS)
    return result


def test_all_but_the_named_experts_and_rows_stays_to_the_bit_moments_included(alone):
    assert_only_the_named_moved([alone])


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_on_any_ranks_the_same_experts_move_by_the_same(tmp_path, alone, name):
    num_ranks, settings = TOPOLOGIES[name]
    results = run_ranks(_partly, num_ranks, str(tmp_path), settings, ROWS)
    assert_only_the_named_moved(results)
    if "precision" in settings:
        return
    _, figures, pieces = alone
    for _, found, _ in results:
        assert torch.allclose(torch.tensor(found), torch.tensor(figures), rtol=2e-4)
    found = logical([result[2] for result in results])
    for piece, values in logical([pieces]).items():
        if "|" not in piece:
            assert torch.allclose(torch.from_numpy(found[piece]), torch.from_numpy(values), atol=3e-4), piece


def test_without_rows_the_routers_stay_too(tmp_path):
    ((before, _, after),) = run_ranks(_partly, 1, str(tmp_path), {}, TrainableConfig(part=Part.experts, experts=[3]))
    moved = rows_that_moved([before], [after])
    assert {piece.rpartition("|")[0] or piece for piece, rows in moved.items() if rows} == {
        f"layers.{layer}.ffn.experts.{name}" for layer in (1, 2) for name in ("gate_up", "down")
    }


def _against_a_loop(world, folder: str) -> tuple[dict, dict]:
    """Three steps of the trainer, and of a plain AdamW over the same rows cut out as parameters of their own."""
    settings = {"optim": OptimConfig(learning_rate=5e-3, warmup_steps=2, weight_decay=0.5, clip_norm=0.3)}
    trainer = tiny_trainer(world, Path(folder), trainable=ROWS, balance=BALANCE, **settings)
    model = tiny_trainer(world, Path(folder), balance=BALANCE, **settings)  # weights of the same seed
    slow, optim = model.engine.model, settings["optim"]
    names = [n for n, _ in slow.named_parameters() if ".experts." in n or ".router.weight" in n]
    parameters = dict(slow.named_parameters())
    pieces = {(n, row): parameters[n].detach()[row].clone().requires_grad_() for n in names for row in (1, 6)}
    plain = torch.optim.AdamW(pieces.values(), betas=(optim.beta1, optim.beta2), eps=optim.eps, weight_decay=0.5)
    trainer.engine.model.train()
    for step in range(3):
        trainer.train_step(step)
        for (name, row), piece in pieces.items():
            parameters[name].data[row] = piece.data
        gradients = _gradients(model, step)
        for (name, row), piece in pieces.items():
            piece.grad = gradients[name][row].clone()
        torch.nn.utils.clip_grad_norm_(pieces.values(), optim.clip_norm)
        for group in plain.param_groups:
            group["lr"] = optim.learning_rate_at(step, steps=20)
        plain.step()
    fast = dict(trainer.engine.model.named_parameters())
    found = {f"{name} {row}": fast[name].detach()[row].numpy().copy() for name, row in pieces}
    return found, {f"{name} {row}": piece.detach().numpy() for (name, row), piece in pieces.items()}


def _gradients(trainer, step: int) -> dict[str, torch.Tensor]:
    """Of a step's loss, by autograd alone."""
    model, batches = trainer.engine.model.train(), trainer.loader.microbatches(step)
    totals, found = trainer._totals(batches, step), {}
    parameters = dict(model.named_parameters())
    for batch in batches:
        output = model(
            batch.tokens_BT,
            positions_BT=batch.positions_BT,
            segments_BT=batch.isolating_segments_BT,
            samples_B=batch.samples_B,
        )
        loss = trainer.objective.losses(output, batch, step=step, totals=totals).total
        for name, gradient in zip(
            parameters, torch.autograd.grad(loss, list(parameters.values()), allow_unused=True), strict=True
        ):
            if gradient is not None:
                found[name] = found.get(name, 0) + gradient
    return found


def test_the_trained_rows_move_as_plain_adamw_moves_them(tmp_path):
    ((found, expected),) = run_ranks(_against_a_loop, 1, str(tmp_path))
    for name, value in found.items():
        assert np.allclose(value, expected[name], atol=2e-5), name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": EngineConfig(zero_stage=3)}, "engine.zero_stage=3: use engine.zero_stage=1 or 2"),
        ({"engine": EngineConfig(pipeline_parallel=2, zero_stage=1)}, "engine.pipeline_parallel=2"),
        ({"engine": EngineConfig(offload_optimizer=True)}, "engine.offload_optimizer=true"),
        ({"optim": OptimConfig(method=Method.muon)}, "optim.method=muon: use optim.method=adamw"),
        ({"balance": BalanceConfig()}, "balance.method=bias: it would move every expert's"),
    ],
)
def test_what_it_cannot_be_used_with_is_refused_by_name(settings, message):
    given = {"engine": EngineConfig(), "optim": OptimConfig(), "balance": BALANCE} | settings
    with pytest.raises(ValueError, match=message):
        ROWS.check(**given)
    TrainableConfig().check(**given)


def test_experts_are_those_named_or_those_that_growth_added():
    new = TrainableConfig(part=Part.experts)
    assert new.experts_of([{"new_experts": [3]}, {"new_experts": [9, 8]}], num_experts=10) == [8, 9]
    assert ROWS.experts_of([], num_experts=8) == [1, 6]
    for lineage in ([], [{"method": "prune"}]):
        with pytest.raises(ValueError, match=r"has none: name some, as in trainable\.experts"):
            new.experts_of(lineage, num_experts=8)
    with pytest.raises(ValueError, match="must be from 0 to 5"):
        ROWS.experts_of([], num_experts=6)
    with pytest.raises(ValueError, match="must be different ids"):
        TrainableConfig(part=Part.experts, experts=[2, 2])
    with pytest.raises(ValueError, match=r"needs trainable\.part"):
        TrainableConfig(experts=[2])
