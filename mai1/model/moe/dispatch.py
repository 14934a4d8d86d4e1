"""Dispatch over expert parallelism: carry rows to the ranks that hold their experts and the answers back.

Rank r of the group holds experts [r*E_local, (r+1)*E_local), so rows sorted by expert are also sorted by rank. One
exchange of counts tells every rank the whole traffic; then one uneven all-to-all each way.

Legend: N tokens, D width, E experts, K choices, R routed rows of this rank, M rows that arrive here, S ranks of the group.
"""

from dataclasses import dataclass

import torch
import torch.distributed as dist

from mai1.model.moe.grouping import Grouping


@dataclass(slots=True)
class Trip:
    """One journey of rows over the group, and back."""

    group: dist.ProcessGroup
    rows_sent: list[int]
    """To each rank."""
    rows_received: list[int]
    """From each rank."""
    departing: list[slice]
    """Where the rows for each rank lie among all of this rank's."""
    grouping: Grouping
    """The order of the arrived rows by local expert; each is one token with one choice."""
    in_flight: dist.Work | None = None
    """The exchange that has begun."""
    returning: torch.Tensor | None = None
    """Gradients of the departed rows, complete when `in_flight` is."""

    def wait(self) -> None:
        """For the exchange that has begun; afterwards nothing holds on to the rows it carried."""
        self.in_flight.wait()
        self.in_flight = None

    def takes_all(self, num_rows: int) -> bool:
        """Whether this rank's rows all depart, in their order."""
        return sum(self.rows_sent) == num_rows


@torch.compiler.disable
def plan_trips(rows_per_expert_E: torch.Tensor, *, group: dist.ProcessGroup, max_rows: int = 0) -> list[Trip]:
    """How the group's rows travel: at once, or in as many trips as keep each rank's arrivals within `max_rows`.

    All ranks see all counts, so they agree on the trips. A trip takes from every rank to every other at most
    `max_rows / S` rows: the bound holds for any imbalance, and balanced rows need no more trips than they must.
    """
    num_ranks, rank = dist.get_world_size(group), dist.get_rank(group)
    counts_SSE = exchange_counts(rows_per_expert_E, group).cpu()
    rows_SS = counts_SSE.sum(2)
    most = int(rows_SS.max())
    quota = max(1, max_rows // num_ranks) if max_rows else max(1, most)
    starts_S = rows_SS[rank].cumsum(0) - rows_SS[rank]
    ends_SSE = counts_SSE.cumsum(2)
    trips = []
    for first in range(0, max(1, most), quota):
        window_SSE = ends_SSE.clamp(first, first + quota) - (ends_SSE - counts_SSE).clamp(first, first + quota)
        sent = window_SSE[rank].sum(1).tolist()
        received_SE = window_SSE[:, rank]
        departing = [slice(s + first, s + first + n) for s, n in zip(starts_S.tolist(), sent, strict=True)]
        grouping = _by_expert(received_SE, device=rows_per_expert_E.device)
        trips.append(Trip(group, sent, received_SE.sum(1).tolist(), departing, grouping))
    return trips


def exchange_counts(rows_per_expert_E: torch.Tensor, group: dist.ProcessGroup) -> torch.Tensor:
    """Every rank's counts: from rank, to rank, its local expert."""
    num_ranks = dist.get_world_size(group)
    counts_SE = rows_per_expert_E.new_empty(num_ranks * len(rows_per_expert_E))
    dist.all_gather_single(counts_SE, rows_per_expert_E, group=group)
    return counts_SE.view(num_ranks, num_ranks, -1)


def _by_expert(counts_SE: torch.Tensor, *, device: torch.device) -> Grouping:
    """Arrivals are sorted by (rank, expert); their order by (expert, rank) follows from the counts, without sorting."""
    place = torch.arange(int(counts_SE.sum()))
    arrives_at_SE = (counts_SE.flatten().cumsum(0) - counts_SE.flatten()).view_as(counts_SE)
    grouped_at_ES = (counts_SE.t().flatten().cumsum(0) - counts_SE.t().flatten()).view_as(counts_SE.t())
    shift_SE = grouped_at_ES.t() - arrives_at_SE
    row_M = place + shift_SE.flatten().repeat_interleave(counts_SE.flatten())
    arrival_M = place - shift_SE.t().flatten().repeat_interleave(counts_SE.t().flatten())
    return Grouping(arrival_M.to(device), row_M[:, None].to(device), counts_SE.sum(0).to(device), is_full=True)


@torch.compiler.disable
def depart(rows_RD: torch.Tensor, trip: Trip) -> torch.Tensor:
    """Send the rows of a trip on their way; what comes back may be read only by `arrive`. Work between the two overlaps."""
    rows = rows_RD if trip.takes_all(len(rows_RD)) else torch.cat([rows_RD[part] for part in trip.departing])
    return _Depart.apply(rows, trip)


@torch.compiler.disable
def arrive(travelling_MD: torch.Tensor, trip: Trip) -> torch.Tensor:
    """The rows that arrived here, sorted by the rank they come from: `[M, D]`."""
    return _Arrive.apply(travelling_MD, trip)


@torch.compiler.disable
def send_back(answers_MD: torch.Tensor, trip: Trip) -> torch.Tensor:
    """Bring answers home, in the order in which the trip's rows departed."""
    return _SendBack.apply(answers_MD, trip)


@torch.compiler.disable
def in_order(answers: list[torch.Tensor], trips: list[Trip], *, num_rows: int) -> torch.Tensor:
    """What the trips brought home, where their rows were before: `[R, D]`; 0 for rows of no expert."""
    if len(trips) == 1 and trips[0].takes_all(num_rows):
        return answers[0]
    # a trip on which this rank sent nothing stays in the graph: the others need it in the backward
    places = [torch.arange(part.start, part.stop) for trip in trips for part in trip.departing]
    place_R = torch.cat(places).to(answers[0].device)
    return answers[0].new_zeros(num_rows, answers[0].shape[1]).index_copy(0, place_R, torch.cat(answers))


class _Depart(torch.autograd.Function):
    """Starts the exchange; its backward waits for the gradients that the backward of `_Arrive` has sent."""

    @staticmethod
    def forward(ctx, rows, trip):
        ctx.trip = trip
        return _start(rows, trip, trip.rows_sent, trip.rows_received)

    @staticmethod
    def backward(ctx, grad):
        del grad  # of the shape of what travelled forth; what counts has travelled back
        ctx.trip.wait()
        returned, ctx.trip.returning = ctx.trip.returning, None
        return returned, None


class _Arrive(torch.autograd.Function):
    """Waits for the exchange; its backward starts that of the gradients."""

    @staticmethod
    def forward(ctx, travelling, trip):
        ctx.trip = trip
        trip.wait()
        return travelling.view_as(travelling)

    @staticmethod
    def backward(ctx, grad):
        ctx.trip.returning = _start(grad, ctx.trip, ctx.trip.rows_received, ctx.trip.rows_sent)
        return grad, None


class _SendBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, answers, trip):
        ctx.trip = trip
        home = _start(answers, trip, trip.rows_received, trip.rows_sent)
        trip.wait()
        return home

    @staticmethod
    def backward(ctx, grad):
        arrived = _start(grad, ctx.trip, ctx.trip.rows_sent, ctx.trip.rows_received)
        ctx.trip.wait()
        return arrived, None


def _start(rows: torch.Tensor, trip: Trip, to_each: list[int], from_each: list[int]) -> torch.Tensor:
    rows = rows.contiguous()
    arriving = rows.new_empty(sum(from_each), rows.shape[1])
    trip.in_flight = dist.all_to_all_single(arriving, rows, from_each, to_each, group=trip.group, async_op=True)
    return arriving
