"""Which tokens are learned from: against loops over tokens, and the same on any number of ranks, spread in any way."""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from mai1.data.batch import Row
from mai1.dist import World
from mai1.model.moe.experts import Experts
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.train.ledger import Ledger, LedgerConfig
from mai1.train.selection import LargestExcess, SelectionConfig, SelectionMethod, Unlearned, is_learned
from mai1.train.trainer import Trainer
from tests.support.ranks import run_ranks
from tests.support.tiny import ByteRows, tiny_model_config, tiny_trainer, train

STEPS = 12


def rows_of_losses(num_rows: int = 4, length: int = 23) -> tuple[torch.Tensor, ...]:
    """Losses in sixteenths, so that some excesses are alike, a mask with holes and an empty row, references, numbers."""
    generator = torch.Generator().manual_seed(5)
    nats_BT = torch.randint(0, 60, (num_rows, length), generator=generator) / 16
    reference_BT = torch.randint(0, 60, (num_rows, length), generator=generator) / 16
    mask_BT = (torch.rand(num_rows, length, generator=generator) < 0.7).float()
    mask_BT[2] = 0
    return nats_BT, mask_BT, reference_BT, torch.arange(num_rows) * 3 + 7


def kept_by_loop(row: int, selection: LargestExcess, inputs: tuple[torch.Tensor, ...], drawn: list[int]) -> list[int]:
    """The targets that are drawn, then by excess; of equal ones the earlier."""
    nats_BT, mask_BT, reference_BT, _ = inputs
    targets = [t for t in range(mask_BT.shape[1]) if mask_BT[row, t]]
    order = sorted(targets, key=lambda t: (t not in drawn, -(nats_BT[row, t] - reference_BT[row, t]).item(), t))
    in_order = [t for t in targets if t in drawn] + [t for t in order if t not in drawn]
    return sorted(in_order[: int(np.ceil(selection.share * len(targets) - 1e-6))])


def weigh(selection, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    nats_BT, mask_BT, reference_BT, samples_B = inputs
    return selection.weigh(nats_BT, mask_BT=mask_BT, reference_BT=reference_BT, samples_B=samples_B)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.6, 1.0])
@pytest.mark.parametrize("random_floor", [0.0, 0.05])
def test_of_each_row_the_largest_excesses_are_kept(share: float, random_floor: float):
    inputs, selection = rows_of_losses(), LargestExcess(share, random_floor, seed=1)
    weights_BT, counts_B = weigh(selection, inputs), selection.count(inputs[1])
    drawn_BT = weigh(LargestExcess(random_floor, random_floor, seed=1), inputs) if random_floor else inputs[0] * 0
    for row in range(4):
        drawn = drawn_BT[row].nonzero().flatten().tolist()
        assert len(drawn) == int(np.ceil(random_floor * inputs[1][row].sum().item() - 1e-6))
        kept = weights_BT[row].nonzero().flatten().tolist()
        assert kept == kept_by_loop(row, selection, inputs, drawn) and len(kept) == counts_B[row]
    assert set(weights_BT.unique().tolist()) <= {0.0, 1.0} and counts_B[2] == 0


def test_what_is_drawn_depends_on_seed_and_row_and_on_nothing_else():
    inputs = rows_of_losses()
    lottery = LargestExcess(0.3, 0.3, seed=1)
    drawn_BT = weigh(lottery, inputs)
    others = (inputs[0].flip(0), inputs[1], inputs[2].flip(1), inputs[3])
    assert torch.equal(weigh(lottery, others), drawn_BT)
    one_row = tuple(x[1:2] for x in inputs)
    assert torch.equal(weigh(lottery, one_row), drawn_BT[1:2])
    assert not torch.equal(weigh(LargestExcess(0.3, 0.3, seed=2), inputs), drawn_BT)
    assert not torch.equal(weigh(lottery, (*inputs[:3], inputs[3] + 1)), drawn_BT)


def test_rows_of_full_length_draw_every_position_equally_often():
    ones_BT = torch.ones(4000, 10)
    drawn_BT = weigh(LargestExcess(0.2, 0.2, seed=0), (ones_BT, ones_BT, ones_BT, torch.arange(4000)))
    assert (drawn_BT.sum(1) == 2).all()
    assert (drawn_BT.mean(0) - 0.2).abs().max() < 4 * (0.2 * 0.8 / 4000) ** 0.5


@pytest.mark.parametrize("has_reference", [True, False])
def test_what_is_learned_already_is_dropped_and_the_mean_stays_over_all(has_reference: bool):
    nats_BT, mask_BT, reference_BT, samples_B = rows_of_losses()
    reference_BT = reference_BT if has_reference else None
    weights_BT = weigh(Unlearned(1.0), (nats_BT, mask_BT, reference_BT, samples_B))
    for row, t in np.ndindex(*mask_BT.shape):
        learned = nats_BT[row, t] < 1.0 and (reference_BT is None or reference_BT[row, t] < 1.0)
        assert weights_BT[row, t] == (0 if learned else mask_BT[row, t])
    assert (weights_BT < mask_BT).sum() > 0 and torch.equal(Unlearned(1.0).count(mask_BT), mask_BT.sum(1).double())
    assert not is_learned(torch.tensor([1.0]), None, below=1.0)


def test_the_share_goes_from_start_to_end():
    config = SelectionConfig(method=SelectionMethod.rho, share_start=1.0, share_end=0.6, over_steps=8)
    assert [round(config.share_at(step), 9) for step in (0, 2, 8, 100)] == [1.0, 0.9, 0.6, 0.6]
    assert config.at(0, seed=3) is None  # every target: the plain loss, bit for bit
    assert config.at(4, seed=3) == LargestExcess(0.8, random_floor=0.05, seed=3)
    at_once = replace(config, over_steps=0, random_floor=0.5)
    assert at_once.at(0, seed=0) == LargestExcess(0.6, random_floor=0.5, seed=0)
    assert SelectionConfig().at(5, seed=0) is None
    drops = SelectionConfig(method=SelectionMethod.drop_learned, learned_below=0.25)
    assert drops.at(0, seed=0) == Unlearned(0.25)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share_end": 0.0}, "selection.share_end=0.0 must be above 0 and at most 1"),
        ({"share_start": 1.5}, "selection.share_start=1.5 must be above 0 and at most 1"),
        ({"random_floor": 0.7}, "selection.random_floor=0.7 must be from 0 to the smaller"),
        ({"over_steps": -1}, "selection.over_steps=-1 must not be negative"),
        ({"learned_below": float("nan")}, "selection.learned_below=nan must not be negative"),
    ],
)
def test_what_selects_nothing_or_too_much_is_refused(settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        SelectionConfig(**settings)


class ScoredRows(ByteRows):
    """Bytes with a reference loss that follows from byte and place."""

    def read(self, sample: int) -> Row:
        row = super().read(sample)
        reference = (row.ids * 37 + np.arange(len(row.ids)) * 11 + sample * 5) % 96
        return replace(row, reference=reference.astype(np.uint8), epochs=sample // 40)


RHO = SelectionConfig(method=SelectionMethod.rho, share_end=0.5, over_steps=6)
LEDGER = Ledger(config=LedgerConfig(max_epochs=2, learned_below=4.0, noise_above=4.5), flops_per_position=10)
FURTHER = {"model": tiny_model_config(num_mtp_layers=1), "rows": ScoredRows(masked=True)}
RUNS = {
    "rho": {"selection": RHO, "rows": ScoredRows()},
    "rho, masked rows, further tokens": {"selection": RHO, **FURTHER},
    "drop_learned, capacity": {
        "selection": SelectionConfig(method=SelectionMethod.drop_learned, learned_below=4.5),
        "rows": ScoredRows(masked=True),
        "routing": RoutingConfig(capacity_factor=1.0),
    },
}
TOPOLOGIES = {
    "rows": ("rho", {"microbatch": 1}),
    "slices of rows": ("rho", {"sequence_parallel": 2}),
    "further tokens, slices, experts, ZeRO-3": (
        "rho, masked rows, further tokens",
        {"sequence_parallel": 4, "expert_parallel": 2, "zero_stage": 3},
    ),
    "dropped, experts": ("drop_learned, capacity", {"expert_parallel": 4, "microbatch": 1}),
    "stages": ("rho", {"pipeline_parallel": 2, "zero_stage": 1}),
    "dropped, stages of slices": (
        "drop_learned, capacity",
        {"pipeline_parallel": 2, "sequence_parallel": 2, "zero_stage": 1},
    ),
}


def _trainer(world: World, folder: Path, settings: dict) -> Trainer:
    settings = dict(settings)
    selection = settings.pop("selection")
    trainer = tiny_trainer(world, folder, **settings)
    trainer.ledger, trainer.objective.selection_at = LEDGER, partial(selection.at, seed=4)
    return trainer


def _train(world: World, settings: dict) -> dict:
    """Figures of every step, the ledger and the weights afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = _trainer(world, Path(folder), settings)
        figures = train(trainer, STEPS)
    model = trainer.engine.model
    experts = {name: module.first_expert for name, module in model.named_modules() if isinstance(module, Experts)}
    weights = {
        name: (experts.get(name.rpartition(".")[0], 0), tensor.detach().numpy().copy())
        for name, tensor in trainer.engine.weights()
    }
    return {"figures": np.array(figures), "spent": trainer.state.spent, "weights": weights}


def _train_all(world: World) -> dict[str, dict]:
    return {name: _train(world, RUNS[run] | topology) for name, (run, topology) in TOPOLOGIES.items()}


def _train_alone(world: World) -> dict[str, dict]:
    """On one rank: the runs as they are, and one without a selection."""
    found = {name: _train(world, settings) for name, settings in RUNS.items()}
    found["no selection"] = _train(world, RUNS["rho"] | {"selection": SelectionConfig()})
    return found


@pytest.fixture(scope="module")
def one_rank() -> dict[str, dict]:
    return run_ranks(_train_alone, 1)[0]


@pytest.fixture(scope="module")
def of_ranks() -> list[dict]:
    return run_ranks(_train_all, 4, timeout_s=400)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_any_topology_selects_and_learns_as_one_rank(one_rank: dict, of_ranks: list[dict], topology: str):
    expected = one_rank[TOPOLOGIES[topology][0]]
    for found in (of_rank[topology] for of_rank in of_ranks):
        _assert_same(found, expected)


def test_selection_learns_something_else(one_rank: dict):
    assert np.abs(one_rank["rho"]["figures"] - one_rank["no selection"]["figures"]).max() > 0.01


def _assert_same(found: dict, expected: dict) -> None:
    difference = np.abs(found["figures"] - expected["figures"]) / np.maximum(np.abs(expected["figures"]), 1)
    assert difference.max() < 1e-5, difference.max(0)
    assert found["spent"] == expected["spent"]
    for name, (first, weight) in found["weights"].items():
        whole = expected["weights"][name][1]
        part = whole[first : first + len(weight)] if weight.ndim else whole
        assert np.abs(part - weight).max() < 1e-4, name


def test_the_ledger_of_a_run_is_an_exact_partition(one_rank: dict):
    for name in RUNS:
        spent = one_rank[name]["spent"]
        assert sum(num for part, num in spent.items() if part != "dropped") == STEPS * 8 * 48, name
        used = {"repeated", "learned", "noise", "useful"} | ({"padding", "masked"} if name != "rho" else set())
        assert all(spent[part] > 0 for part in used), (name, spent)
    assert one_rank["rho"]["spent"]["unselected"] > 0 == one_rank["no selection"]["spent"]["unselected"]
    assert one_rank["drop_learned, capacity"]["spent"]["dropped"] > 0 == one_rank["rho"]["spent"]["dropped"]
