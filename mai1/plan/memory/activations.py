"""What one block keeps of a microbatch for its backward, in bytes: pure functions, counted tensor by tensor.

Every function gives bytes a token of this rank, or a routed row that it computes. Three sets of kernels are known: this
version's on a CPU and on a GPU, both shown equal to the real model by tests, and Megatron-Core's with Transformer Engine, for
what this version cannot run (Korthikanti et al. 2022, arXiv 2205.05198, section 4, with the mixture's buffers added and
nothing kept of attention's scores; arXiv 2603.07685, section 4.1).

Legend: D width, H heads, C channels of a head, F inner width, E experts, K choices.
"""

import math
from dataclasses import dataclass
from enum import Enum

from mai1.model.attention import AttentionConfig, AttentionKind, QKNorm
from mai1.model.transformer import ModelConfig
from mai1.plan.layout import Format, Layout, Recompute

FULL, INDEX = 4, 8
"""Bytes of fp32 statistics and of int64 places."""
FEW_ROWS = 64
"""Rows an expert below which a CPU computes all experts at once, as in `mai1.model.moe.experts`."""


class Kernels(Enum):
    """Whose operations are counted."""

    cpu = "cpu"
    gpu = "gpu"
    field = "field"  # Megatron-Core


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes that one block keeps of one microbatch on one rank."""

    stream: float
    """The block's input: what full recomputation keeps too."""
    norms: float
    """Results of norms, the input of the second one, and their statistics."""
    attention: float
    """Queries, keys, values and answers."""
    dense: float
    """Dense network and shared experts."""
    router: float
    """Scores, choices and the order of rows."""
    routed: float
    """Rows of routed tokens, before, within and behind their experts."""
    again: float = 0.0
    """Besides, in the backward: rows of one trip, where those of a microbatch are computed in several and each again."""

    @property
    def total(self) -> float:
        """All that is kept."""
        return self.stream + self.norms + self.attention + self.dense + self.router + self.routed


@dataclass(frozen=True, slots=True)
class Microbatch:
    """One microbatch as one rank sees it."""

    tokens: float
    """Positions of this rank."""
    rows: float
    """Routed rows that its experts are given."""
    rows_at_once: float = math.inf
    """Of them in one trip, where there are several."""
    is_packed: bool = True
    """Whether rows hold several documents, whose attention is computed apart."""

    @property
    def has_trips(self) -> bool:
        """Whether routed rows are computed in several trips, each again in its backward (`routing.max_rows`)."""
        return self.rows_at_once < self.rows


def kernels_of(layout: Layout) -> Kernels:
    """This version's wherever it runs the layout: fp32 is for CPUs."""
    is_absent = layout.tensor > 1 or layout.virtual_stages > 1 or layout.format is Format.fp8
    if is_absent or layout.recompute is Recompute.selective:
        return Kernels.field
    return Kernels.cpu if layout.format is Format.fp32 else Kernels.gpu


def block_keeps(model: ModelConfig, layout: Layout, microbatch: Microbatch, *, is_dense: bool) -> Kept:
    """What one block keeps where nothing is computed again, or, with selective recomputation, what that leaves."""
    kernels, tokens = kernels_of(layout), microbatch.tokens
    attention_of = _latent if model.attention.kind is AttentionKind.latent else _grouped
    width = model.dense_width if is_dense else model.moe.expert_width * model.moe.num_shared_experts
    mixture = {} if is_dense else _mixture(model, layout, microbatch, kernels)
    return Kept(
        stream=tokens * model.d_model * layout.format.stored_bytes,
        norms=tokens * _norms(model, layout, is_dense=is_dense),
        attention=tokens * attention_of(model.attention, layout, kernels, is_packed=microbatch.is_packed),
        dense=tokens * width * _swiglu(layout, kernels),
        **{"router": 0.0, "routed": 0.0} | mixture,
    )


def _norms(model: ModelConfig, layout: Layout, *, is_dense: bool) -> float:
    """The second norm's input, both results as the inputs of products, a statistic each."""
    size, width = layout.format.stored_bytes, model.d_model
    kept = width * size + 2 * FULL
    if layout.recompute is Recompute.selective:
        return kept
    if layout.format is not Format.fp8:
        return kept + 2 * width * size
    # each product keeps its own fp8 copy of what it reads; the router reads bf16
    num_readers = 2 if model.attention.kind is AttentionKind.latent else 1
    of_ffn = 1 if is_dense else size + bool(model.moe.num_shared_experts)
    return kept + width * (num_readers + of_ffn)


def _product_input(layout: Layout) -> int:
    """Bytes of one number that a matrix product keeps."""
    return 1 if layout.format is Format.fp8 else layout.format.stored_bytes


def _swiglu(layout: Layout, kernels: Kernels) -> float:
    """Of each inner channel: gate and up, silu(gate) except where kernels are fused, and the product of the two."""
    size = layout.format.stored_bytes
    if kernels is not Kernels.field:
        return 4 * size
    return 2 * size + (0 if layout.recompute is Recompute.selective else _product_input(layout))


def _grouped(attention: AttentionConfig, layout: Layout, kernels: Kernels, *, is_packed: bool) -> float:
    size, num_heads, num_kv_heads = layout.format.stored_bytes, attention.num_heads, attention.num_kv_heads
    queries, keys = num_heads * attention.head_dim * size, num_kv_heads * attention.head_dim * size
    kept = 0.0
    if attention.qk_norm is not QKNorm.none:
        num_statistics = num_heads + num_kv_heads if attention.qk_norm is QKNorm.head else 2
        kept += queries + keys + num_statistics * FULL
    if kernels is Kernels.gpu:
        kept += 2 * attention.head_dim * size  # cosines and sines in bf16, made anew for queries and for keys
        if is_packed and layout.sequence == 1:
            keys = queries  # the kernel for ragged rows wants a key and a value for every query head
    answers = queries * (2 if _copies_answers(layout, kernels, is_packed=is_packed) else 1)
    if layout.format is Format.fp8:
        answers += queries // size
    return kept + queries + 2 * keys + answers + num_heads * FULL


def _latent(attention: AttentionConfig, layout: Layout, kernels: Kernels, *, is_packed: bool) -> float:
    size, num_heads = layout.format.stored_bytes, attention.num_heads
    as_input = _product_input(layout)
    kept = attention.query_rank * (size + as_input) + (FULL if attention.query_rank else 0)
    kept += (attention.kv_rank + attention.rope_dim) * size + attention.kv_rank * as_input + FULL
    is_selective = layout.recompute is Recompute.selective
    if kernels is Kernels.field:
        up = num_heads * (2 * attention.key_dim + attention.value_dim) * size
        answers = num_heads * attention.value_dim * (size + (layout.format is Format.fp8))
        return kept + (0 if is_selective else up) + answers + num_heads * FULL
    kept += 2 * 2 * attention.rope_dim * 2  # complex64 rotations of half as many pairs, for queries and for keys
    widest = max(attention.key_dim, attention.value_dim)
    values = widest if attention.value_dim < widest else attention.head_dim + attention.value_dim
    is_copied = attention.value_dim < widest or _copies_answers(layout, kernels, is_packed=is_packed)
    answers = widest + (attention.value_dim if is_copied else 0)
    return kept + num_heads * ((2 * widest + values + answers) * size + FULL)


def _copies_answers(layout: Layout, kernels: Kernels, *, is_packed: bool) -> bool:
    """Whether what attention answers is kept twice: documents one by one on a CPU, or slices that travelled."""
    return kernels is not Kernels.field and (layout.sequence > 1 or (kernels is Kernels.cpu and is_packed))


def _mixture(model: ModelConfig, layout: Layout, microbatch: Microbatch, kernels: Kernels) -> dict[str, float]:
    """Bytes of the router, of the rows of routed tokens, and of the rows that are computed again."""
    moe, width, tokens = model.moe, model.d_model, microbatch.tokens
    router = tokens * (2 * moe.num_experts * FULL + FULL)  # logits and their norm for the z-loss, scores
    router += tokens * moe.top_k * INDEX
    if moe.normalize_weights:
        router += tokens * (moe.top_k + 1) * FULL
    if kernels is Kernels.field:
        router += tokens * moe.top_k * FULL
    elif kernels is Kernels.gpu:  # what the router reads, and its matrix, in fp32
        router += tokens * width * FULL + moe.num_experts * width * FULL
    return {"router": router} | _rows(model, layout, microbatch, kernels)


def _fused_row(model: ModelConfig, layout: Layout) -> float:
    """What Megatron-Core keeps of a row: it, gate and up, their product, and the answer, whose weight needs it."""
    width, inner, size = model.d_model, model.moe.expert_width, layout.format.stored_bytes
    product = 0 if layout.recompute is Recompute.selective else inner * _product_input(layout)
    return width * _product_input(layout) + 2 * inner * size + product + width * size


def _rows(model: ModelConfig, layout: Layout, microbatch: Microbatch, kernels: Kernels) -> dict[str, float]:
    """Rows that are kept, and those of one trip that are computed again."""
    if kernels is Kernels.field:
        computed = min(microbatch.rows, microbatch.rows_at_once) * _fused_row(model, layout)
        return {"routed": 0.0, "again": computed} if microbatch.has_trips else {"routed": computed}
    size, is_spread = layout.format.stored_bytes, layout.expert > 1
    choices = microbatch.tokens * model.moe.top_k
    order = size + 2 * INDEX  # a weight, and the order by expert, there and back
    at_home = choices * (order + model.d_model * size * is_spread)  # answers, where they come from elsewhere
    if not microbatch.has_trips:
        return {"routed": at_home + _computed(model, layout, microbatch.rows, kernels)}
    again = _computed(model, layout, microbatch.rows_at_once, kernels)
    if not is_spread:
        return {"routed": choices * size, "again": again + microbatch.rows_at_once * 2 * INDEX}
    # kept for all trips: what departs, what came home before it was put in order, and where rows go
    travelling = choices * (2 * model.d_model * size + INDEX) + microbatch.rows * 2 * INDEX
    return {"routed": at_home + travelling, "again": again}


def _computed(model: ModelConfig, layout: Layout, rows: float, kernels: Kernels) -> float:
    """Rows of this version where their experts are: as they arrived, if they did, and within."""
    moe, width, size, is_spread = model.moe, model.d_model, layout.format.stored_bytes, layout.expert > 1
    at_once = kernels is Kernels.gpu or (not is_spread and rows < FEW_ROWS * moe.num_experts)
    arrived = rows * (size + 2 * INDEX) * is_spread  # weights of 1, and the order by expert
    if layout.fuses_experts:  # tokens are gathered again from where they lie
        num_experts = moe.num_experts / layout.expert
        return arrived + rows * (width * is_spread + 2 * moe.expert_width) * size + num_experts * INDEX
    if at_once:
        return arrived + rows * (2 * width + 4 * moe.expert_width) * size + moe.num_experts / layout.expert * FULL
    return arrived + rows * ((width if is_spread else 0) + 3 * moe.expert_width) * size
