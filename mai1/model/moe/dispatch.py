"""Dispatch and combine: carry every token to its experts and their answers back, losing none.

Rows are sorted by expert. With expert parallelism, rank r of the group holds experts [r*E_local, (r+1)*E_local), so
sorting by expert also sorts by rank and one uneven all-to-all each way does the exchange.

Legend: N tokens, D width, E experts, K choices, R routed rows (R = N*K before the exchange).
"""

from dataclasses import dataclass

import torch
import torch.distributed as dist

from mai1.model.moe.router import Routing


@dataclass(slots=True)
class Trip:
    """What combine needs to bring the rows of one dispatch back."""

    order_R: torch.Tensor
    """row -> flat choice index n*K + k."""
    inverse_R: torch.Tensor
    """flat choice index -> row."""
    exchange: "Exchange | None"


@dataclass(slots=True)
class Exchange:
    """One all-to-all over the expert-parallel group."""

    group: dist.ProcessGroup
    rows_sent: list[int]
    rows_received: list[int]
    by_expert_R: torch.Tensor
    by_arrival_R: torch.Tensor


def dispatch(
    x_ND: torch.Tensor, routing: Routing, *, expert_group: dist.ProcessGroup | None
) -> tuple[torch.Tensor, torch.Tensor, Trip]:
    """Rows grouped by local expert `[R, D]`, the count of rows of each local expert, and the way back."""
    num_choices, num_experts = routing.experts_NK.shape[1], routing.scores_NE.shape[1]
    order_R = routing.experts_NK.flatten().argsort(stable=True)
    inverse_R = torch.empty_like(order_R).scatter_(0, order_R, torch.arange(len(order_R), device=order_R.device))
    rows_RD = _Spread.apply(x_ND, order_R, inverse_R, num_choices)
    # not routing.tokens_per_expert_E: that leaves padding out, and padding travels too
    rows_per_expert_E = torch.bincount(routing.experts_NK.flatten(), minlength=num_experts)
    if expert_group is None:
        return rows_RD, rows_per_expert_E, Trip(order_R, inverse_R, None)
    exchange, rows_per_local_expert = _plan_exchange(rows_per_expert_E, expert_group)
    arrived_RD = _AllToAll.apply(rows_RD, exchange.rows_sent, exchange.rows_received, expert_group)
    grouped_RD = _Permute.apply(arrived_RD, exchange.by_expert_R, exchange.by_arrival_R)
    return grouped_RD, rows_per_local_expert, Trip(order_R, inverse_R, exchange)


def combine(rows_RD: torch.Tensor, trip: Trip, weights_NK: torch.Tensor) -> torch.Tensor:
    """Bring the experts' answers home and add those of each token with its weights: `[N, D]`."""
    if trip.exchange is not None:
        exchange = trip.exchange
        rows_RD = _Permute.apply(rows_RD, exchange.by_arrival_R, exchange.by_expert_R)
        rows_RD = _AllToAll.apply(rows_RD, exchange.rows_received, exchange.rows_sent, exchange.group)
    return _WeightedSum.apply(rows_RD, weights_NK.to(rows_RD.dtype), trip.order_R, trip.inverse_R)


def _plan_exchange(rows_per_expert_E: torch.Tensor, group: dist.ProcessGroup) -> tuple[Exchange, torch.Tensor]:
    num_ranks = dist.get_world_size(group)
    arriving_E = torch.empty_like(rows_per_expert_E)  # [source rank, local expert], flat
    dist.all_to_all_single(arriving_E, rows_per_expert_E, group=group)
    arriving = arriving_E.view(num_ranks, -1)
    local_expert_R = torch.arange(arriving.shape[1], device=arriving.device).repeat(num_ranks)
    by_expert_R = local_expert_R.repeat_interleave(arriving_E).argsort(stable=True)
    by_arrival_R = torch.empty_like(by_expert_R)
    by_arrival_R.scatter_(0, by_expert_R, torch.arange(len(by_expert_R), device=by_expert_R.device))
    rows_sent = rows_per_expert_E.view(num_ranks, -1).sum(1).tolist()
    rows_received = arriving.sum(1).tolist()
    return Exchange(group, rows_sent, rows_received, by_expert_R, by_arrival_R), arriving.sum(0)


class _Spread(torch.autograd.Function):
    """Row r of the result is token order[r] // K. The backward is a gather too: no atomic or serial scatter-add."""

    @staticmethod
    def forward(ctx, x_ND, order_R, inverse_R, num_choices):
        ctx.save_for_backward(inverse_R)
        ctx.num_choices = num_choices
        return x_ND[order_R // num_choices]

    @staticmethod
    def backward(ctx, grad_RD):
        (inverse_R,) = ctx.saved_tensors
        first, *others = inverse_R.view(-1, ctx.num_choices).unbind(1)
        grad_ND = grad_RD[first]
        for row_N in others:
            grad_ND += grad_RD[row_N]
        return grad_ND, None, None, None


class _WeightedSum(torch.autograd.Function):
    """Token n's result is the sum over k of weights[n, k] * rows[inverse[n*K + k]]; both ways only gathers."""

    @staticmethod
    def forward(ctx, rows_RD, weights_NK, order_R, inverse_R):
        ctx.save_for_backward(rows_RD, weights_NK, order_R, inverse_R)
        first, *others = inverse_R.view_as(weights_NK).unbind(1)
        sum_ND = rows_RD[first] * weights_NK[:, :1]
        for choice, row_N in enumerate(others, start=1):
            sum_ND.addcmul_(rows_RD[row_N], weights_NK[:, choice, None])
        return sum_ND

    @staticmethod
    def backward(ctx, grad_ND):
        rows_RD, weights_NK, order_R, inverse_R = ctx.saved_tensors
        arriving_RD = grad_ND[order_R // weights_NK.shape[1]]
        grad_weights_NK = (rows_RD * arriving_RD).sum(-1)[inverse_R].view_as(weights_NK)
        return arriving_RD.mul_(weights_NK.flatten()[order_R, None]), grad_weights_NK, None, None


class _Permute(torch.autograd.Function):
    """`rows[order]` for a permutation whose inverse is known."""

    @staticmethod
    def forward(ctx, rows_RD, order_R, inverse_R):
        ctx.save_for_backward(inverse_R)
        return rows_RD[order_R]

    @staticmethod
    def backward(ctx, grad_RD):
        return grad_RD[ctx.saved_tensors[0]], None, None


class _AllToAll(torch.autograd.Function):
    """Uneven all-to-all of rows; the gradient travels the same way back, also where a rank sends or gets no row."""

    @staticmethod
    def forward(ctx, rows_RD, rows_sent, rows_received, group):
        ctx.plan = (rows_received, rows_sent, group)
        return _exchange_rows(rows_RD, rows_sent, rows_received, group)

    @staticmethod
    def backward(ctx, grad_RD):
        return _exchange_rows(grad_RD, *ctx.plan), None, None, None


def _exchange_rows(rows_RD: torch.Tensor, rows_sent: list[int], rows_received: list[int], group) -> torch.Tensor:
    arrived_RD = rows_RD.new_empty(sum(rows_received), rows_RD.shape[1])
    dist.all_to_all_single(arrived_RD, rows_RD.contiguous(), rows_received, rows_sent, group=group)
    return arrived_RD
