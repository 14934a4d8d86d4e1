"""The ledger: every position in exactly one part, whatever the batch; costs add up to the last FLOP."""

from types import SimpleNamespace

import pytest
import torch

from mai1.checkpoint.checkpoint import TrainerState
from mai1.data.batch import Batch
from mai1.loss import Losses
from mai1.model.flops import training_flops_per_choice, training_flops_per_token
from mai1.train.ledger import COUNTED, PARTS, Ledger, LedgerConfig, num_positions, take_back
from tests.support.tiny import tiny_model_config

CONFIG = LedgerConfig(max_epochs=2, learned_below=1.0, noise_above=3.0)


def make_batch(*, has_reference: bool, sequence_rank: int = 0, sequence_size: int = 1) -> tuple[Batch, Losses]:
    """Random everything, with what is not a target at nats of 0, as losses have it."""
    generator = torch.Generator().manual_seed(0)
    shape = (6, 40)

    def some(*values: float) -> torch.Tensor:
        return torch.tensor(values)[torch.randint(len(values), shape, generator=generator)]

    zeros_BT, mask_BT, weights_BT = some(0), some(0.0, 1.0, 1.0, 1.0), some(0.0, 1.0, 1.0)
    nats_BT = some(0.5, 1.0, 2.0, 4.0) * mask_BT
    batch = Batch(
        tokens_BT=zeros_BT,
        targets_BT=zeros_BT,
        positions_BT=zeros_BT,
        segments_BT=some(-1, 0, 1, 2, 3),
        loss_mask_BT=mask_BT,
        sources_BT=zeros_BT,
        samples_B=zeros_BT[:, 0],
        epochs_BT=some(0, 0, 1, 2, 3),
        is_packed=True,
        sequence_rank=sequence_rank,
        sequence_size=sequence_size,
        reference_BT=some(0.5, 2.0, 3.0, 4.0, 5.0) if has_reference else None,
    )
    zero = torch.zeros(())
    return batch, Losses(zero, zero, zero, zero, zero, batch.own(nats_BT), batch.own(weights_BT * mask_BT))


def part_of(batch: Batch, losses: Losses, row: int, t: int) -> str:
    """The first reason that fits, one after the other."""
    nats = losses.nats_BT[row, t]
    reference = None if batch.reference_BT is None else batch.reference_BT[row, t]
    if batch.segments_BT[row, t] < 0:
        return "padding"
    if batch.epochs_BT[row, t] >= 2:
        return "repeated"
    if not batch.loss_mask_BT[row, t]:
        return "masked"
    if nats < 1.0 and (reference is None or reference < 1.0):
        return "learned"
    if reference is not None and reference > 3.0 and nats - reference <= 0:
        return "noise"
    return "useful" if losses.weights_BT[row, t] else "unselected"


def routings(*dropped: int) -> list:
    return [SimpleNamespace(dropped_E=torch.tensor([num, 1])) for num in dropped]


@pytest.mark.parametrize("has_reference", [True, False])
def test_every_position_is_in_the_first_part_that_fits(has_reference: bool):
    batch, losses = make_batch(has_reference=has_reference)
    counted = dict(zip(COUNTED, Ledger(config=CONFIG).count(batch, losses, routings(3, 4)).tolist(), strict=True))
    expected = dict.fromkeys(PARTS, 0)
    for row in range(6):
        for t in range(40):
            expected[part_of(batch, losses, row, t)] += 1
    assert counted == expected | {"dropped": 9}
    assert sum(expected.values()) == 240
    assert all(num > 0 for part, num in expected.items() if has_reference or part != "noise")


def test_slices_of_rows_count_their_own_positions():
    whole = Ledger(config=CONFIG).count(*make_batch(has_reference=True), routings(0))
    slices = [
        Ledger(config=CONFIG).count(*make_batch(has_reference=True, sequence_rank=rank, sequence_size=4), routings(0))
        for rank in range(4)
    ]
    assert torch.equal(sum(part[:-1] for part in slices), whole[:-1])


def test_stages_before_the_last_count_what_they_dropped_alone():
    batch, losses = make_batch(has_reference=True)
    losses.nats_BT = losses.weights_BT = None
    assert Ledger(config=CONFIG).count(batch, losses, routings(5)).tolist() == [0.0] * len(PARTS) + [6.0]


def test_costs_add_up_exactly_also_where_choices_were_dropped():
    model = tiny_model_config()
    cost, of_choice = training_flops_per_token(model, context=48), training_flops_per_choice(model)
    assert of_choice == 18 * 64 * 32
    ledger = Ledger(flops_per_position=cost, flops_per_choice=of_choice, scoring_flops=77)
    spent = {"padding": 10**15 + 1, "useful": 10**15 + 7, "learned": 3, "refused": 5, "dropped": 12345}
    flops = ledger.flops(spent)
    assert sum(flops.values()) == (2 * 10**15 + 16) * cost  # beyond what a float holds exactly
    assert flops["dropped"] == 12345 * of_choice and flops["useful"] == (10**15 + 7) * cost - 12345 * of_choice
    assert ledger.total(spent) == sum(flops.values()) + 77
    nothing_useful = ledger.flops({"masked": 4, "useful": 0, "dropped": 99})
    assert nothing_useful == {"masked": 4 * cost, "useful": 0, "dropped": 0}


def new_state() -> TrainerState:
    return TrainerState(step=0, tokens=0, seconds=0.0, data_fingerprint="", run={})


def test_a_refused_step_is_wasted_as_often_as_it_was_computed():
    ledger, state, step = Ledger(flops_per_position=2), new_state(), {"useful": 6, "padding": 2, "dropped": 0}
    figures = ledger.book(state, step, is_applied=True, num_runs=1)
    assert figures["flops_useful_fraction"] == 0.75
    assert figures["ledger"] == {"useful": 12, "padding": 4, "refused": 0, "dropped": 0, "scoring": 0}
    ledger.book(state, step, is_applied=True, num_runs=2)
    ledger.book(state, step, is_applied=False, num_runs=2)
    assert state.spent == {"useful": 12, "padding": 4, "refused": 24, "dropped": 0}
    assert num_positions(state.spent) == 5 * 8


def test_steps_that_are_taken_back_stay_spent():
    before = {"useful": 100, "padding": 20, "refused": 8, "undone": 4, "dropped": 9}
    after = take_back(before, {"useful": 60, "padding": 10, "dropped": 2})
    assert after == {"useful": 60, "padding": 10, "dropped": 2, "undone": 62}
    assert num_positions(after) == num_positions(before)
    assert take_back(before, {}) == {"undone": 132}


@pytest.mark.parametrize("key", ["max_epochs", "learned_below", "noise_above"])
@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan")])
def test_thresholds_that_mean_nothing_are_refused(key: str, value: float):
    with pytest.raises(ValueError, match=f"ledger.{key}={value} must not be negative or infinite"):
        LedgerConfig(**{key: value})
