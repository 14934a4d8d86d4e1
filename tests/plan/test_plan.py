"""A plan's numbers against arithmetic by hand, and what it does where something is not known."""

import math
from dataclasses import replace

import pytest

from mai1.model.flops import count_parameters
from mai1.model.lora import LoraConfig
from mai1.optim.config import Method
from mai1.plan.layout import Format, Layout
from mai1.plan.memory.parameters import parameters_of
from mai1.plan.plan import fewest_devices, laws_for, make_plan, stored_bytes
from mai1.plan.record import as_record
from mai1.plan.search.search import search
from mai1.plan.search.space import Question
from mai1.plan.search.usual import rows_per_step, with_vocabulary
from mai1.plan.workload import Workload
from tests.plan.test_search import DEVICE, MODEL

PINNED = {"format": Format.bf16, "tensor": 1, "sequence": 1, "microbatch": 2, "virtual_stages": 1}


def question(**changes) -> Question:
    usual = {"model": MODEL, "sequence_length": 512, "sequences_per_step": 32, "hardware": DEVICE, "num_devices": 4}
    return Question(**usual | {"pinned": PINNED} | changes)


def workload(**training) -> Workload:
    return question(**training).workload(8)


def test_time_energy_and_cost_follow_from_the_step_by_hand():
    asked = question(hardware=replace(DEVICE, watts=1000.0, dollars_per_hour=2.0))
    plan = make_plan(asked, tokens=1e9)
    step_s, share = plan.best.time.total, plan.length.goodput.effective_share
    hours = math.ceil(1e9 / (32 * 512)) * step_s / share / 3600  # whole steps
    assert plan.length.cost.device_hours == pytest.approx(4 * hours)
    assert plan.length.cost.dollars == pytest.approx(8 * hours)
    assert plan.length.cost.kilowatt_hours == pytest.approx(4 * hours * 1.0 * 1.2)
    assert plan.length.goodput.checkpoint_bytes == 14 * plan.parameters.total
    assert plan.compute_flops == plan.flops_per_token * 1e9
    assert plan.mfu_of(plan.best) == pytest.approx(plan.best.time.mfu(plan.best.workload, peak_flops=100e12))


def test_traffic_is_that_of_the_best_layout_most_first():
    plan = make_plan(question(pinned=PINNED | {"expert": 4, "zero_stage": 2}), tokens=1e9)
    sent = [load.transfer.bytes_sent for load in plan.loads]
    assert sent == sorted(sent, reverse=True) and any(load.transfer.group == "expert" for load in plan.loads)
    assert all(load.share_outside_node == 0 for load in plan.loads)


def test_without_the_speeds_of_storage_and_host_failures_are_left_out():
    plan = make_plan(question(hardware=replace(DEVICE, storage_bytes_per_s=0.0)), tokens=1e9)
    assert plan.length.goodput is None
    seconds = plan.length.steps * plan.best.time.total
    assert plan.length.cost.seconds == pytest.approx(seconds) and "mtbf_s" not in as_record(plan)["run"]


def test_the_best_of_today_is_the_best_among_what_runs():
    asked = question(pinned={"microbatch": 2})
    plan = make_plan(asked, tokens=1e9)
    assert plan.best.obstacles and not plan.runnable.obstacles
    assert plan.today == search(replace(asked, must_run=True), limit=len(plan.today)).best


def test_the_fewest_devices_are_the_first_count_that_fits_in_time():
    asked = question(sequences_per_step=32, num_devices=1)
    times = {count: search(replace(asked, num_devices=count), limit=1).best[0].seconds_per_token for count in (1, 2, 4)}
    between = 1e9 * (times[1] + times[2]) / 2 / 86400
    assert fewest_devices(asked, tokens=1e9, days=0, counts=[1, 2, 4]) == 1
    assert fewest_devices(asked, tokens=1e9, days=between, counts=[1, 2, 4]) == 2
    with pytest.raises(ValueError, match="up to 4 devices fits and trains on 1e"):
        fewest_devices(asked, tokens=1e9, days=1e-9, counts=[1, 2, 4])


def test_the_usual_batch_is_that_of_the_published_law():
    rows = rows_per_step(MODEL, tokens=1e9, sequence_length=512)
    flops = make_plan(question(), tokens=1e9).compute_flops
    assert rows * 512 == pytest.approx(0.0694 * flops**0.3644, rel=0.05)
    assert with_vocabulary(replace(MODEL, vocab_size=0)).vocab_size == 8192 and with_vocabulary(MODEL) is MODEL


def test_a_checkpoint_holds_what_is_trained():
    """bf16 weights, fp32 masters, two moments; Muon has one for matrices; of adapters only the factors' state is kept."""
    total = count_parameters(MODEL).total
    vectors = sum(t.numel for t in parameters_of(workload(), Layout(num_devices=1), 0).tensors if not t.is_decayed)
    lora = LoraConfig(rank=4)
    few = parameters_of(workload(lora=lora), Layout(num_devices=1), 0).trained.total
    expected = {
        14 * total: {},
        10 * total + 4 * vectors: {"method": Method.muon},
        2 * total + 12 * few: {"lora": lora},
    }
    for size, training in expected.items():
        asked = question(**training)
        assert stored_bytes(search(asked, limit=1).best[0]) == pytest.approx(size)


def test_more_devices_than_rows_are_planned_with_more_rows_and_a_remark():
    asked = question(num_devices=64, sequences_per_step=7, rounds_rows=True)
    plan = make_plan(asked, tokens=1e9)
    assert plan.best.workload.sequences_per_step > 7 and plan.notes[0].startswith("7 rows a step would suit")
    assert not any("would suit" in note for note in make_plan(question(), tokens=1e9).notes)


def test_laws_are_silent_on_runs_they_do_not_speak_of():
    assert laws_for(1e14, context=512) == [] and len(laws_for(1e22, context=512)) > 3
