"""The objective on packed rows against single sequences, and the same run on any topology."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mai1.data.batch import collate
from mai1.dist import World
from mai1.loss import LossConfig
from mai1.model.init import initialize
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.transformer import MoETransformer
from mai1.objective.pair_losses import Answers, Normalization, PreferenceConfig, PreferenceMethod, pair_losses
from mai1.objective.preference import Preference
from tests.support.pairs import logp_alone, pair_rows, pair_trainer
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, tiny_model_config, train

NO_BALANCE = BalanceConfig(method=BalanceMethod.none, z_loss_weight=0.0)
DPO = PreferenceConfig(beta=0.4, label_smoothing=0.1, sft_weight=0.3)
ORPO = PreferenceConfig(method=PreferenceMethod.orpo, odds_weight=0.5)
KTO = PreferenceConfig(method=PreferenceMethod.kto, beta=0.4, undesirable_weight=1.5)
METHODS = {"dpo": DPO, "length": PreferenceConfig(beta=3.0, normalization=Normalization.length), "orpo": ORPO}


@pytest.fixture(scope="module")
def model() -> MoETransformer:
    model = MoETransformer(tiny_model_config(vocab_size=384))
    initialize(model, seed=5)
    return model


def losses_of(model: MoETransformer, objective: Preference, rows: list, *, balance: BalanceConfig = NO_BALANCE):
    batch = collate(rows, end_of_text_id=END_OF_TEXT)
    totals = objective.totals(objective.count([batch], step=0))
    output = model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=batch.isolating_segments_BT)
    return objective.losses(output, batch, step=0, totals=totals)


@pytest.mark.parametrize("method", METHODS)
def test_packed_pairs_have_the_loss_and_gradients_of_single_sequences(model: MoETransformer, method: str):
    packed, config = pair_rows(count=14), METHODS[method]
    rows = packed.rows[:3]
    numbers = [int(number) for row in rows for number in row.pairs if number >= 0]
    assert max(len([n for n in row.pairs if n >= 0]) for row in rows) > 1, "no row holds two pairs"
    reference_PA = -10 - 5 * torch.rand(len(packed.pairs), 2, generator=torch.manual_seed(1), dtype=torch.float64)
    objective = Preference(balance=NO_BALANCE, preference=config, reference_PA=reference_PA)
    model.zero_grad()
    losses = losses_of(model, objective, rows)
    losses.total.backward()
    fast = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}

    model.zero_grad()
    pairs = [packed.pairs[number] for number in numbers]
    logps_PA = torch.stack(
        [torch.stack([logp_alone(model, c) for c in (pair.chosen, pair.rejected)]) for pair in pairs]
    )
    lengths_PA = torch.from_numpy(packed.lengths_PA)[numbers].double()
    slow = pair_losses(Answers(logps_PA, lengths_PA, reference_PA[numbers]), config)
    slow.loss_P.mean().backward()
    assert losses.total.item() == pytest.approx(slow.loss_P.mean().item(), rel=1e-5)
    for name, parameter in model.named_parameters():
        if name in fast:
            assert torch.allclose(fast[name], parameter.grad, atol=2e-6), name
    for name, value in losses.figures.items():
        assert value.item() == pytest.approx(slow.figures[name].mean().item(), rel=1e-4, abs=1e-5), name


def test_shares_of_single_rows_add_up_to_the_loss_of_all(model: MoETransformer):
    rows = pair_rows(count=14).rows[:3]
    objective = Preference(balance=NO_BALANCE, preference=ORPO)
    batches = [collate([row], end_of_text_id=END_OF_TEXT) for row in rows]
    totals = objective.totals(objective.count(batches, step=0))
    shares = []
    for batch in batches:
        output = model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=batch.isolating_segments_BT)
        shares.append(objective.losses(output, batch, step=0, totals=totals).total.item())
    assert sum(shares) == pytest.approx(losses_of(model, objective, rows).total.item(), rel=1e-5)


def test_the_routers_losses_are_part_of_a_preference_loss(model: MoETransformer):
    """They were left out by peers: the loss did not move with their weight."""
    rows = pair_rows(count=14).rows[:3]
    plain = losses_of(model, Preference(balance=NO_BALANCE, preference=ORPO), rows)
    balance = BalanceConfig(method=BalanceMethod.sequence_loss, loss_weight=0.5, z_loss_weight=0.25)
    balanced = losses_of(model, Preference(balance=balance, preference=ORPO), rows)
    assert balanced.balance > 0.5 and balanced.router_z > 0
    expected = plain.total + 0.5 * balanced.balance + 0.25 * balanced.router_z
    assert balanced.total.item() == pytest.approx(expected.item(), rel=1e-6)
    model.zero_grad()
    (balanced.total - plain.total).backward()
    assert all(layer.router.weight.grad.abs().max() > 1e-6 for layer in model.moe_layers().values())


def test_layers_for_further_tokens_learn_from_better_answers_alone():
    model = MoETransformer(tiny_model_config(vocab_size=384, num_mtp_layers=1))
    initialize(model, seed=5)
    packed = pair_rows(count=14)
    settings = {"balance": NO_BALANCE, "preference": ORPO, "num_mtp_layers": 1}
    weighted, none = (
        losses_of(model, Preference(**settings, loss=LossConfig(mtp_weight=weight)), packed.rows[:2])
        for weight in (1.0, 0.0)
    )
    assert weighted.mtp > 0 and (weighted.total - none.total).item() == pytest.approx(weighted.mtp.item(), rel=1e-4)
    worse = [row for row in packed.rows[:2]]
    for row in worse:
        row.ids[row.answers % 2 == 1] = np.roll(row.ids[row.answers % 2 == 1], 1)  # the better answers stay as they are
    changed = losses_of(model, Preference(**settings, loss=LossConfig(mtp_weight=1.0)), worse)
    assert changed.mtp.item() == pytest.approx(weighted.mtp.item(), rel=1e-5)


RUNS = {
    "dpo": {
        "preference": DPO,
        "balance": BalanceConfig(method=BalanceMethod.sequence_loss, loss_weight=0.03, z_loss_weight=1e-2),
    },
    "orpo": {"preference": ORPO, "balance": BalanceConfig(bias_rate=1e-2)},
    "kto": {"preference": KTO, "balance": NO_BALANCE},
}
TOPOLOGIES = {
    "rows over ranks": (2, "dpo", {}),
    "experts over ranks, ZeRO-3": (2, "dpo", {"expert_parallel": 2, "zero_stage": 3}),
    "slices of rows": (2, "dpo", {"sequence_parallel": 2}),
    "judged rows over ranks": (2, "kto", {}),
    "judged experts over ranks, ZeRO-3": (2, "kto", {"expert_parallel": 2, "zero_stage": 3}),
    "judged stages": (2, "kto", {"pipeline_parallel": 2, "zero_stage": 1}),
    "judged slices and experts": (4, "kto", {"sequence_parallel": 2, "expert_parallel": 2, "microbatch": 1}),
    "slices and experts": (4, "orpo", {"sequence_parallel": 2, "expert_parallel": 2, "microbatch": 1}),
    "stages": (2, "dpo", {"pipeline_parallel": 2, "zero_stage": 1}),
    "stages and experts": (4, "orpo", {"pipeline_parallel": 2, "expert_parallel": 2, "zero_stage": 1, "microbatch": 1}),
}
STEPS = 8


def _train(world: World, run: str, topology: dict) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        trainer = pair_trainer(world, Path(folder), **RUNS[run] | topology)
        figures = train(trainer, STEPS)
        done, _ = trainer.train_step(trainer.state.step)
    reference = trainer.objective.reference_PA
    return {
        "figures": np.array(figures),
        "means": np.array(list(done.means.values())),
        "reference": np.array(0.0 if reference is None else reference),
    }


def _train_all(world: World, names: list[str]) -> dict[str, dict]:
    return {name: _train(world, *TOPOLOGIES[name][1:]) for name in names}


@pytest.fixture(scope="module")
def one_rank() -> dict[str, dict]:
    return {run: run_ranks(_train, 1, run, {})[0] for run in RUNS}


@pytest.mark.parametrize(("num_ranks", "is_staged"), [(2, False), (2, True), (4, False), (4, True)])
def test_preference_tuning_is_the_same_on_any_topology(one_rank: dict, num_ranks: int, is_staged: bool):
    names = [
        name
        for name, (ranks, _, settings) in TOPOLOGIES.items()
        if ranks == num_ranks and ("pipeline_parallel" in settings) == is_staged
    ]
    for found in run_ranks(_train_all, num_ranks, names):
        for name in names:
            expected = one_rank[TOPOLOGIES[name][1]]
            for key, value in expected.items():
                difference = np.abs(found[name][key] - value) / np.maximum(np.abs(value), 1)
                assert difference.max() < 1e-5, f"{name}: {key}: {difference}"


def test_accumulation_changes_nothing(one_rank: dict):
    [found] = run_ranks(_train, 1, "dpo", {"microbatch": 8})
    assert np.abs(found["figures"] - one_rank["dpo"]["figures"]).max() < 1e-5


def _learn(world: World) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        trainer = pair_trainer(
            world, Path(folder), PreferenceConfig(beta=0.5), rows=pair_rows(count=16), balance=NO_BALANCE
        )
        first, _ = trainer.train_step(0)
        train(trainer, 30)
        last, _ = trainer.train_step(trainer.state.step)
    return {"first": first.means, "last": last.means}


def test_what_is_learned_are_the_preferences():
    [found] = run_ranks(_learn, 1)
    assert found["first"]["reward_margin"] == pytest.approx(0, abs=1e-4)
    assert found["first"]["loss"] == pytest.approx(np.log(2), abs=1e-3)
    assert found["last"]["preference_accuracy"] > 0.95 and found["last"]["reward_margin"] > 1
