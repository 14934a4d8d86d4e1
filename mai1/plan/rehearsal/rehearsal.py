"""One rank of a large layout, without its devices and without the other ranks: the model's own code on shapes alone.

The rank's stage of the real model is built on torch's meta device, in process groups of the real size whose other members do
not exist, and goes forward and backward through one microbatch. What it sends and what it keeps is recorded. DeepSpeed needs
numbers to work on, so its part of the step (gradients, weights, their norm) and the messages between pipeline stages are not
in it: `mai1.plan.traffic.traffic` and `mai1.plan.memory.memory` say what they are.
"""

import weakref
from dataclasses import dataclass, replace

import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mai1.model.transformer import MoETransformer
from mai1.plan.layout import Format, Layout, Recompute
from mai1.plan.memory.division import pieces_of
from mai1.plan.rehearsal.stand_ins import on_shapes, pretended_ranks
from mai1.plan.search.support import obstacles
from mai1.plan.traffic.activations import activation_traffic
from mai1.plan.traffic.comparison import Row, compare
from mai1.plan.traffic.recording import Message, Recording
from mai1.plan.traffic.traffic import share_of
from mai1.plan.traffic.transfer import Transfer
from mai1.plan.workload import Workload

DTYPES = {Format.fp32: torch.float32, Format.bf16: torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What one microbatch of one rank came to."""

    stage: int
    parameters: int
    """Elements that this rank's modules hold."""
    kept_bytes: int
    """What the forward left for the backward."""
    peak_bytes: int
    """The most there was at once besides weights, gradients of weights included."""
    messages: list[Message]
    comparison: list[Row]
    """Of the messages with what was predicted."""


def rehearse(workload: Workload, layout: Layout, *, rank: int = 0) -> Rehearsed:
    """Forward and backward of one microbatch on one rank; ValueError for what this version cannot run."""
    if reasons := obstacles(workload, layout):
        raise ValueError(f"this version cannot run the layout, and so not rehearse it: {'; '.join(reasons)}")
    if not 0 <= rank < layout.num_devices:
        raise ValueError(f"rehearse.rank={rank} must be from 0 to {layout.num_devices - 1}")
    stage = rank // layout.per_stage
    with pretended_ranks(layout.num_devices, rank=rank), on_shapes(layout):
        model = _stage_of(workload, layout, stage)
        alive, recording = Alive(), Recording()
        with alive, recording:
            hidden_BTD = _forward(model, workload, layout)
            kept_bytes = alive.bytes
            hidden_BTD.backward(torch.empty_like(hidden_BTD))
        predicted = predicted_of_microbatch(workload, layout, stage)
        rows = compare(predicted, recording.messages, layout, rank=rank)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        return Rehearsed(stage, parameters, kept_bytes, alive.peak, recording.messages, rows)


def predicted_of_microbatch(workload: Workload, layout: Layout, stage: int) -> list[Transfer]:
    """What the model itself sends in one microbatch; stages' messages to each other are the engine's."""
    share = replace(share_of(workload, layout, stage), num_microbatches=1)
    return [t for t in activation_traffic(share, imbalance=1.0) if t.group in ("expert", "sequence")]


def _stage_of(workload: Workload, layout: Layout, stage: int) -> MoETransformer:
    pieces = pieces_of(workload.model, layout)[stage]
    with torch.device("meta"):
        model = MoETransformer(
            workload.model,
            expert_group=_consecutive(layout.expert),
            sequence_group=_consecutive(layout.sequence),
            blocks=pieces[0],
        )
    model.to(DTYPES[layout.format])
    model.recompute = layout.recompute is Recompute.full
    return model.train()


def _consecutive(size: int) -> dist.ProcessGroup | None:
    if size == 1:
        return None
    first = dist.get_rank() - dist.get_rank() % size
    return dist.new_group(range(first, first + size), use_local_synchronization=True)


def _forward(model: MoETransformer, workload: Workload, layout: Layout) -> torch.Tensor:
    """Hidden states behind this stage; one before it is stood in for by an empty tensor."""
    shape = (layout.microbatch, workload.sequence_length)
    x_BTD = None
    if model.embedding is None:
        positions = workload.sequence_length // layout.sequence
        x_BTD = torch.empty(shape[0], positions, workload.model.d_model, dtype=DTYPES[layout.format], device="meta")
        x_BTD.requires_grad_()
    output = model(torch.empty(shape, dtype=torch.int64, device="meta"), x_BTD=x_BTD)
    hidden = [output.hidden_BTD, *output.further_BTD]
    return hidden[0] if len(hidden) == 1 else torch.cat(hidden)


class Alive(TorchDispatchMode):
    """Follows every storage that an operation makes: how many bytes of them are there, and the most there ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {tensor.untyped_storage()._cdata for tensor in _tensors((args, kwargs))}
        result = func(*args, **(kwargs or {}))
        made = {tensor.untyped_storage()._cdata: tensor.untyped_storage() for tensor in _tensors(result)}
        for storage in (storage for key, storage in made.items() if key not in given):
            self.bytes += storage.nbytes()
            weakref.finalize(storage, self._free, storage.nbytes())
        self.peak = max(self.peak, self.bytes)
        return result

    def _free(self, num_bytes: int) -> None:
        self.bytes -= num_bytes


def _tensors(tree: object) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]
