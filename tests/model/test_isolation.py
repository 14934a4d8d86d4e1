import math

import pytest
import torch
from torch._dynamo.testing import CompileCounter
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from mai1.model import isolation as isolation_module
from mai1.model.attention import Attention, AttentionConfig, AttentionKind, QKNorm
from mai1.model.isolation import Documents, attend, document_mask, isolate
from mai1.model.latent_attention import LatentAttention
from mai1.model.rope import rotation_at

SEGMENTS_BT = torch.tensor([[0, 0, 0, 1, 2, 2, 2], [0, 0, 0, 0, 0, -1, -1], [4, 4, 4, 4, 4, 4, 4]])
LENGTHS = [3, 1, 3, 5, 2, 7]
HEADS = [(4, 4, 6, 6), (4, 2, 8, 8), (4, 1, 8, 6), (2, 2, 4, 10)]  # H, G, C, V


def random_qkv(heads: tuple[int, int, int, int], *, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    num_heads, num_groups, channels, value_channels = heads
    generator = torch.Generator().manual_seed(3)
    shapes = [(num_heads, channels), (num_groups, channels), (num_groups, value_channels)]
    return [
        torch.randn(*SEGMENTS_BT.shape, *shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes
    ]


def attend_by_loop(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments: torch.Tensor, *, scale: float
) -> torch.Tensor:
    """Every row, position and head on its own."""
    result = torch.zeros(*query.shape[:3], value.shape[-1], dtype=query.dtype)
    for b, row in enumerate(segments.tolist()):
        for t in range(len(row)):
            seen = [s for s in range(t + 1) if row[s] == row[t]]
            for h in range(query.shape[2]):
                g = h * key.shape[2] // query.shape[2]
                weights = (key[b, seen, g] @ query[b, t, h] * scale).softmax(0)
                result[b, t, h] = weights @ value[b, seen, g]
    return result


def documents_of(segments_BT: torch.Tensor) -> Documents:
    return isolate(segments_BT, segments_BT, device=torch.device("cpu"))


def test_documents_are_the_runs_of_equal_ids_row_after_row():
    documents = documents_of(SEGMENTS_BT)
    assert documents.lengths == LENGTHS
    assert documents.borders.tolist() == [0, 3, 4, 7, 12, 14, 21] and documents.borders.dtype == torch.int32


def test_only_queries_that_continue_a_cache_take_a_mask():
    found = isolate(SEGMENTS_BT[:, -2:], SEGMENTS_BT, device=torch.device("cpu"))
    assert torch.equal(found, document_mask(SEGMENTS_BT[:, -2:], SEGMENTS_BT)) and found.shape == (3, 1, 2, 7)


def test_the_document_mask_of_the_last_queries_equals_two_loops():
    num_queries = 3
    mask = document_mask(SEGMENTS_BT[:, -num_queries:], SEGMENTS_BT)
    for b, row in enumerate(SEGMENTS_BT.tolist()):
        for t in range(num_queries):
            q = 7 - num_queries + t
            assert mask[b, 0, t].tolist() == [s <= q and row[s] == row[q] for s in range(7)]


@pytest.mark.parametrize("scale", [None, 0.7])
@pytest.mark.parametrize("heads", HEADS)
def test_documents_and_mask_equal_a_loop_over_queries_also_in_gradients(heads: tuple, scale: float | None):
    qkv = random_qkv(heads, dtype=torch.float64)
    expected = attend_by_loop(*qkv, SEGMENTS_BT, scale=scale or 1 / math.sqrt(heads[2]))
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    gradients = torch.autograd.grad(expected, qkv, direction)
    for isolation in (documents_of(SEGMENTS_BT), document_mask(SEGMENTS_BT, SEGMENTS_BT)):
        mixed = attend(*qkv, isolation, scale=scale)
        torch.testing.assert_close(mixed, expected)
        for found, wanted in zip(torch.autograd.grad(mixed, qkv, direction), gradients, strict=True):
            torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("heads", HEADS)
def test_without_isolation_each_row_is_one_document(heads: tuple):
    qkv = random_qkv(heads)
    expected = attend_by_loop(*qkv, torch.zeros_like(SEGMENTS_BT), scale=1 / math.sqrt(heads[2]))
    torch.testing.assert_close(attend(*qkv, None), expected, atol=1e-5, rtol=1e-5)


class LargestTensor(TorchDispatchMode):
    """The most elements of any tensor that an operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            self.numel = max(self.numel, tensor.numel() if isinstance(tensor, torch.Tensor) else 0)
        return result


@pytest.mark.parametrize("value_channels", [8, 6])
def test_nothing_of_size_t_by_t_is_kept_for_a_long_packed_row(value_channels: int):
    segments_BT = torch.arange(2048)[None] // 64
    shapes = [(2, 8), (2, 8), (2, value_channels)]
    qkv = [torch.randn(1, 2048, *shape, requires_grad=True) for shape in shapes]
    with LargestTensor() as largest:
        attend(*qkv, documents_of(segments_BT)).sum().backward()
    assert largest.numel == 2048 * 2 * 8


def ragged_reference(
    query_NHW: torch.Tensor,
    key_NHW: torch.Tensor,
    value_NHW: torch.Tensor,
    borders: torch.Tensor,
    key_borders: torch.Tensor,
    longest: int,
    longest_key: int,
    *,
    scale: float,
    window_size: tuple[int, int],
) -> torch.Tensor:
    """What torch's kernel for ragged rows promises, one row at a time."""
    assert torch.equal(borders, key_borders) and longest == longest_key == int(borders.diff().max())
    assert window_size == (-1, 0) and query_NHW.shape == key_NHW.shape == value_NHW.shape
    segments = torch.repeat_interleave(torch.arange(len(borders) - 1), borders.diff())[None]
    return attend_by_loop(query_NHW[None], key_NHW[None], value_NHW[None], segments, scale=scale)[0]


@pytest.mark.parametrize("heads", HEADS)
def test_the_kernel_for_ragged_rows_is_told_the_documents(heads: tuple, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(isolation_module, "_has_ragged_kernel", lambda query: True)
    monkeypatch.setattr(isolation_module, "varlen_attn", ragged_reference)
    qkv = random_qkv(heads)
    found = attend(*qkv, documents_of(SEGMENTS_BT))
    expected = attend_by_loop(*qkv, SEGMENTS_BT, scale=1 / math.sqrt(heads[2]))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


GROUPED = AttentionConfig(num_heads=4, num_kv_heads=2, head_dim=16)
LATENT = AttentionConfig(
    kind=AttentionKind.latent,
    num_heads=4,
    num_kv_heads=4,
    head_dim=16,
    qk_norm=QKNorm.none,
    kv_rank=12,
    rope_dim=8,
    value_dim=16,
)


@pytest.mark.parametrize("kind", AttentionKind)
def test_the_path_of_the_ragged_kernel_reads_no_value_back(kind: AttentionKind, monkeypatch: pytest.MonkeyPatch):
    """On tensors without data, where anything that would make a GPU wait is an error; forward and backward."""
    monkeypatch.setattr(isolation_module, "_has_ragged_kernel", lambda query: True)
    calls, kernel = [], isolation_module.varlen_attn
    monkeypatch.setattr(isolation_module, "varlen_attn", lambda *a, **k: calls.append(a) or kernel(*a, **k))
    if kind is AttentionKind.latent:
        attention = LatentAttention(LATENT, d_model=32)
    else:
        attention = Attention(GROUPED, d_model=32, norm_eps=1e-6)
    with FakeTensorMode():
        weights = {name: torch.empty(w.shape, dtype=torch.bfloat16) for name, w in attention.named_parameters()}
        rotation = rotation_at(torch.zeros(3, 7, dtype=torch.int64), rope_dim=attention.config.rotated_dim, theta=1e4)
        documents = Documents(LENGTHS, torch.empty(len(LENGTHS) + 1, dtype=torch.int32), longest=7)
        x_BTD = torch.empty(3, 7, 32, dtype=torch.bfloat16, requires_grad=True)
        mixed_BTD = functional_call(attention, weights, x_BTD, {"rotation": rotation, "isolation": documents})
        mixed_BTD.sum().backward()
        assert mixed_BTD.shape == x_BTD.grad.shape == (3, 7, 32) and mixed_BTD.dtype is torch.bfloat16
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("device", "dtype", "width", "expected"),
    [
        ("cuda", torch.bfloat16, 192, True),
        ("cuda", torch.float16, 64, True),
        ("cuda", torch.float32, 64, False),
        ("cuda", torch.bfloat16, 264, False),
        ("cuda", torch.bfloat16, 20, False),
        ("cpu", torch.bfloat16, 64, False),
    ],
)
def test_the_ragged_kernel_is_taken_where_it_exists(device: str, dtype: torch.dtype, width: int, expected: bool):
    with FakeTensorMode():
        assert isolation_module._has_ragged_kernel(torch.empty(1, 2, 3, width, device=device, dtype=dtype)) is expected


@torch.library.custom_op("mai1_test::ragged", mutates_args=())
def opaque_kernel(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, longest: int) -> torch.Tensor:
    return query + key + value


@opaque_kernel.register_fake
def _(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, longest: int) -> torch.Tensor:
    return torch.empty_like(query)


def test_compiled_attention_serves_any_documents(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(isolation_module, "_has_ragged_kernel", lambda query: True)
    monkeypatch.setattr(isolation_module, "varlen_attn", lambda q, k, v, *a, **options: opaque_kernel(q, k, v, a[2]))
    counter = CompileCounter()
    compiled, qkv = torch.compile(attend, backend=counter), random_qkv((4, 2, 8, 8))
    for length in (7, 1, 2, 3, 4, 5, 6):
        segments_BT = (torch.arange(7) // length).expand(3, 7)
        compiled(*qkv, documents_of(segments_BT))
    assert counter.frame_count <= 3  # one length, one document a row, and any others


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("heads", [(4, 2, 64, 64), (4, 4, 24, 16), (2, 1, 192, 128)])
def test_the_kernel_for_ragged_rows_equals_documents_one_by_one(heads: tuple):
    qkv = [x.detach().to("cuda", torch.bfloat16).requires_grad_() for x in random_qkv(heads)]
    exact = [x.detach().float().requires_grad_() for x in qkv]
    documents = isolate(SEGMENTS_BT, SEGMENTS_BT, device=torch.device("cuda"))
    found, expected = attend(*qkv, documents), attend(*exact, documents)
    torch.testing.assert_close(found.float(), expected, atol=2e-2, rtol=2e-2)
    found.sum().backward()
    expected.sum().backward()
    for x, reference in zip(qkv, exact, strict=True):
        torch.testing.assert_close(x.grad.float(), reference.grad, atol=5e-2, rtol=5e-2)
