"""Days, electricity and money of a token budget."""

import pytest

from mai1.plan.energy import EnergyConfig, energy_and_cost
from mai1.plan.hardware import Hardware

DEVICE = Hardware(watts=1000.0, dollars_per_hour=2.0)
RUN = {"tokens_per_s": 1e6, "num_devices": 1000, "hardware": DEVICE}


def test_a_run_is_counted_in_device_hours():
    run = energy_and_cost(3.6e9 * 24, **RUN, config=EnergyConfig(pue=1.0))
    assert run.days == pytest.approx(1)
    assert run.device_hours == pytest.approx(24_000)
    assert run.kilowatt_hours == pytest.approx(24_000)
    assert run.dollars == pytest.approx(48_000)


def test_deepseek_v3s_hours_are_those_of_its_throughput():
    """2,664 thousand H800 hours for 14.8 T tokens are 1,543 tokens a second and device (arXiv 2412.19437, table 1)."""
    run = energy_and_cost(14.8e12, tokens_per_s=1543 * 2048, num_devices=2048, hardware=DEVICE)
    assert run.device_hours == pytest.approx(2.664e6, rel=1e-3)
    assert run.dollars == pytest.approx(5.328e6, rel=1e-3)


def test_every_key_has_an_effect():
    plain = energy_and_cost(1e12, **RUN)
    assert energy_and_cost(1e12, **RUN, config=EnergyConfig(pue=2.4)).kilowatt_hours == 2 * plain.kilowatt_hours
    paid = energy_and_cost(1e12, **RUN, config=EnergyConfig(dollars_per_kilowatt_hour=0.1))
    assert paid.dollars == pytest.approx(plain.dollars + 0.1 * plain.kilowatt_hours)


def test_lost_time_is_paid_too():
    assert energy_and_cost(1e12, **RUN, effective_share=0.5).dollars == 2 * energy_and_cost(1e12, **RUN).dollars


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"energy.pue=0.9 must be at least 1"):
        EnergyConfig(pue=0.9)
    with pytest.raises(ValueError, match=r"effective_share=1.2 in \(0, 1\]"):
        energy_and_cost(1.0, **RUN, effective_share=1.2)
