"""What takes the place of what a rehearsal cannot have: the other ranks, and numbers that only real data would give.

On torch's meta device tensors have shapes and no content, so where the code asks for content, how many rows go to which
expert, rows are spread evenly instead; and kernels are named that the device would choose. Nothing else is replaced.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch.testing._internal.distributed.fake_pg import FakeStore

from mai1.model.moe import experts, layer
from mai1.model.moe.dispatch import Trip, exchange_counts
from mai1.model.moe.grouped_products import ExpertWeights, ask_experts_at_once
from mai1.model.moe.grouping import Grouping
from mai1.model.moe.triton_experts import ask_triton_experts
from mai1.plan.layout import Format, Layout


@contextmanager
def pretended_ranks(num_ranks: int, *, rank: int) -> Iterator[None]:
    """Inside, this process is one of so many ranks; the others answer at once and say nothing."""
    if dist.is_initialized():
        raise ValueError("a rehearsal needs a process of its own: this one has ranks already")
    dist.init_process_group("fake", rank=rank, world_size=num_ranks, store=FakeStore())
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def on_shapes(layout: Layout) -> Iterator[None]:
    """Inside, the model runs on the meta device, every expert gets equally many rows, and kernels are the layout's."""
    replaced = [
        patch.object(layer, "group_by_expert", _group_evenly),
        patch.object(layer, "plan_trips", _plan_evenly),
        patch.object(torch.nn.functional, "scaled_dot_product_attention", _attend),
        patch.object(torch.nn.functional, "rms_norm", _normalise),
    ]
    if layout.fuses_experts:
        replaced.append(patch.object(experts.Experts, "kernels", staticmethod(_ask_fused)))
    elif layout.format is not Format.fp32:
        replaced.append(patch.object(experts, "ExpertLoop", _AtOnce))
    for replacement in replaced:
        replacement.start()
    try:
        yield
    finally:
        for replacement in replaced:
            replacement.stop()


def _group_evenly(experts_NK: torch.Tensor, *, num_experts: int, is_full: bool = False) -> Grouping:
    ends_E = torch.arange(1, num_experts + 1) * experts_NK.numel() // num_experts
    rows_per_expert_E = ends_E.diff(prepend=ends_E.new_zeros(1))
    return Grouping(torch.empty_like(experts_NK.flatten()), torch.empty_like(experts_NK), rows_per_expert_E, True)


def _plan_evenly(rows_per_expert_E: torch.Tensor, *, group: dist.ProcessGroup, max_rows: int = 0) -> list[Trip]:
    """One trip; the counts are exchanged as ever."""
    num_ranks, device = dist.get_world_size(group), torch.device("meta")
    exchange_counts(rows_per_expert_E.to(device), group)
    to_each = rows_per_expert_E.view(num_ranks, -1).sum(1).tolist()
    mine = rows_per_expert_E.view(num_ranks, -1)[dist.get_rank(group)]
    num_rows = int(mine.sum()) * num_ranks
    order_M = torch.empty(num_rows, dtype=torch.int64, device=device)
    grouping = Grouping(order_M, order_M.new_empty(num_rows, 1), mine * num_ranks, is_full=True)
    from_each = [int(mine.sum())] * num_ranks
    return [Trip(group, to_each, from_each, [slice(0, int(rows_per_expert_E.sum()))], grouping)]


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, is_causal: bool, scale: float, **_: object
) -> torch.Tensor:
    """FlashAttention, which keeps no scores: by itself the meta device takes the kernel that does."""
    return torch.ops.aten._scaled_dot_product_flash_attention(query, key, value, 0.0, is_causal, scale=scale)[0]


class _Norm(torch.autograd.Function):
    """What a fused norm keeps: its input and a statistic a row. The meta device takes several operations that keep more."""

    @staticmethod
    def forward(ctx, x_D: torch.Tensor, weight_D: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x_D, weight_D, x_D.new_empty(*x_D.shape[:-1], 1, dtype=torch.float32))
        return torch.empty_like(x_D)

    @staticmethod
    def backward(ctx, gradient_D: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x_D, weight_D, _ = ctx.saved_tensors
        return torch.empty_like(x_D), torch.empty_like(weight_D)


def _normalise(x_D: torch.Tensor, shape: torch.Size, weight_D: torch.Tensor, eps: float) -> torch.Tensor:
    del shape, eps
    return _Norm.apply(x_D, weight_D)


class _AtOnce:
    """In place of the loop over experts that a CPU takes."""

    @staticmethod
    def apply(
        x_ND: torch.Tensor,
        weights_NK: torch.Tensor,
        gate_up: torch.Tensor,
        down: torch.Tensor,
        grouping: Grouping,
    ) -> torch.Tensor:
        """What a GPU computes."""
        return ask_experts_at_once(x_ND, weights_NK, ExpertWeights(gate_up, down), _on_device(grouping, x_ND.device))


def _ask_fused(
    x_ND: torch.Tensor, weights_NK: torch.Tensor, gate_up: torch.Tensor, down: torch.Tensor, grouping: Grouping
) -> torch.Tensor:
    return ask_triton_experts(x_ND, weights_NK, gate_up, down, _on_device(grouping, x_ND.device))


def _on_device(grouping: Grouping, device: torch.device) -> Grouping:
    return Grouping(grouping.token_R, grouping.row_NK, grouping.rows_per_expert_E.to(device), is_full=True)
