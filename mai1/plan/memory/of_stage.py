"""The memory of one pipeline stage's rank at the moments of a step when it is largest, and what each buffer takes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mai1.model.attention import AttentionKind
from mai1.model.cross_entropy import LOGITS_AT_ONCE, MIN_ROWS
from mai1.model.lora import WholePart
from mai1.model.transformer import ModelConfig
from mai1.plan.layout import Layout, Recompute
from mai1.plan.memory.activations import FULL, INDEX, Kept, Kernels, Microbatch, block_keeps, kernels_of
from mai1.plan.memory.adapters import with_adapters
from mai1.plan.memory.division import Piece
from mai1.plan.memory.held import HeldParameters
from mai1.plan.memory.in_flight import in_flight, num_microbatches
from mai1.plan.memory.kinds import Memory
from mai1.plan.memory.parameters import parameters_of
from mai1.plan.memory.state import State, state_of
from mai1.plan.memory.trips import rows_at_once
from mai1.plan.workload import Workload

BUCKET = 500_000_000
"""Elements of gradients that DeepSpeed reduces at once (`reduce_bucket_size`)."""
LIVE, PREFETCHED = 1_000_000_000, 50_000_000
"""Elements of weights that ZeRO-3 leaves gathered, and gathers ahead (`stage3_max_live_parameters`, `_prefetch_bucket_size`)."""
CONTEXT = 2**30
"""Bytes of a GPU that the driver's context, libraries and NCCL's channels take: assumed, about what is commonly seen."""
FRAGMENTED = 0.03
"""Share of what comes and goes that a GPU's allocator cannot use: assumed, with expandable segments."""


@dataclass(slots=True)
class StageMemory:
    """One pipeline stage's rank, and what is asked about it."""

    workload: Workload
    layout: Layout
    pieces: list[list[Piece]]
    stage: int
    imbalance: float
    is_packed: bool

    def memory(self) -> Memory:
        """At the fullest moment."""
        held = parameters_of(self.workload, self.layout, self.stage, pieces=self.pieces)
        state = state_of(held, self.layout, method=self.workload.method)
        return max(self._moments(held, state), key=lambda memory: memory.total)

    @property
    def model(self) -> ModelConfig:
        """What is trained."""
        return self.workload.model

    @property
    def kernels(self) -> Kernels:
        """Whose operations run."""
        return kernels_of(self.layout)

    @property
    def is_last(self) -> bool:
        """Whether the loss is computed here."""
        return self.stage == self.layout.pipeline - 1

    @property
    def microbatch(self) -> Microbatch:
        """As this rank sees one."""
        layout = self.layout
        tokens = layout.microbatch * self.workload.sequence_length / (layout.sequence * layout.tensor)
        rows = tokens * self.model.moe.top_k * (self.imbalance if layout.expert > 1 else 1.0)
        at_once, _ = rows_at_once(self.workload, layout, imbalance=self.imbalance)
        return Microbatch(tokens, rows, at_once, self.is_packed)

    @property
    def size(self) -> int:
        """Bytes of a number of weights or activations."""
        return self.layout.format.stored_bytes

    @property
    def stream(self) -> float:
        """Bytes of a microbatch's hidden states."""
        return self.microbatch.tokens * self.model.d_model * self.size

    def _moments(self, held: HeldParameters, state: State) -> Iterator[Memory]:
        """At the loss, in the first block's backward; on a CPU also when the last backward ends, and in the update."""
        num = num_microbatches(self.workload, self.layout)
        kept = [keeps for _, keeps in self._blocks()]
        activations, routed = self.activations(num)
        resident = Memory(
            weights=state.weights,
            gradients=self._gradients_so_far(state, num),
            masters=state.masters,
            moments=state.moments,
            activations=activations,
            loss=self.loss_gradients(),
            communication=self._communication(held, num),
            workspace=0.0,
            stage=self.stage,
            routed=routed,
            host=state.host,
        )
        is_full = self.layout.recompute is Recompute.full
        again = max((keeps.again + is_full * (keeps.total - keeps.stream) for keeps in kept), default=0.0)
        backward = replace(
            resident,
            activations=activations + again,
            communication=resident.communication + self._bucket(held) * (self.kernels is Kernels.gpu),
            workspace=self._backward(held, kept),
        )
        for memory in (replace(resident, loss=resident.loss + self._chunk()), backward):
            yield memory if self.kernels is Kernels.cpu else self._with_reserve(memory)
        if self.kernels is Kernels.cpu:
            yield from self._ends_of_step(resident, held, state)

    def _gradients_so_far(self, state: State, num: int) -> float:
        """With ZeRO-2 in fp32 there are none between the steps' only microbatches."""
        is_late = self.kernels is Kernels.cpu and self.layout.zero_stage == 2 and num == 1
        return 0.0 if is_late else state.gradients

    def _ends_of_step(self, resident: Memory, held: HeldParameters, state: State) -> Iterator[Memory]:
        """On a CPU gradients pass through the bucket into new memory; the update takes a flat copy, a group at a time."""
        nothing = replace(resident, activations=0.0, loss=0.0, routed=0.0)
        partition = FULL * state.partition
        if self.layout.zero_stage == 2:
            yield replace(nothing, gradients=resident.gradients + partition, communication=self._bucket(held))
        if self.layout.zero_stage == 1:
            yield replace(nothing, communication=partition)
        yield replace(nothing, gradients=state.gradients, workspace=FULL * state.largest_group)

    def _with_reserve(self, memory: Memory) -> Memory:
        passing = memory.activations + memory.loss + memory.workspace
        return replace(memory, workspace=memory.workspace + CONTEXT + FRAGMENTED * passing)

    def _blocks(self) -> Iterator[tuple[int, Kept]]:
        """Every block of this stage with its piece's number, those of further tokens last, and what each keeps."""
        for number, piece in enumerate(self.pieces[self.stage]):
            for layer in piece:
                yield number, self._keeps(is_dense=layer < self.model.num_dense_layers)
        if self.is_last:
            for _ in range(self.model.num_mtp_layers):
                yield self.layout.virtual_stages - 1, self._keeps(is_dense=False)

    def _keeps(self, *, is_dense: bool) -> Kept:
        keeps = block_keeps(self.model, self.layout, self.microbatch, is_dense=is_dense)
        lora = self.workload.lora
        return with_adapters(keeps, self.model, self.layout, self.microbatch, lora) if lora else keeps

    def activations(self, num: int) -> tuple[float, float]:
        """Bytes that all microbatches in flight keep, of `num` a step, and of them those of routed rows."""
        flights = in_flight(self.layout, self.stage, microbatches=num)
        is_full = self.layout.recompute is Recompute.full
        total = routed = 0.0
        for number, keeps in self._blocks():
            total += flights[number] * (keeps.stream + self._left(keeps) if is_full else keeps.total)
            routed += flights[number] * (0 if is_full else keeps.routed)
        return total + self._ends(flights), routed

    def _left(self, keeps: Kept) -> float:
        """Recomputation leaves a mixture's logits, of which the z-loss is made outside of the block."""
        return self.microbatch.tokens * (self.model.moe.num_experts + 1) * FULL if keeps.router else 0.0

    def _ends(self, flights: list[int]) -> float:
        """Outside of blocks: ids, the angles of rotations, the final norm's input and its result, and further tokens' merging."""
        tokens, kept = self.microbatch.tokens, 0.0
        kept += flights[0] * tokens * self._angles() * FULL
        if self.stage == 0:
            kept += flights[0] * tokens * INDEX
        if self.is_last:
            of_norm = 2 * self.stream + tokens * (FULL + 1)  # and which tokens count
            of_depth = 5 * self.stream + tokens * (3 * FULL + 2 * INDEX + 1)  # its norms' results lie side by side
            kept += flights[-1] * (of_norm + self.model.num_mtp_layers * of_depth)
        return kept

    def _angles(self) -> int:
        """Numbers of a token's cosines and sines: all layers share them, and a block that is computed again needs all kinds."""
        attention = self.model.attention
        if self.layout.recompute is Recompute.full:
            return 3 * attention.rotated_dim
        return attention.head_dim if self.kernels is Kernels.cpu and attention.kind is AttentionKind.grouped else 0

    @property
    def vocab(self) -> int:
        """Rows of the output matrix on this rank."""
        return math.ceil(self.model.vocab_size / self.layout.tensor)

    def loss_gradients(self) -> float:
        """By hidden states and output matrix, which ours makes with the loss; Megatron-Core's keeps logits, bf16 and fp32."""
        if not self.is_last:
            return 0.0
        num_losses = 1 + self.model.num_mtp_layers
        if self.kernels is Kernels.field:
            return num_losses * self.microbatch.tokens * self.model.vocab_size * (self.size + FULL)
        lora = self.workload.lora
        is_frozen = lora is not None and WholePart.embeddings not in lora.trained_whole
        return num_losses * (self.stream + (0 if is_frozen else self.vocab * self.model.d_model * FULL))

    def _chunk(self) -> float:
        """Of ours, the logits that are there at once."""
        if not self.is_last or self.kernels is Kernels.field:
            return 0.0
        at_once = LOGITS_AT_ONCE["cuda" if self.kernels is Kernels.gpu else "cpu"]
        rows = min(self.microbatch.tokens, max(MIN_ROWS, at_once // max(1, self.vocab)))
        if self.size == FULL:
            return rows * self.vocab * FULL
        # logits and errors in bf16 beside those in fp32, and a product before it is added up in fp32
        return rows * self.vocab * (2 * self.size + FULL) + self.vocab * self.model.d_model * self.size

    def _bucket(self, held: HeldParameters) -> float:
        """A GPU gives all of it away; of a CPU's memory only what is written counts."""
        return self.size * (BUCKET if self.kernels is Kernels.gpu else min(BUCKET, held.total))

    def _communication(self, held: HeldParameters, num: int) -> float:
        layout, microbatch, total = self.layout, self.microbatch, 0.0
        if layout.expert > 1:
            here = min(microbatch.tokens * self.model.moe.top_k, microbatch.rows_at_once)
            total += (here + min(microbatch.rows, microbatch.rows_at_once)) * self.model.d_model * self.size
        if layout.pipeline > 1:
            flights = sum(in_flight(layout, self.stage, microbatches=num))
            is_ours = self.kernels is not Kernels.field  # DeepSpeed keeps what came and what goes of every microbatch
            total += self.stream * (2 * flights + 2 if is_ours else 2)
        if layout.zero_stage == 3:
            largest = held.total // max(1, sum(map(len, self.pieces[self.stage])))
            total += self.size * min(held.total, max(LIVE, largest + PREFETCHED))
            total += self._bucket(held) * (self.kernels is Kernels.cpu)  # which stays
        return total

    def _backward(self, held: HeldParameters, kept: list[Kept]) -> float:
        """Gradients in the backward of a mixture: of its rows, and of the experts' weights. By then the loss's are used."""
        largest = sorted((tensor.numel for tensor in held.trained.tensors if ".ffn." in tensor.name), reverse=True)[:2]
        is_sparse = any(keeps.router for keeps in kept)
        rows = min(self.microbatch.rows, self.microbatch.rows_at_once) if is_sparse else 0
        channels = self.model.d_model + (0 if self.kernels is Kernels.cpu else 3 * self.model.moe.expert_width)
        return (sum(largest) + rows * channels) * self.size
