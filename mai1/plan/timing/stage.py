"""What the busiest stage of a layout does in an optimizer step, counted and not yet timed."""

from dataclasses import dataclass

from mai1.model.transformer import ModelConfig
from mai1.plan.layout import Layout
from mai1.plan.memory.division import pieces_of
from mai1.plan.memory.parameters import parameters_of
from mai1.plan.timing.constants import Software
from mai1.plan.timing.microbatch import (
    Product,
    Slice,
    attention_flops,
    attention_products,
    dense_elements,
    expert_products,
    head_products,
    logit_bytes,
    merge_products,
    routing_bytes,
    slice_of,
    swiglu_products,
)
from mai1.plan.traffic.traffic import microbatches_of, traffic_of
from mai1.plan.traffic.transfer import Transfer
from mai1.plan.workload import Workload


@dataclass(frozen=True, slots=True)
class Work:
    """The forward of one microbatch on a rank."""

    dense: tuple[Product, ...] = ()
    experts: tuple[Product, ...] = ()
    attention_flops: float = 0.0
    memory_bytes: float = 0.0
    """Of what lies between products."""

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.dense + other.dense,
            self.experts + other.experts,
            self.attention_flops + other.attention_flops,
            self.memory_bytes + other.memory_bytes,
        )

    def __mul__(self, times: float) -> "Work":
        return Work(
            tuple(product.repeated(times) for product in self.dense) if times else (),
            tuple(product.repeated(times) for product in self.experts) if times else (),
            self.attention_flops * times,
            self.memory_bytes * times,
        )

    @property
    def flops(self) -> float:
        """Of products and attention."""
        return sum(product.flops for product in (*self.dense, *self.experts)) + self.attention_flops


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Everything one of its ranks does in a step."""

    workload: Workload
    layout: Layout
    blocks: Work
    ends: Work
    """Logits."""
    num_blocks: float
    num_microbatches: int
    transfers: tuple[Transfer, ...]
    num_updated: float
    """Parameters that a rank's optimizer updates."""


def busiest_stage(workload: Workload, layout: Layout, *, imbalance: float, software: Software) -> Stage:
    """The stage with most FLOPs; `imbalance` is how many times the mean of its group the fullest rank has of routed rows."""
    part = slice_of(workload, layout, imbalance=imbalance, sorts_in_place=software.deduplicates)
    stage, num_dense, num_sparse, share_of_ends = _largest(workload.model, layout, part)
    dense, sparse = block_work(part, is_dense=True), block_work(part, is_dense=False)
    return Stage(
        workload=workload,
        layout=layout,
        blocks=dense * num_dense + sparse * num_sparse,
        ends=end_work(part) * share_of_ends,
        num_blocks=num_dense + num_sparse,
        num_microbatches=microbatches_of(workload, layout),
        transfers=tuple(traffic_of(workload, layout, imbalance=imbalance, stage=stage, stack=software.traffic)),
        num_updated=_num_updated(workload, layout, stage),
    )


def _largest(model: ModelConfig, layout: Layout, part: Slice) -> tuple[int, float, float, float]:
    """The stage with most FLOPs: its number, dense and sparse blocks, and its share of the logits.

    Where further tokens are predicted, stages are divided by hand so that all have as much (as all published runs do).
    """
    num_sparse = model.num_layers - model.num_dense_layers + model.num_mtp_layers
    if model.num_mtp_layers:
        return 0, model.num_dense_layers / layout.pipeline, num_sparse / layout.pipeline, 1 / layout.pipeline
    dense, sparse, ends = (block_work(part, is_dense=True), block_work(part, is_dense=False), end_work(part))
    found = []
    for stage, pieces in enumerate(pieces_of(model, layout)):
        layers = [layer for piece in pieces for layer in piece]
        num_dense = sum(layer < model.num_dense_layers for layer in layers)
        share_of_ends = float(stage == layout.pipeline - 1)
        num_sparse = len(layers) - num_dense
        flops = num_dense * dense.flops + num_sparse * sparse.flops + ends.flops * share_of_ends
        found.append((flops, stage, num_dense, num_sparse, share_of_ends))
    return max(found)[1:]


def block_work(part: Slice, *, is_dense: bool) -> Work:
    """One transformer block."""
    model, moe = part.model, part.model.moe
    width = model.dense_width if is_dense else moe.num_shared_experts * moe.expert_width
    products = attention_products(part) + (swiglu_products(part, width) if width else [])
    memory_bytes = dense_elements(part, width) * part.stored_bytes
    if is_dense:
        return Work(tuple(products), (), attention_flops(part), memory_bytes)
    products.append(Product(part.tokens, model.d_model, moe.num_experts))
    memory_bytes += routing_bytes(part)
    return Work(tuple(products), tuple(expert_products(part)), attention_flops(part), memory_bytes)


def end_work(part: Slice) -> Work:
    """Logits of the next token and of further ones."""
    further = part.model.num_mtp_layers
    products = head_products(part) * (1 + further) + merge_products(part) * further
    return Work(tuple(products), memory_bytes=logit_bytes(part) * (1 + further) / 3)  # timed as a third of a step's


def _num_updated(workload: Workload, layout: Layout, stage: int) -> float:
    held = parameters_of(workload.model, layout, stage)
    if layout.zero_stage == 0:
        return held.total
    return held.dense / layout.dense_replicas + held.expert / layout.expert_replicas
