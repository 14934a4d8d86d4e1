from dataclasses import replace

import pytest

from mai1.model.adapt import adapt
from mai1.model.attention import AttentionConfig
from mai1.model.flops import training_flops_per_token
from mai1.model.lora import LoraConfig, LoraTarget, WholePart
from mai1.model.moe.layer import MoEConfig
from mai1.model.transformer import ModelConfig, MoETransformer
from mai1.optim.config import Method
from mai1.optim.muon import stack_of
from mai1.plan.flops import flops_per_token
from mai1.plan.hardware import Hardware
from mai1.plan.layout import Format, Layout, Recompute
from mai1.plan.memory.parameters import parameters_of
from mai1.plan.timing.constants import FITTED, Constants, Software
from mai1.plan.timing.published import vendor
from mai1.plan.timing.stage import busiest_stage
from mai1.plan.timing.step_time import StepTime, clock_stage, step_time
from mai1.plan.workload import Workload
from tests.support.tiny import tiny_model_config

MODEL = ModelConfig(
    vocab_size=32768, d_model=2048, num_layers=8, num_dense_layers=2, dense_width=8192, max_positions=4096,
    attention=AttentionConfig(num_heads=16, num_kv_heads=4, head_dim=128),
    moe=MoEConfig(num_experts=32, top_k=4, expert_width=1024, num_shared_experts=1),
)  # fmt: skip
WORK = Workload(model=MODEL, sequence_length=4096, sequences_per_step=64)
PLAIN = Software()
H100 = vendor("h100")


def seconds(
    layout: Layout, *, work: Workload = WORK, software: Software = PLAIN, hardware: Hardware = H100
) -> StepTime:
    return step_time(work, layout, hardware, software=software)


def test_counted_products_are_the_models_flops():
    """The third path to the same number: per token and layer in `mai1.model.flops`, per product and rank here."""
    for layout in (Layout(num_devices=1), Layout(num_devices=8, tensor=2, sequence=2, expert=8)):
        stage = busiest_stage(WORK, layout, imbalance=1.0, software=PLAIN)
        counted = 3 * (stage.blocks.flops + stage.ends.flops) * stage.num_microbatches * layout.num_devices
        assert counted == pytest.approx(training_flops_per_token(MODEL, context=4096) * WORK.tokens_per_step, rel=1e-9)


def test_ideal_hardware_reaches_its_peak():
    ideal = Constants(
        matmul=1, fp8=1, operands=0, passes=0, launch_s=0, hidden_experts=0, hidden_state=0, attention=1.5, latency_s=0
    )  # fmt: skip
    stage = busiest_stage(WORK, Layout(num_devices=1), imbalance=1.0, software=PLAIN)
    time = clock_stage(stage, replace(H100, memory_bytes_per_s=1e30), constants=ideal, software=PLAIN)
    assert time.mfu(WORK, peak_flops=H100.peak_flops["bf16"]) == pytest.approx(1.0)


def test_parts_add_up_and_no_step_is_faster_than_the_peak():
    layout = Layout(num_devices=16, expert=8, pipeline=2, recompute=Recompute.full)
    time = seconds(layout)
    assert time.total == pytest.approx(sum(time.by_part().values())) and all(v >= 0 for v in time.by_part().values())
    assert time.tokens_per_second_per_device == pytest.approx(WORK.tokens_per_step / time.total / 16)
    assert 0.01 < time.mfu(WORK, peak_flops=H100.peak_flops["bf16"]) < FITTED.matmul


def test_the_bubble_is_that_of_the_schedule():
    """(p - 1) / (v m) of the time in which a stage is busy (Narayanan et al. 2021, section 2.2)."""
    for virtual in (1, 2):
        layout = Layout(num_devices=8, pipeline=2, virtual_stages=virtual)
        time = seconds(layout)
        busy = time.total - time.bubble - time.state_exchange - time.optimizer
        assert time.bubble == pytest.approx(busy / (virtual * 16))


def test_a_device_alone_waits_for_nobody():
    parts = seconds(Layout(num_devices=1)).by_part()
    assert not any(value for name, value in parts.items() if name.endswith("_exchange") or name == "bubble")


def test_full_recomputation_costs_the_blocks_forward_again():
    plain, full = (seconds(Layout(num_devices=1, recompute=r)) for r in (Recompute.none, Recompute.full))
    computed = plain.dense + plain.attention + plain.experts + plain.memory
    assert 0.25 * computed < full.recompute <= computed / 3
    selective = seconds(Layout(num_devices=1, recompute=Recompute.selective))
    assert 0 < selective.recompute <= plain.memory / 3


def test_experts_across_nodes_wait_longer_than_inside_one():
    inside, across = (seconds(Layout(num_devices=16, expert=expert)).expert_exchange for expert in (8, 16))
    assert across > 3 * inside > 0


def test_sending_once_to_a_node_shortens_the_wait_and_cutting_experts_lengthens_it():
    layout = Layout(num_devices=16, expert=16)
    plain = seconds(layout).expert_exchange
    assert seconds(layout, software=Software(deduplicates=True)).expert_exchange < plain
    assert seconds(layout, software=Software(slices=2)).expert_exchange < plain


def test_overlap_hides_a_share_of_the_exchange():
    plain, hidden = (
        seconds(Layout(num_devices=16, expert=16, overlaps_experts=overlaps)).expert_exchange
        for overlaps in (False, True)
    )
    assert FITTED.hidden_experts <= 1 - hidden / plain + 1e-2 and hidden > 0


def test_shared_experts_hide_the_rows_way_to_the_others():
    """By hand: one forward hides at most a window of the shared experts' work, a backward two; the way back is not hidden."""
    layout, software = Layout(num_devices=16, expert=16), Software(overlaps_shared=True)
    plain, hidden = (seconds(layout, software=s).expert_exchange for s in (PLAIN, software))
    rows = 4096 * MODEL.moe.top_k * MODEL.d_model * 2
    one_way = rows * 15 / 16 * (8 / 15) / (H100.network_bytes_per_s * FITTED.network) + FITTED.latency_s
    shared = 3 * 2 * 4096 * MODEL.d_model * MODEL.moe.expert_width * MODEL.moe.num_shared_experts
    moved = 3 * MODEL.d_model * MODEL.moe.expert_width + 4096 * (2 * MODEL.d_model + 3 * MODEL.moe.expert_width)
    share = moved * 2 * FITTED.operands / H100.memory_bytes_per_s + shared / (989.5e12 * FITTED.matmul)
    window = FITTED.hidden_state * share
    times = len(MODEL.moe_layers) * 4
    assert plain - hidden == pytest.approx(times * (min(one_way, window) + min(one_way, 2 * window)), rel=1e-6)
    assert seconds(Layout(num_devices=16), software=software).total == seconds(Layout(num_devices=16)).total


def test_without_shared_experts_or_in_several_trips_nothing_is_hidden():
    layout, software = Layout(num_devices=16, expert=16), Software(overlaps_shared=True)
    alone = replace(WORK, model=replace(MODEL, moe=replace(MODEL.moe, num_shared_experts=0)))
    in_trips = replace(WORK, max_rows=4096)
    for work in (alone, in_trips):
        assert seconds(layout, work=work, software=software) == seconds(layout, work=work)
    assert seconds(layout, work=in_trips).expert_exchange > seconds(layout).expert_exchange
    assert seconds(layout, work=in_trips).recompute > 0 == seconds(layout).recompute


def test_frozen_matrices_have_two_thirds_of_the_products_and_adapters_few():
    lora = LoraConfig(rank=8, targets=list(LoraTarget))
    plain, adapted = (seconds(Layout(num_devices=1), work=replace(WORK, lora=config)) for config in (None, lora))
    assert 2 / 3 * plain.dense < adapted.dense < 0.8 * plain.dense
    assert 2 / 3 * plain.experts < adapted.experts < 0.9 * plain.experts
    assert adapted.attention == plain.attention and adapted.optimizer < plain.optimizer / 20


def test_a_token_costs_adapters_what_a_run_counts():
    """Independently: of the real model, what can be trained."""
    lora = LoraConfig(rank=4, targets=list(LoraTarget), trained_whole=[WholePart.norms])
    config = tiny_model_config()
    model = MoETransformer(config)
    adapt(model, lora, seed=0)
    trained = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    experts = sum(size for name, size in trained.items() if ".experts." in name)
    active = sum(trained.values()) - experts + experts * config.moe.top_k / config.moe.num_experts
    frozen = training_flops_per_token(config, context=0)
    work = Workload(model=config, sequence_length=64, sequences_per_step=1, lora=lora)
    expected = training_flops_per_token(config, context=64) - frozen / 3 + 6 * active
    assert flops_per_token(work) == pytest.approx(expected, abs=4)
    held = parameters_of(work, Layout(num_devices=1), 0).tensors
    assert sorted((t.name, t.shape, t.is_trained) for t in held) == sorted(
        (name, tuple(p.shape), p.requires_grad) for name, p in model.named_parameters()
    )


def test_muon_takes_its_products_of_the_busiest_rank():
    """As `orthogonalize` says: 5 (4 N^2 M + 2 N^3) a matrix; shared out over ranks, but no matrix is cut."""
    muon = replace(WORK, method=Method.muon)
    one, many = (seconds(Layout(num_devices=n), work=muon).optimizer for n in (1, 64))
    adamw = seconds(Layout(num_devices=1)).optimizer
    matrices = [t for t in parameters_of(muon, Layout(num_devices=1), 0).tensors if t.is_decayed]
    flops = 0
    for stack in (stack_of(tensor.name, tensor.shape) for tensor in matrices):
        few, many_columns = sorted((stack.rows, stack.columns))
        flops += stack.count * 5 * (4 * few**2 * many_columns + 2 * few**3)
    assert one - adamw == pytest.approx(flops / (989.5e12 * FITTED.matmul))
    assert one / 64 < many < one


def test_narrow_experts_are_slower_for_the_same_flops():
    """As many FLOPs in experts of a quarter of the width, four times as many of them and chosen."""
    narrow = replace(MODEL.moe, num_experts=128, top_k=16, expert_width=256)
    work = replace(WORK, model=replace(MODEL, moe=narrow))
    layout = Layout(num_devices=1)
    assert seconds(layout, work=work).experts > 1.2 * seconds(layout).experts
    assert seconds(layout, work=work).memory > seconds(layout).memory


def test_small_microbatches_pay_more_for_launches():
    one, four = (seconds(Layout(num_devices=1, microbatch=rows)) for rows in (1, 4))
    assert one.launches == pytest.approx(4 * four.launches)
    assert seconds(Layout(num_devices=1), software=Software(runs_ahead=True)).launches < one.launches


def test_sharded_weights_wait_for_the_network_where_there_is_little_to_compute():
    work = replace(WORK, sequences_per_step=64)
    partial, whole = (seconds(Layout(num_devices=64, zero_stage=stage), work=work).state_exchange for stage in (1, 3))
    assert whole > 0 and partial > 0
    fp32 = seconds(Layout(num_devices=64, zero_stage=1), work=work, software=Software(reduces_fp32=True))
    assert fp32.state_exchange > partial


def test_fp8_speeds_up_products_and_only_those():
    bf16, fp8 = (seconds(Layout(num_devices=1, format=format)) for format in (Format.bf16, Format.fp8))
    assert fp8.experts < bf16.experts and fp8.dense < bf16.dense
    assert fp8.attention == bf16.attention and fp8.memory == bf16.memory


def test_an_imbalance_slows_the_experts_of_the_fullest_rank():
    layout = Layout(num_devices=8, expert=8)
    even, uneven = (step_time(WORK, layout, H100, imbalance=imbalance) for imbalance in (1.0, 1.5))
    assert uneven.experts > 1.2 * even.experts and uneven.expert_exchange > even.expert_exchange
    assert uneven.dense == even.dense


def test_every_program_is_as_slow_as_its_factor():
    layout = Layout(num_devices=8, expert=8)
    assert seconds(layout, software=Software(factor=1.5)).total == pytest.approx(1.5 * seconds(layout).total)


def test_offload_takes_as_long_as_the_hosts_link():
    layout = Layout(num_devices=1, offload_optimizer=True)
    held = busiest_stage(WORK, layout, imbalance=1.0, software=PLAIN).num_updated
    assert seconds(layout).optimizer == pytest.approx(6 * held / H100.host_bytes_per_s)


def test_a_format_without_a_peak_is_refused():
    with pytest.raises(
        ValueError, match=r"layout.format=fp8 has no peak in hardware.peak_flops of A100: use bf16, fp32"
    ):
        seconds(Layout(num_devices=1, format=Format.fp8), hardware=vendor("a100"))


@pytest.mark.parametrize("name", ["a100", "h100", "h200", "h800", "gb200", "gb300", "cpu"])
def test_every_device_of_the_project_can_be_timed(name: str):
    hardware = vendor(name)
    format = Format.bf16 if "bf16" in hardware.peak_flops else Format.fp32
    assert seconds(Layout(num_devices=2, expert=2, format=format), hardware=hardware).total > 0
