"""Who writes what, for ranks that hold different layers and experts; and ranges that two ranks hold."""

import pytest
import torch
from safetensors.torch import save_file

from mai1.checkpoint.model_plan import Holding, holding_all, index_of, plan_model_files
from mai1.checkpoint.names import tensor_names
from mai1.checkpoint.optimizer_state import StateReader
from mai1.checkpoint.pieces import optimizer_file, pieces_table
from tests.support.tiny import tiny_model_config

CONFIG = tiny_model_config()
STAGES = [("embedding", "layers.0", "layers.1"), ("final_norm", "layers.2", "unembedding")]


def two_stages(expert_parallel: int, replicas: int) -> list[Holding]:
    """Ranks of two pipeline stages, each with its expert-parallel groups."""
    per_rank = CONFIG.moe.num_experts // expert_parallel
    return [
        Holding(parts, rank * per_rank, per_rank)
        for parts in STAGES
        for _ in range(replicas)
        for rank in range(expert_parallel)
    ]


@pytest.mark.parametrize(("expert_parallel", "replicas"), [(1, 1), (2, 1), (2, 2), (4, 2)])
@pytest.mark.parametrize("max_bytes", [10**9, 50_000])
def test_each_tensor_is_written_once_by_a_rank_that_has_it(expert_parallel, replicas, max_bytes):
    holdings = two_stages(expert_parallel, replicas)
    plan = plan_model_files(CONFIG, holdings, max_bytes=max_bytes, bytes_per_element=4)
    written = [tensor.hf_name for entry in plan for tensor in entry.tensors]
    assert sorted(written) == sorted(tensor.hf_name for tensor in tensor_names(CONFIG))
    assert len({entry.file for entry in plan}) == len(plan)
    for entry in plan:
        for tensor in entry.tensors:
            part = ".".join(tensor.name.split(".")[: 2 if tensor.name.startswith("layers") else 1])
            assert holdings[entry.writer].has(part, tensor.expert)
        assert len(entry.tensors) == 1 or 4 * sum(tensor.numel for tensor in entry.tensors) <= max_bytes
    assert index_of(plan)["metadata"]["total_parameters"] == sum(tensor.numel for tensor in tensor_names(CONFIG))


def test_replicas_take_turns():
    plan = plan_model_files(CONFIG, [holding_all(CONFIG)] * 3, max_bytes=50_000, bytes_per_element=4)
    assert [entry.writer for entry in plan[:6]] == [0, 1, 2, 0, 1, 2]


def test_a_range_that_two_stages_hold_is_read_once_and_whole(tmp_path):
    """A tied embedding stands on the first and the last stage, cut at other places."""
    values, rows = torch.arange(10.0), []
    (tmp_path / "trainer").mkdir()
    for rank, (start, end) in enumerate([(0, 4), (4, 10), (0, 7), (7, 10)]):
        tensors = {f"exp_avg|embedding.weight|{start}": values[start:end].clone()}
        save_file(tensors, tmp_path / optimizer_file(rank, num_ranks=4, part=0))
        rows.append(["exp_avg", "embedding.weight", start, end - start, 1, rank, 0, 0])
    reader = StateReader(tmp_path, pieces_table(rows), num_ranks=4)
    for start in range(10):
        for end in range(start + 1, 11):
            into = torch.empty(end - start)
            reader.read("exp_avg", "embedding.weight", start, into)
            assert torch.equal(into, values[start:end])
    with pytest.raises(ValueError, match="exp_avg of embedding.weight has no element 10"):
        reader.read("exp_avg", "embedding.weight", 8, torch.empty(3))
