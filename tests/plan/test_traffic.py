"""The formulas of traffic that no run here can show: other software's habits, nodes, tensor parallelism."""

import pytest

from mai1.plan.hardware import Hardware
from mai1.plan.layout import Layout
from mai1.plan.traffic.state import Stack
from mai1.plan.traffic.traffic import traffic_of
from mai1.plan.traffic.transfer import Operation, Transfer, copies_between_nodes, share_outside_node
from mai1.plan.workload import Workload
from tests.support.tiny import tiny_model_config

NODES = Hardware(
    name="any", memory_bytes=1.0, memory_bytes_per_s=1.0, node_bytes_per_s=1.0, network_bytes_per_s=1.0
)  # 8 devices a node


def sent(layout: Layout, **options) -> dict[str, float]:
    rows = layout.microbatch * layout.data * 4
    workload = Workload(model=tiny_model_config(), sequence_length=64, sequences_per_step=rows)
    return {f"{t.what}/{t.group}": t.bytes_sent for t in traffic_of(workload, layout, **options)}


def transfer(operation: Operation, *, size: int, span: int) -> Transfer:
    fields = {"what": "x", "group": "any", "payload_bytes": 1.0, "calls": 1}
    return Transfer(operation=operation, group_size=size, span=span, **fields)


def test_reduce_scatter_once_a_step_sends_an_eighth_of_all_reduce_after_each_of_four_microbatches():
    layout = Layout(num_devices=8, expert=4, zero_stage=2)
    ours, usual = sent(layout), sent(layout, stack=Stack.usual)
    assert ours["gradients/data"] == 8 * usual["gradients/data"]
    assert ours["gradients of experts/expert_data"] == 8 * usual["gradients of experts/expert_data"]
    assert ours["weights/data"] == usual["weights/data"]


def test_the_fullest_rank_answers_more_rows():
    layout = Layout(num_devices=8, expert=4)
    even, uneven = sent(layout), sent(layout, imbalance=1.5)
    assert uneven["rows back from experts/expert"] == 1.5 * even["rows back from experts/expert"]
    assert uneven["counts of rows/expert"] == even["counts of rows/expert"]


def test_tensor_parallel_ranks_send_positions_as_korthikanti_counts_them():
    found = sent(Layout(num_devices=8, tensor=2))
    # three blocks, each attention and a dense network or shared experts, and the logits; 4 microbatches of 64 positions
    regions, size = 3 + 3 + 1, 64 * tiny_model_config().d_model * 2
    assert found["positions gathered/tensor"] == 4 * regions * 3 * size / 2
    assert found["positions scattered/tensor"] == 4 * regions * 2 * size / 2


def test_interleaved_pieces_pass_more_borders():
    plain = sent(Layout(num_devices=8, pipeline=2, zero_stage=1), stage=0)
    twice = sent(Layout(num_devices=8, pipeline=2, virtual_stages=2, zero_stage=1), stage=0)
    key = "activations to the next stage/pipeline"
    assert twice[key] == 2 * plain[key]


@pytest.mark.parametrize(
    ("operation", "size", "span", "share"),
    [
        (Operation.all_to_all, 8, 1, 0.0),
        (Operation.all_to_all, 64, 1, 56 / 63),
        (Operation.all_to_all, 4, 8, 1.0),
        (Operation.all_reduce, 64, 1, 1 / 8),
        (Operation.all_gather, 32, 4, 1 / 2),
        (Operation.reduce_scatter, 16, 64, 1.0),
        (Operation.send, 4, 16, 1.0),
        (Operation.send, 4, 2, 1 / 4),
    ],
)
def test_what_leaves_a_node(operation: Operation, size: int, span: int, share: float):
    found = share_outside_node(transfer(operation, size=size, span=span), Layout(num_devices=64), NODES)
    assert found == pytest.approx(share)


def test_nothing_leaves_the_only_node():
    layout = Layout(num_devices=8)
    assert share_outside_node(transfer(Operation.send, size=4, span=2), layout, NODES) == 0


def test_one_copy_a_node_is_less_than_one_a_choice():
    # DeepSeek-V3 on 8 nodes: 8 choices; 8 * 7/8 = 7 rows plainly, at most 4 nodes with its limit
    plain, limited = (
        copies_between_nodes(top_k=8, num_nodes=8),
        copies_between_nodes(top_k=8, num_nodes=8, top_groups=4),
    )
    assert limited < plain < 7 and limited < 4
    assert copies_between_nodes(top_k=1, num_nodes=4) == pytest.approx(3 / 4)


def test_rows_that_make_no_whole_microbatches_are_refused():
    workload = Workload(model=tiny_model_config(), sequence_length=64, sequences_per_step=9)
    with pytest.raises(
        ValueError, match=r"workload\.sequences_per_step=9 must be a multiple of layout\.microbatch=1 x 8"
    ):
        traffic_of(workload, Layout(num_devices=8))
