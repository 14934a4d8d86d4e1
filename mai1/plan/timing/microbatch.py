"""What one microbatch costs a rank: matrix products, attention, and bytes between them, forward only. Nothing is timed here.

Legend: N positions of a rank, D width, K choices, R rows of one expert, F expert width.
"""

from dataclasses import dataclass

from mai1.model.attention import AttentionConfig, AttentionKind
from mai1.model.transformer import ModelConfig
from mai1.plan.layout import Layout
from mai1.plan.workload import Workload

LOGIT_BYTES = 16
"""Of one logit through memory: fp32, written by the product, read and replaced by its gradient, read for the products."""
SCORE_BYTES = 24
"""Of one expert's score for one token: fp32, through about six kernels."""


@dataclass(frozen=True, slots=True)
class Product:
    """`count` products of a [rows, inner] with an [inner, columns] matrix."""

    rows: float
    inner: float
    columns: float
    count: float = 1

    def repeated(self, times: float) -> "Product":
        """So many times as many."""
        return Product(self.rows, self.inner, self.columns, self.count * times)

    @property
    def flops(self) -> float:
        """2 a multiply-add."""
        return 2 * self.rows * self.inner * self.columns * self.count

    @property
    def elements(self) -> float:
        """Of operands and result."""
        return (self.rows * self.inner + self.inner * self.columns + self.rows * self.columns) * self.count


@dataclass(frozen=True, slots=True)
class Slice:
    """A rank's share of a microbatch."""

    model: ModelConfig
    rows: float
    """Positions whose products the rank computes, with its slice of every dense matrix."""
    tokens: float
    """Positions it holds between split matrices."""
    context: int
    tensor: int
    expert: int
    imbalance: float
    stored_bytes: int
    sorts_in_place: bool
    """Rows arrive where their expert reads them (DeepEP), instead of being sorted again there and before they go back."""


def slice_of(workload: Workload, layout: Layout, *, imbalance: float, sorts_in_place: bool = False) -> Slice:
    """The share of every rank of a layout; `imbalance` is how many times the mean the fullest rank has of routed rows."""
    rows = layout.microbatch * workload.sequence_length / layout.sequence
    return Slice(
        workload.model,
        rows=rows,
        tokens=rows / layout.tensor,
        context=workload.sequence_length,
        tensor=layout.tensor,
        expert=layout.expert,
        imbalance=imbalance,
        stored_bytes=layout.format.stored_bytes,
        sorts_in_place=sorts_in_place,
    )


def attention_products(part: Slice) -> list[Product]:
    """Projections of one block."""
    attention, width = part.model.attention, part.model.d_model
    heads = attention.num_heads / part.tensor
    output = Product(part.rows, heads * attention.mixed_dim, width)
    if attention.kind is AttentionKind.grouped:
        channels = (attention.num_heads + 2 * attention.num_kv_heads) * attention.head_dim / part.tensor
        return [Product(part.rows, width, channels), output]
    down = attention.query_rank + attention.kv_rank + attention.rope_dim
    return [
        Product(part.tokens, width, down),
        Product(part.rows, attention.query_rank or width, heads * attention.key_dim),
        Product(part.rows, attention.kv_rank, heads * (attention.head_dim + attention.value_dim)),
        output,
    ]


def attention_flops(part: Slice) -> float:
    """Of scores and sums of one block, the causal half."""
    return part.tokens * part.context * _score_channels(part.model.attention)


def swiglu_products(part: Slice, width: int) -> list[Product]:
    """A dense network or shared experts."""
    return [
        Product(part.rows, part.model.d_model, 2 * width / part.tensor),
        Product(part.rows, width / part.tensor, part.model.d_model),
    ]


def expert_products(part: Slice) -> list[Product]:
    """The routed experts that a rank holds; each has R rows of all ranks that share them."""
    moe, width = part.model.moe, part.model.d_model
    rows_R, held = rows_of_expert(part), moe.num_experts / part.expert
    return [
        Product(rows_R, width, 2 * moe.expert_width, held),
        Product(rows_R, moe.expert_width, width, held),
    ]


def rows_of_expert(part: Slice) -> float:
    """Routed rows of one expert, of all ranks that share it."""
    moe = part.model.moe
    return part.tokens * moe.top_k * part.expert / moe.num_experts * part.imbalance


def head_products(part: Slice) -> list[Product]:
    """Logits of one prediction."""
    return [Product(part.rows, part.model.d_model, part.model.vocab_size / part.tensor)]


def merge_products(part: Slice) -> list[Product]:
    """What joins hidden state and embedding where further tokens are predicted."""
    return [Product(part.rows, 2 * part.model.d_model, part.model.d_model / part.tensor)]


def dense_elements(part: Slice, width: int) -> float:
    """Read and written between the products of attention and of a network of `width`: norms and residual sums (10 D),
    rotations of queries and keys, activation (3 widths)."""
    attention = part.model.attention
    heads = (attention.num_heads + 2 * attention.num_kv_heads) * attention.key_dim
    return part.tokens * (10 * part.model.d_model + 2 * heads + 3 * width)


def routing_bytes(part: Slice) -> float:
    """Scores; rows sorted by expert, sorted again where they arrived, and the same way back; the activation of each."""
    moe, width = part.model.moe, part.model.d_model
    sorts = 8 if part.expert > 1 and not part.sorts_in_place else 4
    rows = part.tokens * moe.top_k * part.imbalance
    return (
        rows * (sorts * width + 3 * moe.expert_width) * part.stored_bytes + part.tokens * moe.num_experts * SCORE_BYTES
    )


def logit_bytes(part: Slice) -> float:
    """Of one prediction, forward and backward."""
    return part.rows * part.model.vocab_size / part.tensor * LOGIT_BYTES


def _score_channels(attention: AttentionConfig) -> int:
    return attention.num_heads * (attention.key_dim + attention.mixed_dim)
