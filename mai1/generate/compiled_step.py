"""A step of generation as one call: `step.c`, which gcc compiles for this CPU when a model is opened.

In small pieces a step costs hundreds of calls, and torch's products read weights at half of the memory's pace where rows are few.
What it computes is what the model computes for one new token of each row; prompts are still read by the model itself.

Legend: B rows, D width, V vocabulary.
"""

import ctypes
from enum import Enum
from pathlib import Path

import torch

from mai1.model.attention import AttentionKind, QKNorm
from mai1.model.c_library import compile_library
from mai1.model.ffn import SwiGLU
from mai1.model.key_value_cache import KeyValueCache
from mai1.model.layout import allocate
from mai1.model.moe.router import Scores
from mai1.model.rope import rotation_at
from mai1.model.transformer import Block, ModelConfig, MoETransformer

MOST_ROWS = 128
"""Beyond it the model's own products are faster, which keep many rows in caches."""
LANES = 16
"""Floats that the kernel takes at once: what widths are multiples of."""


class Kernels(Enum):
    """What computes the steps of generation."""

    torch = "torch"
    compiled = "compiled"  # step.c, on CPUs


class _Layer(ctypes.Structure):
    """`layer` of step.c."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("attention_norm", "query_norm", "key_norm", "ffn_norm", "router")),
        *((name, ctypes.c_void_p) for name in ("selection_bias", "query", "key", "value", "output", "gate_up", "down")),
        *((name, ctypes.c_void_p) for name in ("dense_gate_up", "dense_down", "keys", "values")),
        ("dense_width", ctypes.c_int64),
    ]


class _Model(ctypes.Structure):
    """`model` of step.c."""

    _fields_ = [
        ("layers", ctypes.POINTER(_Layer)),
        *((name, ctypes.c_void_p) for name in ("final_norm", "unembedding")),
        *((name, ctypes.c_int64) for name in ("is_bf16", "num_layers", "vocabulary", "width", "num_heads")),
        *((name, ctypes.c_int64) for name in ("num_kv_heads", "head_dim", "norms_heads", "num_experts", "top_k")),
        *((name, ctypes.c_int64) for name in ("expert_width", "is_softmax", "normalizes_weights", "num_groups")),
        ("top_groups", ctypes.c_int64),
        *((name, ctypes.c_float) for name in ("eps", "scaling_factor")),
    ]


class CompiledStep:
    """One new token of every row through a model that stays as it is, whole, in fp32 on the CPU.

    Where bf16 holds all matrices exactly, a copy in bf16 is read instead: half the bytes, and the same fp32 logits.
    """

    def __init__(self, model: MoETransformer, library: ctypes.CDLL) -> None:
        self._model, self._call = model, library.step
        pointers, sizes = [ctypes.c_void_p], [ctypes.c_int64]
        self._call.argtypes = [*pointers * 4, *sizes, *pointers * 3, *sizes * 2]
        self._call.restype = None
        self._matrices = _Matrices(model)
        described = [_describe_block(block, self._matrices) for block in model.layers]
        self._layers = (_Layer * len(described))(*described)
        self._shape = _describe_model(model, self._layers, self._matrices)

    @property
    def reads_bf16(self) -> bool:
        """Whether bf16 holds all matrices exactly."""
        return self._matrices.are_bf16

    def __call__(self, tokens_B: torch.Tensor, cache: KeyValueCache, first_B: torch.Tensor | None) -> torch.Tensor:
        """Logits `[B, V]` after these tokens, which the cache gets; row b sees its positions from `first_B` (int64) on."""
        cache.begin(tokens_B[:, None], None)
        if first_B is None:
            first_B = torch.zeros_like(tokens_B)
        config, num_rows = self._model.config, len(tokens_B)
        rotation = rotation_at(
            (cache.length - first_B)[:, None], rope_dim=config.attention.rotated_dim, theta=config.rope_theta
        )
        for layer, kept in zip(self._layers, cache.layers, strict=True):
            layer.keys, layer.values = (tensor.data_ptr() for tensor in kept)
        x_BD = self._model.embedding(tokens_B)
        logits_BV = x_BD.new_empty(num_rows, config.vocab_size)
        work = x_BD.new_empty(num_rows * _floats_per_row(config, cache.capacity))
        addresses = (tensor.data_ptr() for tensor in (x_BD, logits_BV, work))
        about_rows = (tensor.data_ptr() for tensor in (rotation.cos_BT1C, rotation.sin_BT1C, first_B))
        self._call(ctypes.byref(self._shape), *addresses, num_rows, *about_rows, cache.length, cache.capacity)
        cache.finish(1)
        return logits_BV


def compile_step(model: MoETransformer, *, key: str) -> CompiledStep:
    """Compile the kernel, in about half a second, for this model; ValueError, which names the setting `key`, where the
    model is not one that it knows, or gcc is missing or fails."""
    _check(model, key=key)
    return CompiledStep(model, compile_library(Path(__file__).with_name("step.c"), key=key))


def _check(model: MoETransformer, *, key: str) -> None:
    config = model.config
    if config.attention.kind is AttentionKind.latent:
        raise ValueError(f"{key}=compiled does not know latent attention (model.attention.kind): use {key}=torch")
    widths = {
        "d_model": config.d_model,
        "dense_width": config.dense_width,
        "attention.head_dim": config.attention.head_dim,
        "moe.expert_width": config.moe.expert_width,
    }
    for name, width in widths.items():
        if width % LANES:
            raise ValueError(f"{key}=compiled needs model.{name}={width} to be a multiple of {LANES}: use {key}=torch")
    weights = [*model.parameters(), *model.buffers()]
    assert model.lora is None and all(w.is_cpu and w.dtype is torch.float32 and w.is_contiguous() for w in weights)


class _Matrices:
    """Where the model's matrices lie: they themselves, or, where bf16 holds all of them exactly, copies of half the size."""

    def __init__(self, model: MoETransformer) -> None:
        matrices = {id(m): m.detach() for name, m in model.named_parameters() if m.dim() > 1 and "router" not in name}
        self.are_bf16 = all(torch.equal(m.bfloat16().float(), m) for m in matrices.values())
        self._held = _in_bf16(matrices) if self.are_bf16 else matrices

    def __call__(self, matrix: torch.nn.Parameter) -> int:
        """The address of one."""
        return self._held[id(matrix)].data_ptr()


def _in_bf16(matrices: dict[int, torch.Tensor]) -> dict[int, torch.Tensor]:
    """Read from a checkpoint in bf16, as releases are, weights are bf16 that fills twice the memory."""
    sizes = [matrix.numel() for matrix in matrices.values()]
    parts = allocate(2 * sum(sizes)).view(torch.bfloat16).split(sizes)
    return {key: part.view(m.shape).copy_(m) for (key, m), part in zip(matrices.items(), parts, strict=True)}


def _describe_block(block: Block, matrices: _Matrices) -> _Layer:
    attention, dense = block.attention, block.ffn
    layer = _Layer(
        attention_norm=block.attention_norm.weight.data_ptr(),
        ffn_norm=block.ffn_norm.weight.data_ptr(),
        query=matrices(attention.query.weight),
        key=matrices(attention.key.weight),
        value=matrices(attention.value.weight),
        output=matrices(attention.output.weight),
    )
    if attention.config.qk_norm is not QKNorm.none:
        layer.query_norm, layer.key_norm = attention.query_norm.weight.data_ptr(), attention.key_norm.weight.data_ptr()
    if not isinstance(dense, SwiGLU):
        router, experts, dense = block.ffn.router, block.ffn.experts, block.ffn.shared
        layer.router, layer.gate_up, layer.down = (
            router.weight.data_ptr(),
            matrices(experts.gate_up),
            matrices(experts.down),
        )
        if router.scores is Scores.sigmoid:
            layer.selection_bias = router.selection_bias.data_ptr()
    if dense is not None:
        layer.dense_gate_up, layer.dense_down = matrices(dense.gate_up.weight), matrices(dense.down.weight)
        layer.dense_width = dense.down.in_features
    return layer


def _describe_model(model: MoETransformer, layers: ctypes.Array, matrices: _Matrices) -> _Model:
    config, attention, moe = model.config, model.config.attention, model.config.moe
    return _Model(
        layers=layers,
        final_norm=model.final_norm.weight.data_ptr(),
        unembedding=matrices(model.output_weight_VD),
        is_bf16=matrices.are_bf16,
        num_layers=len(layers),
        vocabulary=config.vocab_size,
        width=config.d_model,
        num_heads=attention.num_heads,
        num_kv_heads=attention.num_kv_heads,
        head_dim=attention.head_dim,
        norms_heads=attention.qk_norm is QKNorm.head,
        num_experts=moe.num_experts,
        top_k=moe.top_k,
        expert_width=moe.expert_width,
        is_softmax=moe.scores is Scores.softmax,
        normalizes_weights=moe.normalize_weights,
        num_groups=moe.num_groups,
        top_groups=moe.top_groups,
        eps=config.norm_eps,
        scaling_factor=moe.scaling_factor,
    )


def _floats_per_row(config: ModelConfig, capacity: int) -> int:
    """What a row needs to work with: while it attends, or while it asks experts, the router's logits or a dense network."""
    attention, moe = config.attention, config.moe
    heads = 2 * (attention.num_heads + attention.num_kv_heads) * attention.head_dim + attention.num_heads * capacity
    experts = max(moe.num_experts, moe.top_k * (2 * moe.expert_width + config.d_model))
    dense_width = max(config.dense_width, moe.expert_width * moe.num_shared_experts)
    return config.d_model + max(heads, experts, 2 * dense_width + config.d_model)
