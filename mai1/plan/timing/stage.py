"""What the busiest stage of a layout does in an optimizer step, counted and not yet timed."""

from dataclasses import dataclass

from mai1.model.lora import WholePart, is_factor
from mai1.model.transformer import ModelConfig
from mai1.optim.config import Method
from mai1.plan.layout import Layout
from mai1.plan.memory.division import pieces_of
from mai1.plan.memory.held import HeldParameters
from mai1.plan.memory.parameters import parameters_of
from mai1.plan.memory.trips import rows_at_once
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
    rows_of_expert,
    slice_of,
    swiglu_products,
)
from mai1.plan.traffic.muon import muon_flops
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
    shared: Work = Work()
    """Of `blocks`, the shared experts, which work while rows travel."""
    again: Work = Work()
    """Routed experts' forward, where rows in several trips are computed again."""
    adapters: Work = Work()
    """Products of adapters' factors."""
    frozen: tuple[bool, bool] = (False, False)
    """Whether the matrices of blocks, and that of the logits, have no gradients."""
    update_flops: float = 0.0
    """Of Muon, on the busiest rank."""


def busiest_stage(workload: Workload, layout: Layout, *, imbalance: float, software: Software) -> Stage:
    """The stage with most FLOPs; `imbalance` is how many times the mean of its group the fullest rank has of routed rows."""
    part = slice_of(workload, layout, imbalance=imbalance, sorts_in_place=software.deduplicates)
    stage, num_dense, num_sparse, share_of_ends = _largest(
        workload.model, layout, part, divides_by_hand=software.divides_by_hand
    )
    dense, sparse = block_work(part, is_dense=True), block_work(part, is_dense=False)
    held, lora = parameters_of(workload, layout, stage), workload.lora
    _, num_trips = rows_at_once(workload, layout, imbalance=imbalance)
    return Stage(
        workload=workload,
        layout=layout,
        blocks=dense * num_dense + sparse * num_sparse,
        ends=end_work(part) * share_of_ends,
        num_blocks=num_dense + num_sparse,
        num_microbatches=microbatches_of(workload, layout),
        transfers=tuple(traffic_of(workload, layout, imbalance=imbalance, stage=stage, stack=software.traffic)),
        num_updated=_num_updated(held.trained, layout),
        shared=shared_work(part) * num_sparse,
        again=routed_work(part) * num_sparse if num_trips > 1 else Work(),
        adapters=adapter_work(part, held) if lora else Work(),
        frozen=(lora is not None, lora is not None and WholePart.embeddings not in lora.trained_whole),
        update_flops=muon_flops(held, layout) if workload.method is Method.muon else 0.0,
    )


def _largest(
    model: ModelConfig, layout: Layout, part: Slice, *, divides_by_hand: bool
) -> tuple[int, float, float, float]:
    """The stage with most FLOPs: its number, dense and sparse blocks, and its share of the logits.

    Layers for further tokens are the last stage's, blocks and logits of their own, unless stages are divided by hand so that
    all have as much.
    """
    if divides_by_hand and model.num_mtp_layers:
        num_sparse = model.num_layers - model.num_dense_layers + model.num_mtp_layers
        return 0, model.num_dense_layers / layout.pipeline, num_sparse / layout.pipeline, 1 / layout.pipeline
    dense, sparse, ends = (block_work(part, is_dense=True), block_work(part, is_dense=False), end_work(part))
    found = []
    for stage, pieces in enumerate(pieces_of(model, layout)):
        layers = [layer for piece in pieces for layer in piece]
        num_dense = sum(layer < model.num_dense_layers for layer in layers)
        is_last = stage == layout.pipeline - 1
        share_of_ends = float(is_last)
        num_sparse = len(layers) - num_dense + model.num_mtp_layers * is_last
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
    return Work(tuple(products), (), attention_flops(part), memory_bytes) + routed_work(part)


def routed_work(part: Slice) -> Work:
    """Of a block, its routed experts and the rows' ways to them."""
    return Work(experts=tuple(expert_products(part)), memory_bytes=routing_bytes(part))


def shared_work(part: Slice) -> Work:
    """Of a block, its shared experts."""
    width = part.model.moe.num_shared_experts * part.model.moe.expert_width
    return Work(tuple(swiglu_products(part, width))) if width else Work()


def adapter_work(part: Slice, held: HeldParameters) -> Work:
    """Of all blocks of a stage, the factors beside frozen matrices."""
    dense, experts, rows_R = [], [], rows_of_expert(part)
    for tensor in held.tensors:
        if is_factor(tensor.name):
            *count, columns, inner = tensor.shape
            (experts if count else dense).append(Product(rows_R if count else part.rows, inner, columns, *count))
    return Work(tuple(dense), tuple(experts))


def end_work(part: Slice) -> Work:
    """Logits of the next token and of further ones."""
    further = part.model.num_mtp_layers
    products = head_products(part) * (1 + further) + merge_products(part) * further
    return Work(tuple(products), memory_bytes=logit_bytes(part) * (1 + further) / 3)  # timed as a third of a step's


def _num_updated(trained: HeldParameters, layout: Layout) -> float:
    if layout.zero_stage == 0:
        return trained.total
    return trained.dense / layout.dense_replicas + trained.expert / layout.expert_replicas
