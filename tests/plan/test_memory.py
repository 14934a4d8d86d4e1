"""The planner's memory against what others published, and how it answers to each setting."""

from dataclasses import replace

import pytest

from mai1.model.attention import AttentionConfig, QKNorm
from mai1.model.moe.layer import MoEConfig
from mai1.model.moe.router import Scores
from mai1.model.transformer import ModelConfig
from mai1.plan.flops import flops_per_token
from mai1.plan.layout import Format, Layout, Recompute
from mai1.plan.memory.activations import Microbatch, block_keeps
from mai1.plan.memory.division import pieces_of
from mai1.plan.memory.in_flight import in_flight
from mai1.plan.memory.kinds import Memory
from mai1.plan.memory.memory import memory_by_stage, memory_of
from mai1.plan.memory.parameters import parameters_of
from mai1.plan.timing.constants import Software
from mai1.plan.timing.published import vendor
from mai1.plan.timing.stage import busiest_stage
from mai1.plan.timing.step_time import step_time
from mai1.plan.workload import Workload
from mai1.run.compose import compose_config
from mai1.run.config import PretrainConfig
from tests.support.tiny import tiny_model_config

GIB, H100 = 2**30, 80e9
ANCHOR = Layout(num_devices=256, pipeline=4, virtual_stages=4, expert=64, zero_stage=1)
"""DeepSeek-V3 in bf16 on 256 GPUs (arXiv 2603.07685, table 3)."""
IN_FLIGHT = 60
"""Layers times microbatches whose activations the anchor's third stage holds: 15 pieces of 4 layers."""
SMALL = Workload(model=tiny_model_config(num_layers=9), sequence_length=128, sequences_per_step=64)


def deepseek_v3() -> ModelConfig:
    """With its layer for a further token, as it was trained."""
    config = compose_config("pretrain", PretrainConfig, ["model=deepseek_v3_671b_a37b"]).model
    config.num_mtp_layers = 1
    return config


def anchor() -> list[Memory]:
    """Of each stage, with the layers divided as Megatron-Bridge does: four a piece, one in the last, which has the rest."""
    ends = [*range(0, 61, 4), 61]
    pieces = [range(first, end) for first, end in zip(ends, ends[1:], strict=False)]
    assert len(pieces) == 16 and pieces[-1] == range(60, 61)
    workload = Workload(model=deepseek_v3(), sequence_length=4096, sequences_per_step=8192)
    return memory_by_stage(workload, ANCHOR, pieces=[pieces[stage::4] for stage in range(4)])


def test_the_deepseek_v3_anchor_is_met_within_one_percent():
    """The table's figures are those of an inner stage: the third matches all of them. It must be within a tenth."""
    memory = anchor()[2]
    assert (memory.weights + memory.gradients) / GIB == pytest.approx(36.4, rel=0.01)
    assert (memory.masters + memory.moments) / GIB == pytest.approx(32.1, rel=0.01)
    assert memory.activations / GIB == pytest.approx(131.0, rel=0.01)
    parts = memory.weights + memory.gradients + memory.masters + memory.moments + memory.activations
    assert parts / GIB == pytest.approx(199.5, rel=0.01)


def test_the_anchor_is_met_within_a_tenth_with_our_own_division_of_layers():
    workload = Workload(model=deepseek_v3(), sequence_length=4096, sequences_per_step=8192)
    memory = memory_by_stage(workload, ANCHOR)[2]
    assert (memory.weights + memory.gradients) / GIB == pytest.approx(36.4, rel=0.1)
    assert (memory.masters + memory.moments) / GIB == pytest.approx(32.1, rel=0.1)
    assert memory.activations / GIB == pytest.approx(131.0, rel=0.1)


@pytest.mark.parametrize(
    ("part", "format", "published", "within"),
    [
        ("attention", Format.bf16, 30.4, 0.02),  # keys, queries and values of latents
        ("norms", Format.bf16, 8.2, 0.21),  # the blocks' two norms; table 4 may count the latents' norms as well
        ("norms", Format.fp8, 8.2, 0.01),
        ("routed", Format.fp8, 3.8, 0.02),  # products of SwiGLU in routed experts; in bf16 they are twice as large
    ],
)
def test_selective_recomputation_saves_what_was_published(part: str, format: Format, published: float, within: float):
    model, microbatch = deepseek_v3(), Microbatch(tokens=4096, rows=8 * 4096)
    layout = replace(ANCHOR, format=format)
    whole, less = (
        block_keeps(model, replace(layout, recompute=recompute), microbatch, is_dense=False)
        for recompute in (Recompute.none, Recompute.selective)
    )
    saved = getattr(whole, part) - getattr(less, part)
    assert saved * IN_FLIGHT / GIB == pytest.approx(published, rel=within)


def llama3_8x70b() -> ModelConfig:
    """Llama-3-70B with eight experts, two chosen (arXiv 2504.14960, section 4.1)."""
    moe = {"num_experts": 8, "top_k": 2, "expert_width": 28672, "num_shared_experts": 0, "scores": Scores.softmax}
    attention = AttentionConfig(num_heads=64, num_kv_heads=8, head_dim=128, qk_norm=QKNorm.none)
    shape = {"vocab_size": 128256, "d_model": 8192, "num_layers": 80, "num_dense_layers": 0, "max_positions": 8192}
    return ModelConfig(**shape, attention=attention, moe=MoEConfig(**moe))


def test_sharding_alone_runs_out_of_memory_where_it_did_and_the_folded_layout_fits():
    """Llama3-8x70B on 256 H100 (arXiv 2504.14960, table 3): out of memory with FSDP; trained with TP8, PP16, EP8 folded."""
    workload = Workload(model=llama3_8x70b(), sequence_length=4096, sequences_per_step=256)
    assert memory_of(workload, Layout(num_devices=256, zero_stage=3)).total > H100
    folded = Layout(num_devices=256, tensor=8, pipeline=16, expert=8, zero_stage=1)
    assert memory_of(workload, folded).total < H100


def test_the_kinds_add_up_to_the_total():
    memory = memory_of(SMALL, Layout(num_devices=8, expert=4, microbatch=2))
    assert memory.total == pytest.approx(sum(memory.by_kind().values()))
    assert list(memory.by_kind())[:4] == ["weights", "gradients", "masters", "moments"]


def test_stages_hold_every_parameter_once():
    work = Workload(model=tiny_model_config(num_layers=9), sequence_length=64, sequences_per_step=8)
    whole = parameters_of(work, Layout(num_devices=1), 0).total
    for layout in (Layout(num_devices=4, pipeline=4), Layout(num_devices=4, pipeline=4, virtual_stages=2)):
        assert sum(parameters_of(work, layout, stage).total for stage in range(4)) == whole


def test_the_last_stage_has_fewer_blocks_where_it_predicts_further_tokens():
    """Of 16 equal blocks on four stages, one more with logits of its own: as many as leave it no busier than can be."""
    plain = tiny_model_config(num_layers=16, num_dense_layers=0, vocab_size=128)
    layout = Layout(num_devices=4, pipeline=4)
    further = replace(plain, num_mtp_layers=2)
    assert [len(piece) for (piece,) in pieces_of(plain, layout)] == [4, 4, 4, 4]
    assert [len(piece) for (piece,) in pieces_of(further, layout)] == [4, 5, 5, 2]
    works = [Workload(model=model, sequence_length=64, sequences_per_step=8) for model in (plain, further)]
    held = [{tensor.name for tensor in parameters_of(work, layout, 3).tensors} for work in works]
    assert "embedding.weight" in held[1] - held[0] and any(name.startswith("mtp.1.block.ffn") for name in held[1])
    busiest = [busiest_stage(work, layout, imbalance=1.0, software=Software()).num_blocks for work in works]
    assert busiest == [4, 4]  # the last stage's two and two for further tokens, with three times the logits
    whole = step_time(works[1], Layout(num_devices=1), vendor("h100"))
    counted = busiest_stage(works[1], Layout(num_devices=1), imbalance=1.0, software=Software())
    flops = 3 * (counted.blocks.flops + counted.ends.flops) * counted.num_microbatches
    assert whole.total > 0 and flops == pytest.approx(flops_per_token(works[1]) * works[1].tokens_per_step)


def test_pieces_cover_the_layers_in_order_also_where_ends_hold_no_layer():
    model = tiny_model_config(num_layers=9)
    for num_pieces in (1, 2, 8, 9, 10, 11):
        of_stages = pieces_of(model, Layout(num_devices=1, virtual_stages=num_pieces))
        assert [layer for piece in of_stages[0] for layer in piece] == list(range(9))
    with pytest.raises(ValueError, match=r"virtual_stages = 12 must not exceed the 11 units"):
        pieces_of(model, Layout(num_devices=1, virtual_stages=12))


def test_stages_keep_as_many_microbatches_as_their_schedules_say():
    plain = Layout(num_devices=8, pipeline=4)
    assert [in_flight(plain, stage, microbatches=9) for stage in range(4)] == [[4], [3], [2], [1]]
    assert in_flight(plain, 0, microbatches=2) == [2]
    interleaved = replace(plain, virtual_stages=4)
    assert [sum(in_flight(interleaved, stage, microbatches=99)) for stage in range(4)] == [19, 17, 15, 13]
    assert in_flight(interleaved, 0, microbatches=99) == [7, 4, 4, 4]


CHANGES = {
    "expert": {"expert": 4},
    "zero": {"zero_stage": 3},
    "recompute": {"recompute": Recompute.full},
    "offload": {"offload_optimizer": True},
    "tensor": {"tensor": 2, "sequence": 2},
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_way_to_save_memory_saves_some(name: str):
    layout = Layout(num_devices=8, microbatch=4)
    before, after = (memory_of(SMALL, other) for other in (layout, replace(layout, **CHANGES[name])))
    of_kind = {"expert": "weights", "zero": "weights", "recompute": "activations", "offload": "moments"}
    kind = of_kind.get(name, "activations")
    assert getattr(after, kind) < getattr(before, kind)
    assert (after.host > 0) is (name == "offload")


def test_the_fullest_rank_is_fuller_the_less_even_its_experts_load():
    layout = Layout(num_devices=8, expert=8)
    even, uneven = (memory_of(SMALL, layout, imbalance=imbalance) for imbalance in (1.0, 2.0))
    assert uneven.routed > 1.4 * even.routed and uneven.total > even.total
    here = replace(layout, expert=1)  # all rows stay, whatever they choose
    assert memory_of(SMALL, here, imbalance=2.0) == memory_of(SMALL, here)


def test_longer_rows_and_larger_microbatches_take_activations_in_proportion():
    small, large = (memory_of(SMALL, Layout(num_devices=1, microbatch=size)).activations for size in (2, 4))
    assert large == pytest.approx(2 * small, rel=0.05)
