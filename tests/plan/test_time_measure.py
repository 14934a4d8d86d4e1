import pytest
import torch

from mai1.plan.layout import Format, Layout
from mai1.plan.timing import measure
from mai1.plan.timing.step_time import step_time
from mai1.plan.workload import Workload
from tests.plan.test_time import MODEL


def test_what_is_measured_can_be_planned_with(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(measure, "SIDE", 128)
    monkeypatch.setattr(measure, "COPIED", 2**16)
    device = measure.measure_device()
    assert device.peak_flops["fp32"] > 1e8 and device.memory_bytes_per_s > 1e7
    work = Workload(model=MODEL, sequence_length=128, sequences_per_step=1)
    assert step_time(work, Layout(num_devices=1, format=Format.fp32), device).total > 0


def test_the_best_of_several_rounds_counts_by_processor_time_of_one_thread(monkeypatch: pytest.MonkeyPatch):
    readings = iter([0.0, 4.0, 10.0, 12.0, 20.0, 26.0, 30.0, 33.0, 40.0, 45.0])
    monkeypatch.setattr(measure.time, "process_time", lambda: next(readings))
    assert measure.best_seconds(lambda: None) == 2.0 / torch.get_num_threads()
