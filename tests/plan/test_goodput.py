"""Failures, checkpoints and lost time: against published figures, and against failures simulated one by one."""

import random
from dataclasses import fields

import pytest

from mai1.plan.failures import LLAMA_3_CAUSES, failures, poisson_quantile
from mai1.plan.goodput import (
    LITTLE,
    LLAMA_3_RATE,
    SECONDS_PER_DAY,
    GoodputConfig,
    best_interval,
    checkpoint_bytes,
    daly_interval,
    effective_share,
    first_order_waste,
    goodput,
    young_interval,
)
from mai1.plan.hardware import Hardware
from mai1.watch.config import LaunchConfig

H100 = Hardware(
    name="H100",
    memory_bytes=80e9,
    memory_bytes_per_s=3.35e12,
    node_bytes_per_s=4.5e11,
    network_bytes_per_s=5e10,
    host_bytes_per_s=5e10,
    storage_bytes_per_s=2e9,
)
MTBF_S = SECONDS_PER_DAY / (LLAMA_3_RATE * 15_000)


def test_saving_less_often_may_cost_a_little_and_no_more():
    plan = goodput(2_048, H100, checkpoint_bytes(671e9), step_s=30.0)

    def effective(steps: int) -> float:
        costs = {"stall_s": plan.stall_s, "write_s": plan.write_s, "recovery_s": plan.recovery_s, "mtbf_s": plan.mtbf_s}
        return effective_share(steps * 30.0, **costs).effective

    least = effective(plan.every_steps) * (1 - LITTLE)
    assert effective(plan.sparing_every_steps) >= least > effective(plan.sparing_every_steps + 1)
    assert plan.sparing_every_steps > 2 * plan.every_steps


def test_15000_devices_fail_as_often_as_llama_3_says():
    assert pytest.approx(SECONDS_PER_DAY / MTBF_S, abs=0.05) == 7.1
    assert pytest.approx(MTBF_S / 3600, abs=0.05) == 3.4


@pytest.mark.parametrize(("stall_s", "interval_s", "waste"), [(5, 349, 0.029), (30, 854, 0.070), (120, 1708, 0.14)])
def test_youngs_rule_gives_the_table_of_waste(stall_s: float, interval_s: float, waste: float):
    assert young_interval(stall_s, MTBF_S) == pytest.approx(interval_s, abs=1)
    assert first_order_waste(stall_s, MTBF_S) == pytest.approx(waste, abs=0.0005)


@pytest.mark.parametrize(("mtbf_minutes", "interval_minutes"), [(24 * 60, 117), (6 * 60, 57), (15, 9.1)])
def test_dalys_estimate_gives_the_intervals_of_his_figures(mtbf_minutes: float, interval_minutes: float):
    assert daly_interval(5, mtbf_minutes) == pytest.approx(interval_minutes, rel=0.006)


@pytest.mark.parametrize("stall_s", [0.25, 5, 120, 3000])
def test_no_interval_loses_less_than_the_best(stall_s: float):
    def effective(interval_s: float) -> float:
        return effective_share(interval_s, stall_s=stall_s, write_s=60, recovery_s=300, mtbf_s=MTBF_S).effective

    best = best_interval(stall_s, MTBF_S)
    assert effective(best) >= max(effective(best * (0.2 + 0.02 * i)) for i in range(200))
    assert best == pytest.approx(daly_interval(stall_s, MTBF_S), rel=0.002)


def test_shares_of_time_sum_to_one():
    shares = effective_share(700, stall_s=20, write_s=90, recovery_s=400, mtbf_s=5000)
    assert shares.effective + shares.saving + shares.repeating + shares.recovery == pytest.approx(1)


def simulated(
    *, every_steps: int, step_s: float, stall_s: float, write_s: float, recovery_s: float, mtbf_s: float, restarts: int
) -> tuple[float, float, float]:
    """Shares of time in steps that last, in stalls and in recovery: every step and every failure one after the other."""
    generator = random.Random(0)
    lasting_s = stalled_s = recovering_s = running_s = 0.0
    for _ in range(restarts):
        fails_at_s, now_s, done, reliable, being_written = generator.expovariate(1 / mtbf_s), 0.0, 0, 0, []
        running_s += fails_at_s
        while now_s < fails_at_s:
            now_s, done = now_s + step_s, done + 1
            if done % every_steps == 0 and now_s < fails_at_s:
                stalled_s += min(stall_s, fails_at_s - now_s)
                now_s += stall_s
                being_written.append((now_s + write_s, done))
        reliable = max([0, *(steps for ready_s, steps in being_written if ready_s <= fails_at_s)])
        lasting_s += reliable * step_s
        while (next_failure_s := generator.expovariate(1 / mtbf_s)) < recovery_s:
            recovering_s += next_failure_s
        recovering_s += recovery_s
    whole_s = running_s + recovering_s
    return lasting_s / whole_s, stalled_s / whole_s, recovering_s / whole_s


@pytest.mark.parametrize(
    ("every_steps", "stall_s", "write_s", "recovery_s"), [(5, 10, 0, 0), (8, 40, 300, 900), (30, 1, 120, 300)]
)
def test_shares_are_those_of_failures_simulated_one_by_one(
    every_steps: int, stall_s: float, write_s: float, recovery_s: float
):
    times = {"stall_s": stall_s, "write_s": write_s, "recovery_s": recovery_s, "mtbf_s": 4000.0}
    lasting, saving, recovery = simulated(every_steps=every_steps, step_s=60.0, restarts=15_000, **times)
    shares = effective_share(every_steps * 60.0, **times)
    assert shares.effective == pytest.approx(lasting, abs=0.01)
    assert shares.saving == pytest.approx(saving, abs=0.002)
    assert shares.recovery == pytest.approx(recovery, abs=0.005)


def test_llama_3s_run_is_predicted_to_be_effective_more_than_nine_tenths_of_the_time():
    plan = goodput(16_384, H100, checkpoint_bytes(405e9), step_s=7.0)
    assert plan.failures_per_day == pytest.approx(419 / 54)
    assert 0.9 < plan.effective_share < 0.99


def test_the_recommended_number_of_steps_is_the_best_one():
    size = checkpoint_bytes(500e9)
    plan = goodput(15_000, H100, size, step_s=10.0, config=GoodputConfig(stall_s=20))

    def effective(every_steps: int) -> float:
        times = {name: getattr(plan, name) for name in ("stall_s", "write_s", "recovery_s", "mtbf_s")}
        return effective_share(every_steps * 10.0, **times).effective

    best = max(range(1, 400), key=effective)
    assert plan.every_steps == pytest.approx(best, abs=1)
    assert plan.effective_share == pytest.approx(effective(plan.every_steps))
    assert plan.checkpoint_interval_s == plan.every_steps * 10.0


def test_a_save_is_not_asked_for_before_the_last_one_is_written():
    plan = goodput(1_000, H100, checkpoint_bytes(500e9), step_s=1.0, config=GoodputConfig(storage_bytes_per_s=1e9))
    assert plan.write_s == pytest.approx(7000)
    assert plan.checkpoint_interval_s >= plan.write_s


WORSE = {
    "failures_per_device_day": 2e-3,
    "hang_share": 0.9,
    "stuck_after_s": 3000.0,
    "exit_found_s": 200.0,
    "restart_s": 2000.0,
    "stall_s": 30.0,
    "storage_bytes_per_s": 1e11,
}


@pytest.mark.parametrize("key", [field.name for field in fields(GoodputConfig)])
def test_every_key_has_an_effect(key: str):
    plan = goodput(15_000, H100, 7e12, step_s=10.0)
    worse = goodput(15_000, H100, 7e12, step_s=10.0, config=GoodputConfig(**{key: WORSE[key]}))
    assert worse.effective_share < plan.effective_share - 0.003


def test_a_checkpoint_of_ours_is_as_large_as_the_benchmarks():
    assert checkpoint_bytes(110e6, weight_bytes=4) == pytest.approx(1.29e9, rel=0.03)
    assert checkpoint_bytes(1, moments=1) == 10  # bf16, fp32 masters, Muon's momentum


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"restart_s": -1.0}, r"goodput.restart_s=-1.0 must not be negative"),
        ({"hang_share": 1.5}, r"goodput.hang_share=1.5 is a share"),
        ({"failures_per_device_day": 0.0}, r"goodput.failures_per_device_day=0 must be above 0"),
    ],
)
def test_what_cannot_be_is_refused(config: dict[str, float], message: str):
    with pytest.raises(ValueError, match=message):
        GoodputConfig(**config)


def test_a_run_that_fails_faster_than_it_recovers_is_refused():
    with pytest.raises(ValueError, match="15000 devices fail every 12162 s but a recovery takes .* makes no progress"):
        goodput(15_000, H100, 7e12, step_s=10.0, config=GoodputConfig(restart_s=1e6))


def test_hardware_without_storage_is_refused_by_name():
    with pytest.raises(ValueError, match="hardware.storage_bytes_per_s=0"):
        goodput(8, Hardware(host_bytes_per_s=1.0), 1e9, step_s=1.0)


def test_causes_are_all_of_llama_3s_interruptions():
    assert sum(LLAMA_3_CAUSES.values()) == 419
    predicted = failures(54 * SECONDS_PER_DAY, mtbf_s=SECONDS_PER_DAY / (LLAMA_3_RATE * 16_384))
    assert predicted.by_cause == pytest.approx(LLAMA_3_CAUSES)
    assert predicted.expected == pytest.approx(419)


def test_sixty_days_on_15000_devices_take_more_restarts_than_are_allowed_by_default():
    predicted = failures(60 * SECONDS_PER_DAY, mtbf_s=MTBF_S)
    assert (round(predicted.expected), predicted.at_most) == (426, 475)
    assert predicted.at_most > LaunchConfig().max_restarts


@pytest.mark.parametrize("expected", [0.01, 3.0, 426.0])
def test_a_run_has_more_failures_than_allowed_in_one_of_a_hundred(expected: float):
    """Counts by adding up exponential times between failures."""
    generator = random.Random(1)

    def count() -> int:
        now, failed = generator.expovariate(expected), 0
        while now < 1:
            now, failed = now + generator.expovariate(expected), failed + 1
        return failed

    at_most, runs = poisson_quantile(expected, 0.99), 2000
    assert sum(count() > at_most for _ in range(runs)) / runs <= 0.015
    assert sum(count() > at_most - 1 for _ in range(runs)) / runs > 0.005
