"""One rank of large layouts, on shapes alone, beside what is predicted of it."""

import pytest
import torch.distributed as dist

from mai1.model.transformer import ModelConfig
from mai1.plan.layout import Format, Layout, Recompute
from mai1.plan.memory.memory import memory_by_stage
from mai1.plan.rehearsal.rehearsal import Rehearsed, rehearse
from mai1.plan.rehearsal.stand_ins import pretended_ranks
from mai1.plan.workload import Workload
from tests.support.tiny import family_configs, tiny_model_config

WIDE = {"d_model": 256, "attention": {"head_dim": 64}, "moe": {"num_experts": 16, "expert_width": 128}}


def workload_of(layout: Layout, model: ModelConfig | None = None, *, length: int = 256) -> Workload:
    model = model or tiny_model_config(**WIDE)
    return Workload(model=model, sequence_length=length, sequences_per_step=layout.microbatch * layout.data)


def done(layout: Layout, model: ModelConfig | None = None, *, rank: int = 0) -> Rehearsed:
    return rehearse(workload_of(layout, model), layout, rank=rank)


@pytest.mark.parametrize("num_devices", [8, 64, 512, 4096, 15000])
def test_a_rank_of_any_number_sends_what_is_predicted(num_devices: int):
    layout = Layout(num_devices=num_devices, expert=8, sequence=4)
    found = done(layout, rank=num_devices - 1)
    assert [row.what for row in found.comparison if not row.is_exact] == []
    assert {row.ranks[-1] for row in found.comparison} == {num_devices - 1}
    assert sum(row.recorded.calls for row in found.comparison) == len(found.messages) == 5 * 2 + 4 * 3


KEPT = {
    "fp32, loops over experts": Layout(num_devices=8, expert=4, format=Format.fp32, microbatch=2),
    "bf16, experts at once": Layout(num_devices=8, expert=4, microbatch=2),
    "experts all here": Layout(num_devices=8, microbatch=2),
    "fused experts": Layout(num_devices=8, expert=4, microbatch=2, fuses_experts=True),
    "fused experts, all here": Layout(num_devices=8, microbatch=2, fuses_experts=True),
    "slices of rows": Layout(num_devices=64, expert=8, sequence=2),
    "second stage": Layout(num_devices=64, expert=8, pipeline=2, zero_stage=1),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept_for_the_backward_is_what_memory_of_says(name: str):
    layout = KEPT[name]
    found = done(layout, rank=layout.num_devices - 1)
    predicted = memory_by_stage(workload_of(layout), layout, is_packed=False)[found.stage].activations
    # off a CPU, fp32 attention wants a key for every query head
    allowed = 0.07 if layout.format is Format.fp32 else 0.01
    assert found.kept_bytes == pytest.approx(predicted, rel=allowed)
    assert found.peak_bytes > found.kept_bytes


def test_where_blocks_are_computed_again_one_of_them_is_there_at_the_peak():
    layout = Layout(num_devices=64, expert=8, recompute=Recompute.full)
    found = done(layout)
    predicted = memory_by_stage(workload_of(layout), layout, is_packed=False)[0].activations
    assert found.kept_bytes < predicted < found.peak_bytes


def test_latents_are_rehearsed_too():
    model = family_configs()["deepseek_v3_full_queries"]
    layout = Layout(num_devices=16, expert=4, sequence=2)
    found = done(layout, model, rank=3)
    assert all(row.is_exact for row in found.comparison)


def test_a_later_stage_holds_its_own_blocks_alone():
    layout = Layout(num_devices=16, pipeline=2, zero_stage=1, expert=4)
    first, last = done(layout, rank=0), done(layout, rank=15)
    assert (first.stage, last.stage) == (0, 1) and first.parameters != last.parameters


def test_nothing_is_left_behind():
    done(Layout(num_devices=8, expert=4))
    assert not dist.is_initialized()


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="not rehearse it: tensor parallelism"):
        done(Layout(num_devices=8, tensor=2))
    with pytest.raises(ValueError, match=r"rehearse\.rank=8 must be from 0 to 7"):
        done(Layout(num_devices=8), rank=8)
    with pretended_ranks(2, rank=0), pytest.raises(ValueError, match="a process of its own"):
        done(Layout(num_devices=8))
