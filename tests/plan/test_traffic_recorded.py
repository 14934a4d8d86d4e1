"""What real runs of four ranks send, counted collective by collective, beside what `traffic_of` says: equal to the byte."""

import pytest
import torch
from torch import nn

from mai1.engine.ds_config import Precision
from mai1.model.lora import LoraConfig, LoraTarget
from mai1.model.moe.layer import MoELayer
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.optim.config import Method, OptimConfig
from mai1.plan.layout import Format, Layout, Recompute
from mai1.plan.traffic.comparison import compare
from mai1.plan.traffic.recording import Message, Recording
from mai1.plan.traffic.traffic import sums_of_step, traffic_of
from mai1.plan.traffic.transfer import Operation, Transfer
from mai1.plan.workload import Workload
from tests.support.ranks import run_ranks
from tests.support.tiny import ByteRows, family_configs, tiny_model_config, tiny_trainer, train

NUM_RANKS, LENGTH = 4, 48
NAMES = {"expert": "expert_parallel", "sequence": "sequence_parallel", "pipeline": "pipeline_parallel"}


def layout_of(**changes) -> Layout:
    return Layout(**({"num_devices": NUM_RANKS, "microbatch": 1, "format": Format.fp32} | changes))


def predicted(layout: Layout, *, stage: int, model=None, **training) -> list[Transfer]:
    """With the three sources that the tiny rows have."""
    workload = Workload(model=model or tiny_model_config(), sequence_length=LENGTH, sequences_per_step=8, **training)
    transfers = traffic_of(workload, layout, stage=stage)
    assert [t.what for t in transfers if t.group == "all"] == ["sums of the step"]
    return [t for t in transfers if t.group != "all"] + list(sums_of_step(workload, layout, num_sources=3))


def trainer_of(
    world, folder, layout: Layout, *, model=None, forced_balance: bool = True, max_rows: int = 0, **training
):
    return tiny_trainer(
        world,
        folder,
        model=model,
        rows=ByteRows(sequence_length=LENGTH),
        microbatch=layout.microbatch,
        zero_stage=layout.zero_stage,
        precision=Precision(layout.format.value),
        recompute=layout.recompute is Recompute.full,
        offload_optimizer=layout.offload_optimizer,
        routing=RoutingConfig(forced_balance=forced_balance, max_rows=max_rows),
        **training,
        **{key: getattr(layout, name) for name, key in NAMES.items()},
    )


def record(world, folder, layouts: list[Layout], model=None, training=None) -> list[list[Message]]:
    """The messages of one step of every layout, after a step in which DeepSpeed learns the order of modules."""
    found = []
    for layout in layouts:
        trainer = trainer_of(world, folder, layout, model=model, **(training or {}))
        train(trainer, 1)
        with Recording() as recording:
            train(trainer, 1)
        found.append(recording.messages)
    return found


def assert_exact(folder, *layouts: Layout, model=None, **training) -> None:
    for rank, of_rank in enumerate(run_ranks(record, NUM_RANKS, folder, layouts, model, training)):
        for layout, messages in zip(layouts, of_rank, strict=True):
            stage = rank // layout.per_stage
            rows = compare(predicted(layout, stage=stage, model=model, **training), messages, layout, rank=rank)
            assert len(rows) >= 2
            wrong = [row for row in rows if not row.is_exact]
            assert not wrong, f"rank {rank} of {layout}: {wrong}"
            for row in rows:
                if layout.zero_stage < 3 or row.operation is not Operation.all_gather:
                    assert row.predicted.calls == row.recorded.calls, row


def test_data_parallel_ranks_send_what_is_predicted(tmp_path):
    assert_exact(
        tmp_path,
        layout_of(zero_stage=1),
        layout_of(zero_stage=1, format=Format.bf16),
        layout_of(zero_stage=2, format=Format.bf16),
        layout_of(zero_stage=3),
    )


def test_ranks_that_share_experts_or_rows_send_what_is_predicted(tmp_path):
    assert_exact(
        tmp_path,
        layout_of(zero_stage=3, expert=2, format=Format.bf16),
        layout_of(zero_stage=1, expert=4, recompute=Recompute.full),
        layout_of(zero_stage=1, expert=2, format=Format.bf16),
        layout_of(zero_stage=2, sequence=2, expert=2),
        layout_of(zero_stage=1, sequence=4),
    )


def test_gradients_travel_once_a_step_with_zero_1_and_after_every_microbatch_with_zero_2(tmp_path):
    """Two microbatches a rank; of the messages, those that are too large to be norms or sums."""
    layouts = [layout_of(zero_stage=stage, format=format) for stage in (1, 2) for format in (Format.fp32, Format.bf16)]
    for of_rank in run_ranks(record, NUM_RANKS, tmp_path, layouts):
        sent = [
            sum(m.payload_bytes for m in messages if m.operation is Operation.all_reduce and m.payload_bytes > 10_000)
            for messages in of_rank
        ]
        once_fp32, once_bf16, each_fp32, each_bf16 = sent
        assert (each_fp32, each_bf16) == (2 * once_fp32, 2 * once_bf16) and once_fp32 == 2 * once_bf16 > 0


def test_latents_and_further_tokens_are_predicted(tmp_path):
    model = family_configs()["deepseek_v3_full_queries"]
    assert_exact(tmp_path, layout_of(zero_stage=3, sequence=2), model=model)


def test_pipeline_stages_send_what_is_predicted(tmp_path):
    assert_exact(tmp_path, layout_of(zero_stage=1, pipeline=2, expert=2))


def test_adapters_send_what_is_predicted(tmp_path):
    """Gradients and norms of what is trained alone; under ZeRO-3 frozen weights travel as the others do."""
    lora = LoraConfig(rank=4, targets=[LoraTarget.attention, LoraTarget.experts, LoraTarget.dense])
    layouts = (layout_of(zero_stage=1), layout_of(zero_stage=2, expert=2), layout_of(zero_stage=3, expert=2))
    assert_exact(tmp_path, *layouts, lora=lora)


def test_rows_in_several_trips_send_what_is_predicted(tmp_path):
    """96 rows arrive on a rank in a microbatch: three trips, whose forward is made again for their backward."""
    assert_exact(
        tmp_path,
        layout_of(zero_stage=2, expert=2),
        layout_of(zero_stage=2, expert=2, recompute=Recompute.full),
        max_rows=32,
    )


def test_muon_sends_what_is_predicted_over_all_ranks(tmp_path):
    """Which of its holders makes a matrix orthogonal decides how much of it stays; foreseen is their mean."""
    layouts = (layout_of(zero_stage=2), layout_of(zero_stage=1), layout_of(zero_stage=3, format=Format.bf16))
    training = {"optim": OptimConfig(method=Method.muon)}
    found = run_ranks(record, NUM_RANKS, tmp_path, layouts, None, training)
    for number, layout in enumerate(layouts):
        updates = [t for t in predicted(layout, stage=0, method=Method.muon) if t.what.startswith("updates")]
        exchanged = [[m for m in of_rank[number] if m.operation is Operation.all_to_all] for of_rank in found]
        sent = sum(m.payload_bytes - m.own_bytes for messages in exchanged for m in messages)
        assert sent == pytest.approx(NUM_RANKS * sum(t.bytes_sent for t in updates), rel=0.3)
        assert all(len(messages) == sum(t.calls for t in updates) for messages in exchanged)


def count_rows(world, folder, layout: Layout) -> tuple[list[list[int]], list[Message]]:
    """Choices that each rank of the expert group gets from this one, by call of an MoE layer, and the messages."""
    trainer, calls = trainer_of(world, folder, layout, forced_balance=False), []
    num_local = trainer.engine.model.config.moe.num_experts // layout.expert

    def note(_: nn.Module, __: tuple, output: tuple) -> None:
        holders = output[1].experts_NK.flatten() // num_local
        calls.append(torch.bincount(holders, minlength=layout.expert).tolist())

    train(trainer, 1)
    for module in trainer.engine.model.modules():
        if isinstance(module, MoELayer):
            module.register_forward_hook(note)
    with Recording() as recording:
        train(trainer, 1)
    return calls, recording.messages


def test_rows_of_uneven_routing_are_predicted_from_the_counts(tmp_path):
    layout = layout_of(zero_stage=2, expert=2)
    found = run_ranks(count_rows, NUM_RANKS, tmp_path, layout)
    row_bytes, is_uneven = tiny_model_config().d_model * 4, False
    for rank, (calls, messages) in enumerate(found):
        me, group = rank % 2, [found[rank - rank % 2 + other][0] for other in range(2)]
        sent = sum(sum(to_each) - to_each[me] for to_each in calls)
        received = sum(call[me] for calls_of in group for call in calls_of) - sum(to_each[me] for to_each in calls)
        recorded = [m for m in messages if m.operation is Operation.all_to_all]
        assert sum(m.payload_bytes - m.own_bytes for m in recorded) == 2 * (sent + received) * row_bytes
        is_uneven |= sent != received
    assert is_uneven
