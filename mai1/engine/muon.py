"""Muon's matrices under ZeRO and expert parallelism: each is brought whole to one rank, and its direction back.

ZeRO cuts flat parameters without regard to matrices. Momentum stays cut, as AdamW's moments are; only a step's updates
travel. A matrix is made orthogonal once, by the least busy of the ranks that hold a part of it, so the work is shared as
the state is. What lies on one rank does not travel: with ZeRO-1 and -2 that is all but one matrix a border, with ZeRO-3
nothing but small matrices. What travels does so once each way, in the weights' number format; at most 4 bytes an
element of a cut matrix in bf16, beside the 4 bytes of gradient and weight that ZeRO moves anyway.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.distributed as dist

from mai1.engine.partitions import Partitions
from mai1.optim.config import Method
from mai1.optim.muon import Muon, Stack, directions, stack_of

ELEMENTS_AT_ONCE = 2**27
"""How much a rank makes orthogonal at once, which bounds the memory it takes."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What one rank holds of one parameter."""

    rank: int
    start: int
    """First element within the parameter."""
    end: int


@dataclass(slots=True)
class Matrix:
    """One matrix and the ranks among which it is cut, in the order of its elements."""

    rows: int
    columns: int
    start: int
    """First element within its parameter."""
    parts: list[Holding]
    parameter: int
    owner: int = -1
    """The rank that makes it orthogonal."""

    @property
    def cost(self) -> int:
        """FLOPs of one step of the iteration."""
        few, many = sorted((self.rows, self.columns))
        return 4 * few * few * many + 2 * few**3


@dataclass(slots=True)
class Trip:
    """Matrices that are made orthogonal at once, as one rank sees them."""

    is_local: bool = True
    """No rank sends anything to another."""
    cuts: list[slice] = field(default_factory=list)
    """Parts of this rank's flat partition that depart, in order of the matrices' owners."""
    sent: list[int] = field(default_factory=list)
    """Elements to each rank."""
    shapes: list[tuple[int, int]] = field(default_factory=list)
    """Of the matrices that come whole to this rank."""
    arrivals: list[tuple[int, slice]] = field(default_factory=list)
    """Which of them each arriving part belongs to, and where in it; in order of the ranks they come from."""
    received: list[int] = field(default_factory=list)
    """Elements from each rank."""


class MatrixExchange:
    """Replaces the updates in one flat partition by directions, together with the ranks that share its matrices."""

    def __init__(
        self,
        stacks: list[Stack],
        holdings: list[list[Holding]],
        origins: list[int],
        *,
        group: dist.ProcessGroup,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Of each parameter: its matrices, who holds what, and where its element 0 would lie in this rank's partition."""
        self._group, self._device, self._dtype = group, device, dtype
        num_ranks, rank = dist.get_world_size(group), dist.get_rank(group)
        matrices = [
            matrix
            for parameter, (stack, held) in enumerate(zip(stacks, holdings, strict=True))
            for matrix in matrices_of(stack, held, parameter=parameter)
        ]
        share_out(matrices, num_ranks=num_ranks)
        self._trips = [plan_trip(together, origins, rank=rank, num_ranks=num_ranks) for together in in_trips(matrices)]

    def __call__(self, flat: torch.Tensor) -> None:
        """In place; every rank of the group must call."""
        for trip in self._trips:
            departing = _join([flat[cut] for cut in trip.cuts], like=flat).to(self._device, self._dtype)
            arrived = self._carry(departing, trip.sent, trip.received, is_local=trip.is_local)
            found = directions(_assemble(arrived, trip))
            returning = _join([found[place].flatten()[cut] for place, cut in trip.arrivals], like=arrived)
            home = self._carry(returning, trip.received, trip.sent, is_local=trip.is_local)
            for cut, part in zip(trip.cuts, home.split([cut.stop - cut.start for cut in trip.cuts]), strict=True):
                flat[cut].copy_(part)

    def _carry(self, tensor: torch.Tensor, sent: list[int], received: list[int], *, is_local: bool) -> torch.Tensor:
        if is_local:
            return tensor
        arriving = tensor.new_empty(sum(received))
        dist.all_to_all_single(arriving, tensor, received, sent, group=self._group)
        return arriving


def share_matrices(
    optimizer: Muon,
    partitions: Partitions,
    shapes: dict[str, tuple[int, ...]],
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Give the optimizer an exchange for every flat partition of matrices; every rank must call.

    `shapes` are this rank's parameters' before DeepSpeed cut them; matrices are made orthogonal as `dtype` on `device`.
    """
    ranges = {owned.name: owned for owned in partitions.ranges()}
    for flat, members in zip(partitions.flats, partitions.members(), strict=True):
        if members.settings["method"] is Method.muon:
            mine = [ranges.get(name) for name in members.names]
            optimizer.orthogonalizers[flat] = MatrixExchange(
                [stack_of(name, shapes[name]) for name in members.names],
                gather_holdings(
                    [(r.start, r.numel) if r else (0, 0) for r in mine], group=members.group, device=device
                ),
                [r.offset - r.start if r else 0 for r in mine],
                group=members.group,
                device=device,
                dtype=dtype,
            )


def gather_holdings(
    ranges: list[tuple[int, int]], *, group: dist.ProcessGroup, device: torch.device
) -> list[list[Holding]]:
    """From this rank's (start, numel) of each parameter, every rank's: for each parameter its holders by start."""
    mine = torch.tensor(ranges, dtype=torch.int64, device=device)
    table = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    dist.all_gather(table, mine, group=group)
    return [
        [Holding(rank, start, start + numel) for rank, (start, numel) in enumerate(of_parameter) if numel]
        for of_parameter in zip(*(part.tolist() for part in table), strict=True)
    ]


def matrices_of(stack: Stack, holdings: list[Holding], *, parameter: int) -> Iterator[Matrix]:
    """The matrices of a parameter and who holds which part of each; ranges of higher ranks stand behind."""
    ends = [holding.end for holding in holdings]
    assert [h.start for h in holdings] + [stack.count * stack.numel] == [0, *ends], "the parameter is not held whole"
    for start in range(0, ends[-1], stack.numel):
        end, parts = start + stack.numel, []
        for holding in holdings[bisect_right(ends, start) :]:
            if holding.start >= end:
                break
            parts.append(Holding(holding.rank, max(start, holding.start) - start, min(end, holding.end) - start))
        yield Matrix(stack.rows, stack.columns, start, parts, parameter)


def share_out(matrices: list[Matrix], *, num_ranks: int) -> None:
    """Choose owners: what lies on one rank stays there; cut matrices go, the heaviest first, to their least busy holder."""
    work = [0] * num_ranks
    for matrix in sorted(matrices, key=lambda m: (len(m.parts) > 1, -m.cost)):
        matrix.owner = min((part.rank for part in matrix.parts), key=lambda rank: work[rank])
        work[matrix.owner] += matrix.cost


def in_trips(matrices: list[Matrix]) -> list[list[Matrix]]:
    """Matrices of equal shape together, and only so many that no rank has more than it takes at once."""
    trips, elements = defaultdict(list), defaultdict(int)
    for matrix in sorted(matrices, key=lambda m: (*sorted((m.rows, m.columns)), m.parameter, m.start)):
        trips[elements[matrix.owner] // ELEMENTS_AT_ONCE].append(matrix)
        elements[matrix.owner] += matrix.rows * matrix.columns
    return [trips[number] for number in sorted(trips)]


def plan_trip(matrices: list[Matrix], origins: list[int], *, rank: int, num_ranks: int) -> Trip:
    """One rank's view of a trip. All ranks plan with the same matrices in the same order, so what one sends another awaits."""
    trip = Trip(is_local=all(part.rank == m.owner for m in matrices for part in m.parts))
    trip.sent, trip.received = [0] * num_ranks, [0] * num_ranks
    for matrix in sorted(matrices, key=lambda m: m.owner):
        origin = origins[matrix.parameter] + matrix.start
        for part in (part for part in matrix.parts if part.rank == rank):
            trip.cuts.append(slice(origin + part.start, origin + part.end))
            trip.sent[matrix.owner] += part.end - part.start
    owned = [matrix for matrix in matrices if matrix.owner == rank]
    trip.shapes = [(matrix.rows, matrix.columns) for matrix in owned]
    arrivals = [(part, place) for place, matrix in enumerate(owned) for part in matrix.parts]
    for part, place in sorted(arrivals, key=lambda arrival: arrival[0].rank):
        trip.arrivals.append((place, slice(part.start, part.end)))
        trip.received[part.rank] += part.end - part.start
    return trip


def _assemble(arrived: torch.Tensor, trip: Trip) -> list[torch.Tensor]:
    """Whole matrices from their parts, which come in the order of their elements."""
    parts = [[] for _ in trip.shapes]
    sizes = [cut.stop - cut.start for _, cut in trip.arrivals]
    for (place, _), part in zip(trip.arrivals, arrived.split(sizes), strict=True):
        parts[place].append(part)
    return [torch.cat(of_matrix).view(shape) for of_matrix, shape in zip(parts, trip.shapes, strict=True)]


def _join(parts: list[torch.Tensor], *, like: torch.Tensor) -> torch.Tensor:
    return torch.cat(parts) if parts else like.new_empty(0)
