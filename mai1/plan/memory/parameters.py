"""The parameters that one rank of a layout holds, by the names they have in the model: pure functions of the shapes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mai1.model.attention import AttentionKind, QKNorm
from mai1.model.transformer import ModelConfig
from mai1.plan.layout import Layout
from mai1.plan.memory.division import ModelKey, Piece, pieces_of

UNDECAYED = ("embedding.weight", "unembedding.weight")
"""Matrices that the optimizer treats as it does vectors: see `mai1.optim.adamw.parameter_groups`."""


@dataclass(frozen=True, slots=True)
class HeldTensor:
    """One parameter, as large as this rank's modules have it: before ZeRO shards anything."""

    name: str
    numel: int
    is_vector: bool = False

    @property
    def is_expert(self) -> bool:
        """Whether it is of the routed experts, which expert parallelism spreads."""
        return ".experts." in self.name

    @property
    def is_decayed(self) -> bool:
        """Whether it is of the optimizer's group of matrices."""
        return not self.is_vector and self.name not in UNDECAYED


@dataclass(frozen=True, slots=True)
class HeldParameters:
    """All parameters of one rank."""

    tensors: tuple[HeldTensor, ...]

    @property
    def dense(self) -> int:
        """Elements of everything but routed experts."""
        return sum(tensor.numel for tensor in self.tensors if not tensor.is_expert)

    @property
    def expert(self) -> int:
        """Elements of routed experts."""
        return sum(tensor.numel for tensor in self.tensors if tensor.is_expert)

    @property
    def total(self) -> int:
        """Elements of both."""
        return self.dense + self.expert


def parameters_of(
    model: ModelConfig, layout: Layout, stage: int, *, pieces: list[list[Piece]] | None = None
) -> HeldParameters:
    """What every rank of a stage holds; `pieces` are those of all stages, by default as `pieces_of` divides them.

    Tensor parallelism splits attention, dense networks and the vocabulary over `layout.tensor` ranks, as Megatron-LM does
    (Shoeybi et al. 2019, arXiv 1909.08053, section 3); norms, routers and the down-projections of latents are copied, and
    experts stay whole. A last stage that predicts further tokens, or whose output matrix is the embedding, has a copy of it.
    """
    held = (pieces or pieces_of(model, layout))[stage]
    layers = tuple(layer for piece in held for layer in piece)
    split = Layout(num_devices=layout.tensor * layout.expert, tensor=layout.tensor, expert=layout.expert)
    return _held(ModelKey(model), split, layers, stage == 0, stage == layout.pipeline - 1)


@lru_cache(maxsize=4096)
def _held(key: ModelKey, layout: Layout, layers: tuple[int, ...], is_first: bool, is_last: bool) -> HeldParameters:
    """Of these layers; all that matters of the layout is how it splits matrices and experts."""
    model = key.model
    tensors = list(_ends(model, layout, is_first=is_first, is_last=is_last))
    for layer in layers:
        tensors += _block(model, layout, f"layers.{layer}.", is_dense=layer < model.num_dense_layers)
    if is_last:
        for depth in range(model.num_mtp_layers):
            tensors += _further(model, layout, f"mtp.{depth}.")
    return HeldParameters(tuple(tensors))


def _ends(model: ModelConfig, layout: Layout, *, is_first: bool, is_last: bool) -> Iterator[HeldTensor]:
    table = math.ceil(model.vocab_size / layout.tensor) * model.d_model
    if is_first or (is_last and (model.tie_embeddings or model.num_mtp_layers)):
        yield HeldTensor("embedding.weight", table)
    if is_last:
        yield HeldTensor("final_norm.weight", model.d_model, is_vector=True)
        if not model.tie_embeddings:
            yield HeldTensor("unembedding.weight", table)


def _further(model: ModelConfig, layout: Layout, prefix: str) -> Iterator[HeldTensor]:
    for norm in ("embedding_norm", "hidden_norm", "final_norm"):
        yield HeldTensor(f"{prefix}{norm}.weight", model.d_model, is_vector=True)
    yield HeldTensor(f"{prefix}merge.weight", 2 * model.d_model**2 // layout.tensor)
    yield from _block(model, layout, f"{prefix}block.", is_dense=False)


def _block(model: ModelConfig, layout: Layout, prefix: str, *, is_dense: bool) -> Iterator[HeldTensor]:
    width, tensor = model.d_model, layout.tensor
    for norm in ("attention_norm", "ffn_norm"):
        yield HeldTensor(f"{prefix}{norm}.weight", width, is_vector=True)
    is_latent = model.attention.kind is AttentionKind.latent
    yield from (_latent if is_latent else _grouped)(model, layout, f"{prefix}attention.")
    ffn = f"{prefix}ffn."
    if is_dense:
        yield from _swiglu(width, model.dense_width, tensor, ffn)
        return
    moe = model.moe
    yield HeldTensor(f"{ffn}router.weight", moe.num_experts * width)
    per_matrix = moe.num_experts // layout.expert * width * moe.expert_width
    yield HeldTensor(f"{ffn}experts.gate_up", 2 * per_matrix)
    yield HeldTensor(f"{ffn}experts.down", per_matrix)
    if moe.num_shared_experts:
        yield from _swiglu(width, moe.expert_width * moe.num_shared_experts, tensor, f"{ffn}shared.")


def _swiglu(d_model: int, width: int, tensor: int, prefix: str) -> Iterator[HeldTensor]:
    yield HeldTensor(f"{prefix}gate_up.weight", 2 * width * d_model // tensor)
    yield HeldTensor(f"{prefix}down.weight", width * d_model // tensor)


def _grouped(model: ModelConfig, layout: Layout, prefix: str) -> Iterator[HeldTensor]:
    attention, width = model.attention, model.d_model
    queries = attention.num_heads * attention.head_dim // layout.tensor
    # with more ranks than key-value heads some ranks hold the same head
    keys = math.ceil(attention.num_kv_heads / layout.tensor) * attention.head_dim
    for name, channels in (("query", queries), ("key", keys), ("value", keys), ("output", queries)):
        yield HeldTensor(f"{prefix}{name}.weight", channels * width)
    if attention.qk_norm is not QKNorm.none:
        per_head = attention.qk_norm is QKNorm.head
        yield HeldTensor(f"{prefix}query_norm.weight", attention.head_dim if per_head else queries, is_vector=True)
        yield HeldTensor(f"{prefix}key_norm.weight", attention.head_dim if per_head else keys, is_vector=True)


def _latent(model: ModelConfig, layout: Layout, prefix: str) -> Iterator[HeldTensor]:
    attention, width, num_heads = model.attention, model.d_model, model.attention.num_heads // layout.tensor
    if attention.query_rank:
        yield HeldTensor(f"{prefix}query_down.weight", attention.query_rank * width)
        yield HeldTensor(f"{prefix}query_norm.weight", attention.query_rank, is_vector=True)
    yield HeldTensor(f"{prefix}query.weight", num_heads * attention.key_dim * (attention.query_rank or width))
    yield HeldTensor(f"{prefix}kv_down.weight", (attention.kv_rank + attention.rope_dim) * width)
    yield HeldTensor(f"{prefix}kv_norm.weight", attention.kv_rank, is_vector=True)
    up = num_heads * (attention.head_dim + attention.value_dim)
    yield HeldTensor(f"{prefix}kv_up.weight", up * attention.kv_rank)
    yield HeldTensor(f"{prefix}output.weight", num_heads * attention.value_dim * width)
