"""The parameters that one rank of a layout holds, by the names they have in the model: pure functions of the shapes."""

import math
from collections.abc import Iterator
from functools import lru_cache

from mai1.model.attention import AttentionKind, QKNorm
from mai1.model.lora import LoraConfig
from mai1.model.transformer import ModelConfig
from mai1.plan.layout import Layout
from mai1.plan.memory.adapters import adapted
from mai1.plan.memory.division import Key, Piece, pieces_of
from mai1.plan.memory.held import HeldParameters, HeldTensor
from mai1.plan.workload import Workload


def parameters_of(
    workload: Workload, layout: Layout, stage: int, *, pieces: list[list[Piece]] | None = None
) -> HeldParameters:
    """What every rank of a stage holds; `pieces` are those of all stages, by default as `pieces_of` divides them.

    Tensor parallelism splits attention, dense networks and the vocabulary over `layout.tensor` ranks, as Megatron-LM does
    (Shoeybi et al. 2019, arXiv 1909.08053, section 3); norms, routers and the down-projections of latents are copied, and
    experts stay whole. A last stage that predicts further tokens, or whose output matrix is the embedding, has a copy of it.
    """
    held = (pieces or pieces_of(workload.model, layout))[stage]
    layers = tuple(layer for piece in held for layer in piece)
    split = Layout(num_devices=layout.tensor * layout.expert, tensor=layout.tensor, expert=layout.expert)
    return _held(Key(workload.model), Key(workload.lora), split, layers, stage == 0, stage == layout.pipeline - 1)


@lru_cache(maxsize=4096)
def _held(
    model_key: Key[ModelConfig],
    lora_key: Key[LoraConfig | None],
    layout: Layout,
    layers: tuple[int, ...],
    is_first: bool,
    is_last: bool,
) -> HeldParameters:
    """Of these layers; all that matters of the layout is how it splits matrices and experts."""
    model, lora = model_key.config, lora_key.config
    tensors = list(_ends(model, layout, is_first=is_first, is_last=is_last))
    for layer in layers:
        tensors += _block(model, layout, f"layers.{layer}.", is_dense=layer < model.num_dense_layers)
    if is_last:
        for depth in range(model.num_mtp_layers):
            tensors += _further(model, layout, f"mtp.{depth}.")
    return HeldParameters(tuple(adapted(tensors, lora) if lora else tensors))


def _ends(model: ModelConfig, layout: Layout, *, is_first: bool, is_last: bool) -> Iterator[HeldTensor]:
    table = (math.ceil(model.vocab_size / layout.tensor), model.d_model)
    if is_first or (is_last and (model.tie_embeddings or model.num_mtp_layers)):
        yield HeldTensor("embedding.weight", table)
    if is_last:
        yield HeldTensor("final_norm.weight", (model.d_model,))
        if not model.tie_embeddings:
            yield HeldTensor("unembedding.weight", table)


def _further(model: ModelConfig, layout: Layout, prefix: str) -> Iterator[HeldTensor]:
    for norm in ("embedding_norm", "hidden_norm", "final_norm"):
        yield HeldTensor(f"{prefix}{norm}.weight", (model.d_model,))
    yield HeldTensor(f"{prefix}merge.weight", (model.d_model // layout.tensor, 2 * model.d_model))
    yield from _block(model, layout, f"{prefix}block.", is_dense=False)


def _block(model: ModelConfig, layout: Layout, prefix: str, *, is_dense: bool) -> Iterator[HeldTensor]:
    width, tensor = model.d_model, layout.tensor
    for norm in ("attention_norm", "ffn_norm"):
        yield HeldTensor(f"{prefix}{norm}.weight", (width,))
    is_latent = model.attention.kind is AttentionKind.latent
    yield from (_latent if is_latent else _grouped)(model, layout, f"{prefix}attention.")
    ffn = f"{prefix}ffn."
    if is_dense:
        yield from _swiglu(width, model.dense_width, tensor, ffn)
        return
    moe = model.moe
    yield HeldTensor(f"{ffn}router.weight", (moe.num_experts, width))
    num_local = moe.num_experts // layout.expert
    yield HeldTensor(f"{ffn}experts.gate_up", (num_local, 2 * moe.expert_width, width))
    yield HeldTensor(f"{ffn}experts.down", (num_local, width, moe.expert_width))
    if moe.num_shared_experts:
        yield from _swiglu(width, moe.expert_width * moe.num_shared_experts, tensor, f"{ffn}shared.")


def _swiglu(d_model: int, width: int, tensor: int, prefix: str) -> Iterator[HeldTensor]:
    yield HeldTensor(f"{prefix}gate_up.weight", (2 * width // tensor, d_model))
    yield HeldTensor(f"{prefix}down.weight", (d_model, width // tensor))


def _grouped(model: ModelConfig, layout: Layout, prefix: str) -> Iterator[HeldTensor]:
    attention, width = model.attention, model.d_model
    queries = attention.num_heads * attention.head_dim // layout.tensor
    # with more ranks than key-value heads some ranks hold the same head
    keys = math.ceil(attention.num_kv_heads / layout.tensor) * attention.head_dim
    for name, channels in (("query", queries), ("key", keys), ("value", keys)):
        yield HeldTensor(f"{prefix}{name}.weight", (channels, width))
    yield HeldTensor(f"{prefix}output.weight", (width, queries))
    if attention.qk_norm is not QKNorm.none:
        per_head = attention.qk_norm is QKNorm.head
        yield HeldTensor(f"{prefix}query_norm.weight", (attention.head_dim if per_head else queries,))
        yield HeldTensor(f"{prefix}key_norm.weight", (attention.head_dim if per_head else keys,))


def _latent(model: ModelConfig, layout: Layout, prefix: str) -> Iterator[HeldTensor]:
    attention, width, num_heads = model.attention, model.d_model, model.attention.num_heads // layout.tensor
    if attention.query_rank:
        yield HeldTensor(f"{prefix}query_down.weight", (attention.query_rank, width))
        yield HeldTensor(f"{prefix}query_norm.weight", (attention.query_rank,))
    yield HeldTensor(f"{prefix}query.weight", (num_heads * attention.key_dim, attention.query_rank or width))
    yield HeldTensor(f"{prefix}kv_down.weight", (attention.kv_rank + attention.rope_dim, width))
    yield HeldTensor(f"{prefix}kv_norm.weight", (attention.kv_rank,))
    up = num_heads * (attention.head_dim + attention.value_dim)
    yield HeldTensor(f"{prefix}kv_up.weight", (up, attention.kv_rank))
    yield HeldTensor(f"{prefix}output.weight", (width, num_heads * attention.value_dim))
