"""What a GPU would be asked to do, on tensors without data: there, whatever makes the host wait for a value is an error.

A torch without CUDA cannot run backward on pretended CUDA tensors. So they are of the CPU, and say that they are of a GPU.
"""

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor, FakeTensorMode

from mai1.data.batch import Batch
from mai1.loss import LossConfig, Losses, StepTotals, compute_losses
from mai1.model import cross_entropy, transformer
from mai1.model.attention import AttentionConfig, QKNorm
from mai1.model.isolation import Documents
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.moe.experts import Experts
from mai1.model.moe.grouping import Grouping
from mai1.model.moe.layer import MoEConfig
from mai1.model.moe.router import Scores
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.moe.triton_experts import ask_triton_experts
from mai1.model.transformer import ModelConfig, MoETransformer
from tests.support.largest_tensor import LargestTensor
from tests.support.tiny import family_configs, tiny_model_config

OLMOE = ModelConfig(
    vocab_size=50304, d_model=2048, num_layers=16, num_dense_layers=0, max_positions=4096,
    attention=AttentionConfig(num_heads=16, num_kv_heads=16, head_dim=128, qk_norm=QKNorm.width),
    moe=MoEConfig(num_experts=64, top_k=8, expert_width=1024, num_shared_experts=0, scores=Scores.softmax),
)  # fmt: skip
"""6.9 thousand million weights (arXiv 2409.02060, table 10)."""


@pytest.fixture(autouse=True)
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, no tensor has data, and all say that they lie on a GPU."""
    monkeypatch.setattr(FakeTensor, "is_cuda", property(lambda tensor: True), raising=False)
    monkeypatch.setattr(FakeTensor, "is_cpu", property(lambda tensor: False), raising=False)
    monkeypatch.setattr(cross_entropy, "LOGITS_AT_ONCE", {"cpu": cross_entropy.LOGITS_AT_ONCE["cuda"]})
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def bf16_model(config: ModelConfig) -> MoETransformer:
    """Weights in bf16; buffers keep their dtype."""
    with torch.device("meta"):
        model = MoETransformer(config)
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(torch.empty(weight.shape, dtype=torch.bfloat16)))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty(buffer.shape, dtype=buffer.dtype))
    return model.train()


def make_batch(num_rows: int, num_positions: int) -> Batch:
    ids = [torch.empty(num_rows, num_positions, dtype=torch.int64) for _ in range(6)]
    tokens_BT, targets_BT, positions_BT, segments_BT, sources_BT, epochs_BT = ids
    mask_BT, samples_B = torch.empty(num_rows, num_positions), torch.empty(num_rows, dtype=torch.int64)
    return Batch(
        *(tokens_BT, targets_BT, positions_BT, segments_BT, mask_BT, sources_BT, samples_B, epochs_BT), is_packed=True
    )


def forward_and_backward(model: MoETransformer, batch: Batch, *, method: BalanceMethod = BalanceMethod.none) -> Losses:
    """What a training step does with a microbatch."""
    output = model(
        batch.tokens_BT,
        positions_BT=batch.positions_BT,
        segments_BT=batch.segments_BT,
        counted_BT=batch.loss_mask_BT > 0,
        samples_B=batch.samples_B,
    )
    depths = model.config.num_mtp_layers
    last_load_LE = torch.empty(len(output.routings), model.config.moe.num_experts)
    losses = compute_losses(
        output,
        batch,
        loss=LossConfig(),
        balance=BalanceConfig(method=method),
        totals=StepTotals(48.0, 48.0, 48.0, [40.0] * depths, [40.0] * depths),
        last_load_LE=last_load_LE,
    )
    losses.total.backward()
    return losses


def known_documents(segments_BT: torch.Tensor, key_segments_BS: torch.Tensor, *, device: torch.device) -> Documents:
    """The host finds where documents lie in what it has read from the disk; nothing waits for a GPU."""
    del key_segments_BS, device
    num_rows, num_positions = segments_BT.shape
    lengths = [num_positions // 2, num_positions - num_positions // 2] * num_rows
    return Documents(lengths, torch.empty(len(lengths) + 1, dtype=torch.int32), longest=max(lengths))


@pytest.mark.parametrize("kernels", [None, ask_triton_experts], ids=["grouped products", "Triton"])
@pytest.mark.parametrize("family", family_configs())
def test_a_step_of_no_family_waits_for_a_value(family: str, kernels, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transformer, "isolate", known_documents)
    model = bf16_model(family_configs()[family])
    for layer in model.moe_layers().values():
        layer.experts.kernels = kernels
    losses = forward_and_backward(model, make_batch(2, 24))
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert losses.total.dtype is losses.nats_BT.dtype is torch.float32
    with pytest.raises(DataDependentOutputException):
        losses.total.item()


@pytest.mark.parametrize("method", BalanceMethod)
def test_no_way_to_balance_waits_for_a_value(method: BalanceMethod, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transformer, "isolate", known_documents)
    assert forward_and_backward(bf16_model(tiny_model_config()), make_batch(2, 24), method=method).balance.ndim == 0


@pytest.mark.parametrize(
    "policy", [{"capacity_factor": 1.25}, {"jitter": 0.01}, {"forced_balance": True}, {"max_rows": 30}], ids=str
)
def test_no_policy_of_tokens_that_choose_waits_for_a_value(policy: dict, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transformer, "isolate", known_documents)
    model = bf16_model(tiny_model_config())
    model.set_routing(RoutingConfig(**policy), seed=0)
    forward_and_backward(model, make_batch(2, 24))


def test_a_step_of_a_large_model_never_holds_all_logits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transformer, "isolate", known_documents)
    num_rows, num_positions = 8, 4096
    model = bf16_model(OLMOE)
    with LargestTensor() as largest:
        forward_and_backward(model, make_batch(num_rows, num_positions))
    logits = num_rows * num_positions * OLMOE.vocab_size
    answers = num_rows * num_positions * OLMOE.moe.top_k * OLMOE.d_model
    assert largest.numel == answers < logits / 3


def grouping_of(num_tokens: int, top_k: int, num_experts: int) -> Grouping:
    row_NK = torch.empty(num_tokens, top_k, dtype=torch.int64)
    return Grouping(row_NK.flatten(), row_NK, torch.empty(num_experts, dtype=torch.int64), is_full=True)


@pytest.mark.parametrize("width", [8, 12, 16, 20])
@pytest.mark.parametrize("expert_width", [8, 12, 24])
def test_the_loop_takes_exactly_what_grouped_products_cannot(width: int, expert_width: int):
    """They want rows of whole 16 bytes, forward and backward; torch checks that also on tensors without data."""
    experts = Experts(width, width=expert_width, num_local_experts=4, first_expert=0)
    experts.gate_up = nn.Parameter(torch.empty(4, 2 * expert_width, width, dtype=torch.bfloat16))
    experts.down = nn.Parameter(torch.empty(4, width, expert_width, dtype=torch.bfloat16))
    x_ND = torch.empty(40, width, dtype=torch.bfloat16, requires_grad=True)
    inputs = (x_ND, torch.empty(40, 2), grouping_of(40, 2, 4))
    if width % 8 == expert_width % 8 == 0:
        experts(*inputs, num_rows_is_common=True).sum().backward()
        assert x_ND.grad.shape == x_ND.shape
        return
    with pytest.raises(DataDependentOutputException):  # the loop asks how many rows each expert has
        experts(*inputs, num_rows_is_common=True)
    experts.__class__ = type("Unchecked", (Experts,), {"_is_aligned": True})
    with pytest.raises(RuntimeError, match="16"):
        experts(*inputs, num_rows_is_common=True).sum().backward()
