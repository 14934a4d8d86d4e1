"""The search finds what trying everything finds; what does not fit is refused with the reason and the nearest that does."""

from dataclasses import fields, replace
from functools import cache
from itertools import product

import pytest

from mai1.model.attention import AttentionConfig
from mai1.model.lora import LoraConfig
from mai1.model.moe.layer import MoEConfig
from mai1.model.transformer import ModelConfig
from mai1.plan.hardware import Hardware
from mai1.plan.layout import Format, Layout, Recompute
from mai1.plan.memory.memory import memory_of
from mai1.plan.search.candidate import topology_of
from mai1.plan.search.queue import shortest_time
from mai1.plan.search.refusal import why_nothing_fits
from mai1.plan.search.room import sharding_of, state_bytes
from mai1.plan.search.search import nearest_that_fits, search
from mai1.plan.search.space import Question, pinned_values, shapes, sharded, sparing, variants
from mai1.plan.search.support import engine_of, layout_of, obstacles, overrides_of
from mai1.plan.timing.step_time import step_time
from mai1.plan.workload import Workload
from mai1.run.compose import compose_config
from mai1.run.config import PretrainConfig

MODEL = ModelConfig(
    vocab_size=1024,
    d_model=256,
    num_layers=5,
    dense_width=512,
    attention=AttentionConfig(num_heads=4, num_kv_heads=2, head_dim=64),
    moe=MoEConfig(num_experts=8, top_k=2, expert_width=128, num_shared_experts=1),
)
DEVICE = Hardware(
    name="Box",
    memory_bytes=1e12,
    peak_flops={"bf16": 100e12, "fp8": 200e12},
    memory_bytes_per_s=1e12,
    devices_per_node=4,
    node_bytes_per_s=50e9,
    network_bytes_per_s=5e9,
    host_bytes_per_s=20e9,
    storage_bytes_per_s=1e9,
)


def question(**changes) -> Question:
    usual = {"model": MODEL, "sequence_length": 512, "sequences_per_step": 32, "hardware": DEVICE, "num_devices": 4}
    return Question(**usual | changes)


WORKLOAD = Workload(model=MODEL, sequence_length=512, sequences_per_step=32)


@cache
def bytes_of(layout: Layout, imbalance: float) -> float:
    """Of the fullest device."""
    return memory_of(WORKLOAD, layout, imbalance=imbalance).total


@cache
def seconds_of(layout: Layout, imbalance: float) -> float:
    """A token, of all devices together."""
    return step_time(WORKLOAD, layout, DEVICE, imbalance=imbalance).total / WORKLOAD.tokens_per_step


def everything(asked: Question) -> list[Layout]:
    """Every layout of the small case by trying all values of all fields: slow, and written without the search's rules."""
    assert (asked.model, asked.sequence_length, asked.sequences_per_step) == (MODEL, 512, 32)
    sizes, found = (1, 2, 4), []
    for pipeline, tensor, sequence, expert in product(sizes, repeat=4):
        heads = asked.model.attention.num_heads % (tensor * sequence) == 0
        divides = (
            asked.num_devices % (pipeline * tensor * sequence) == 0 and asked.num_devices % (pipeline * expert) == 0
        )
        if not (heads and divides):
            continue
        for zero, rows, recompute, offload, virtual, format in product(
            (1, 2, 3), (1, 2, 4, 8, 16, 32), Recompute, (False, True), range(1, 6), (Format.bf16, Format.fp8)
        ):
            layout = Layout(
                num_devices=asked.num_devices,
                expert=expert,
                tensor=tensor,
                pipeline=pipeline,
                virtual_stages=virtual,
                sequence=sequence,
                zero_stage=zero,
                microbatch=rows,
                recompute=recompute,
                format=format,
                offload_optimizer=offload,
            )
            at_once = rows * layout.data
            if asked.sequences_per_step % at_once or any(getattr(layout, n) != v for n, v in asked.pinned.items()):
                continue
            rounds = asked.sequences_per_step // at_once
            if virtual > 1 and (pipeline == 1 or rounds % pipeline or pipeline * virtual > asked.model.num_layers):
                continue
            if not asked.must_run or not obstacles(WORKLOAD, layout):
                found.append(layout)
    return found


def tried(asked: Question) -> list[tuple[float, Layout]]:
    """Seconds a token of all layouts that fit, fastest first."""
    fitting = (
        layout for layout in everything(asked) if bytes_of(layout, asked.imbalance) <= asked.hardware.memory_bytes
    )
    return sorted(((seconds_of(layout, asked.imbalance), layout) for layout in fitting), key=lambda entry: entry[0])


def tightest(asked: Question, share: float) -> Question:
    """The same on devices with room for the smallest layout, and a share of what the middle one needs besides."""
    sizes = sorted(bytes_of(layout, asked.imbalance) for layout in everything(asked))
    room = sizes[0] * 1.001 + share * (sizes[len(sizes) // 2] - sizes[0])
    return replace(asked, hardware=replace(asked.hardware, memory_bytes=room))


@pytest.mark.parametrize("share", [0.0, 0.2, 50.0])
@pytest.mark.parametrize(
    "changes",
    [
        {"pinned": {"format": Format.bf16, "microbatch": 2}},
        {"must_run": True},
        {"imbalance": 1.5, "pinned": {"tensor": 1, "sequence": 1, "format": Format.fp8}},
    ],
    ids=["any", "today", "pinned"],
)
def test_the_search_finds_what_trying_everything_finds(changes: dict, share: float):
    asked = tightest(question(**changes), share)
    expected: dict[tuple, float] = {}
    for seconds, layout in tried(asked):
        expected.setdefault(topology_of(layout), seconds)
    found = search(asked, limit=4)
    assert [f.seconds_per_token for f in found.best] == pytest.approx(list(expected.values())[:4])
    assert all(f.fits for f in found.best) and found.best == search(asked, limit=4).best
    assert {topology_of(f.layout): f.seconds_per_token for f in found.best} == pytest.approx(
        {topology_of(f.layout): expected[topology_of(f.layout)] for f in found.best}
    )


def test_nothing_that_is_left_for_later_is_faster_than_its_bound():
    asked = question(pinned={"format": Format.bf16})
    for workload, shape in list(shapes(asked))[::23]:
        for lavish in sharded(asked, workload, shape):
            seconds = step_time(workload, lavish, DEVICE).total
            assert seconds / workload.tokens_per_step >= shortest_time(asked, workload, shape) * (1 - 1e-9)
            for layout in sparing(asked, lavish):
                assert step_time(workload, layout, DEVICE).total >= seconds * (1 - 1e-9)


def test_shapes_are_all_that_divide_and_each_once():
    asked = question()
    found = [layout for pair in shapes(asked) for layout in variants(asked, *pair)]
    virtual = {1, 2, 3, 4}
    assert len(found) == len(set(found))
    assert set(found) == {layout for layout in everything(asked) if layout.virtual_stages in virtual}


def test_what_is_said_to_be_too_large_is_larger_than_the_device_and_would_be_among_the_best():
    asked = tightest(question(pinned={"format": Format.bf16, "microbatch": 2}), 0.02)
    found = search(asked, limit=3)
    assert found.too_large and not {topology_of(f.layout) for f in found.best} & {
        topology_of(f.layout) for f in found.too_large
    }
    for refused in found.too_large:
        assert (
            refused.bytes_over == pytest.approx(refused.memory.total - asked.hardware.memory_bytes) and not refused.fits
        )
        assert refused.seconds_per_token <= found.best[-1].seconds_per_token


def test_the_nearest_layout_changes_as_few_settings_as_can_be():
    asked = tightest(question(must_run=True), 0.05)
    given = max(everything(asked), key=lambda layout: bytes_of(layout, 1.0))
    near = nearest_that_fits(asked, given)

    def distance(layout: Layout) -> int:
        return sum(getattr(layout, entry.name) != getattr(given, entry.name) for entry in fields(Layout))

    fitting = tried(asked)
    fewest = min(distance(layout) for _, layout in fitting)
    assert near.fits and distance(near.layout) == fewest
    assert near.seconds_per_token == pytest.approx(min(s for s, layout in fitting if distance(layout) == fewest))


def test_a_refusal_names_the_memory_how_much_is_lacking_the_hardware_and_the_nearest():
    asked = tightest(question(must_run=True), 0.05)
    given = max(everything(asked), key=lambda layout: bytes_of(layout, 1.0))
    pinned = {entry.name: getattr(given, entry.name) for entry in fields(Layout) if entry.name != "num_devices"}
    refused = replace(asked, pinned=pinned)
    text = why_nothing_fits(refused, search(refused))
    largest = max(memory_of(WORKLOAD, given).by_kind().items(), key=lambda kind: kind[1])[0]
    assert "does not fit" in text and "over the" in text and "of Box" in text and largest in text
    assert "The nearest that fits" in text and "->" in text


def test_where_nothing_fits_at_all_more_devices_are_asked_for():
    asked = question(
        hardware=replace(DEVICE, memory_bytes=1e3), pinned={"tensor": 1, "sequence": 1, "format": Format.bf16}
    )
    assert "use more" in why_nothing_fits(asked, search(asked))


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"pinned": {"expert": 3}}, ["pinned.expert=3", "use 1 or 2 or 4"]),
        ({"pinned": {"pipeline": 4, "tensor": 4}}, ["pinned.pipeline=4", "use 1"]),
        ({"num_devices": 7, "sequences_per_step": 32}, ["sequences_per_step=32", "use 28 or 35"]),
        ({"pinned": {"tensor": 2}, "must_run": True}, ["tensor parallelism", "runnable=false"]),
        ({"pinned": {"zero_stage": 2, "pipeline": 2}, "must_run": True}, ["engine.zero_stage", "runnable=false"]),
    ],
)
def test_sizes_that_divide_nothing_are_named_with_those_that_would(changes: dict, parts: list[str]):
    asked = question(**changes)
    text = why_nothing_fits(asked, search(asked))
    assert [part for part in parts if part not in text] == [], text


@pytest.mark.parametrize(
    ("wanted", "parts"),
    [
        ({"experts": "2"}, ["pinned.experts", "expert"]),
        ({"expert": "two"}, ["pinned.expert=two", "whole number"]),
        ({"expert": "0"}, ["pinned.expert=0", "at least 1"]),
        ({"format": "int8"}, ["pinned.format=int8", "fp32 or bf16 or fp8"]),
        ({"zero_stage": "4"}, ["pinned.zero_stage=4", "0 or 1 or 2 or 3"]),
        ({"num_devices": "4"}, ["pinned.num_devices"]),
    ],
)
def test_a_wrong_pin_is_named_with_what_it_may_be(wanted: dict, parts: list[str]):
    with pytest.raises(ValueError) as caught:
        pinned_values(wanted)
    assert [part for part in parts if part not in str(caught.value)] == []


def test_pins_are_values_of_the_layout():
    wanted = {"expert": "4", "format": "FP8", "offload_optimizer": "true", "recompute": "full", "zero_stage": "0"}
    assert pinned_values(wanted) == {
        "expert": 4,
        "format": Format.fp8,
        "offload_optimizer": True,
        "recompute": Recompute.full,
        "zero_stage": 0,
    }


def test_where_rows_are_not_given_they_are_rounded_to_what_each_layout_divides():
    asked = question(num_devices=7, sequences_per_step=30, rounds_rows=True)
    rows = {(workload.sequences_per_step, layout.data * layout.microbatch) for workload, layout in shapes(asked)}
    assert rows and all(count % at_once == 0 and abs(count - 30) <= 7.5 for count, at_once in rows)


def test_a_layout_that_runs_today_comes_back_from_the_configuration_it_is_run_with():
    asked = question(must_run=True)
    for layout in everything(asked)[::97]:
        config = compose_config("pretrain", PretrainConfig, overrides_of(WORKLOAD, layout))
        assert config.engine == engine_of(layout)
        assert config.data.sequence_length == WORKLOAD.sequence_length
        assert config.batch.microbatches_per_step(config.engine.data_parallel(4)) >= 1
        microbatch = config.batch.sequences_per_microbatch
        assert layout_of(config.engine, num_devices=4, microbatch=microbatch, usual_format=Format.bf16) == layout


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tensor": 2}, "tensor parallelism"),
        ({"pipeline": 2, "virtual_stages": 2}, "interleaved stages"),
        ({"format": Format.fp8}, "fp8"),
        ({"recompute": Recompute.selective}, "selective recompute"),
        ({"overlaps_experts": True}, "overlapping microbatches"),
        ({"zero_stage": 0}, "engine.zero_stage=0"),
        ({"zero_stage": 1}, "engine.zero_stage=1 with bf16"),
        ({"pipeline": 2}, "engine.zero_stage=2"),
        ({"zero_stage": 3, "expert": 2, "offload_optimizer": True}, "DeepSpeed 0.19.8 loses gradients"),
        ({"fuses_experts": True, "format": Format.fp32}, "engine.expert_kernels=triton"),
        ({"sequence": 8}, "model.attention.num_heads=4"),
        ({"expert": 16}, "16"),
    ],
)
def test_what_this_version_cannot_run_is_said_with_the_reason(changes: dict, reason: str):
    assert reason in " ".join(obstacles(WORKLOAD, Layout(num_devices=16, **changes)))
    assert obstacles(WORKLOAD, Layout(num_devices=16)) == []


def test_fused_experts_are_not_planned_with_adapters():
    layout = Layout(num_devices=16, fuses_experts=True)
    with_adapters = replace(WORKLOAD, lora=LoraConfig(rank=8))
    assert obstacles(WORKLOAD, layout) == []
    assert "use engine.expert_kernels=torch" in " ".join(obstacles(with_adapters, layout))


def test_what_is_left_out_for_its_state_alone_does_not_fit():
    """Weights and optimizer state are the same for all layouts of one sharding."""
    asked = question(pinned={"tensor": 1, "format": Format.bf16, "offload_optimizer": False, "expert": 2})
    by_sharding: dict[tuple, list[Layout]] = {}
    for layout in everything(asked)[::2]:
        by_sharding.setdefault(sharding_of(layout), []).append(layout)
    assert max(map(len, by_sharding.values())) > 5
    for layouts in by_sharding.values():
        held = max(state_bytes(memory_of(WORKLOAD, layout)) for layout in layouts)
        assert all(bytes_of(layout, 1.0) >= held for layout in layouts)
