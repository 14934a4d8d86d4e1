"""A plan's numbers against arithmetic by hand, and what it does where something is not known."""

from dataclasses import replace

import pytest

from mai1.plan.layout import Format
from mai1.plan.plan import fewest_devices, laws_for, make_plan
from mai1.plan.record import as_record
from mai1.plan.search.search import search
from mai1.plan.search.space import Question
from mai1.plan.search.usual import rows_per_step, with_vocabulary
from tests.plan.test_search import DEVICE, MODEL

PINNED = {"format": Format.bf16, "tensor": 1, "sequence": 1, "microbatch": 2, "virtual_stages": 1}


def question(**changes) -> Question:
    usual = {"model": MODEL, "sequence_length": 512, "sequences_per_step": 32, "hardware": DEVICE, "num_devices": 4}
    return Question(**usual | {"pinned": PINNED} | changes)


def test_time_energy_and_cost_follow_from_the_step_by_hand():
    asked = question(hardware=replace(DEVICE, watts=1000.0, dollars_per_hour=2.0))
    plan = make_plan(asked, tokens=1e9)
    step_s, share = plan.best.time.total, plan.length.goodput.effective_share
    hours = 1e9 / (32 * 512) * step_s / share / 3600
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
    seconds = 1e9 * plan.best.seconds_per_token
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


def test_laws_are_silent_on_runs_they_do_not_speak_of():
    assert laws_for(1e14, context=512) == [] and len(laws_for(1e22, context=512)) > 3
