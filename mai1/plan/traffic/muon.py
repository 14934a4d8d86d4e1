"""What Muon sends besides: matrices that ZeRO cuts are brought whole to one of their holders, and back (`mai1.engine.muon`)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mai1.engine.muon import ELEMENTS_AT_ONCE
from mai1.optim.muon import stack_of
from mai1.plan.layout import Layout
from mai1.plan.memory.held import HeldParameters, HeldTensor
from mai1.plan.memory.state import ALIGNMENT, groups_of
from mai1.plan.traffic.state import Replicas, replicas_of
from mai1.plan.traffic.transfer import Operation, Transfer

STEPS = 5
"""Of the iteration that makes a matrix orthogonal (`mai1.optim.muon.POLAR_EXPRESS`)."""


@dataclass(frozen=True, slots=True)
class Matrices:
    """The matrices of some parameters, shared by the ranks that hold the same of them."""

    elements: int
    largest: int
    """Elements of the largest."""
    travelling: float
    """Elements that go to another rank, one way and over all ranks, whichever holder of a cut matrix makes it orthogonal."""
    flops: float
    """Of making all orthogonal once, and of the costliest."""
    costliest: float


def muon_traffic(held: HeldParameters, layout: Layout) -> Iterator[Transfer]:
    """Updates of matrices on their way to their owner, and directions back: the mean over ranks."""
    for replicas, matrices in matrices_of(held, layout):
        if not matrices.travelling:
            continue
        each = max(matrices.elements / replicas.size, matrices.largest)
        sent = 2 * matrices.travelling / replicas.size * layout.format.stored_bytes
        yield replicas.transfer(
            "updates of matrices",
            Operation.all_to_all,
            sent * replicas.size / (replicas.size - 1),
            calls=2 * math.ceil(each / ELEMENTS_AT_ONCE),
        )


def muon_flops(held: HeldParameters, layout: Layout) -> float:
    """Of the busiest rank in one update: matrices are shared out, but none of them is."""
    return sum(max(m.flops / replicas.size, m.costliest) for replicas, m in matrices_of(held, layout))


def matrices_of(held: HeldParameters, layout: Layout) -> list[tuple[Replicas, Matrices]]:
    """By the ranks that share them; with ZeRO-0, which cuts nothing, every rank has all of them to itself."""
    is_sharded, has_stages = layout.zero_stage == 3, layout.pipeline > 1
    size_of = (lambda replicas: replicas.size) if layout.zero_stage else (lambda _: 1)
    return [
        (replicas, _counted(replicas.held, size_of(replicas), replicas.group == "expert_data", is_sharded, has_stages))
        for replicas in replicas_of(held.trained, layout)
    ]


@lru_cache(maxsize=4096)
def _counted(held: HeldParameters, size: int, is_apart: bool, is_sharded: bool, has_stages: bool) -> Matrices:
    matrices = [matrix for group in _flat_groups(held, size, is_apart, is_sharded, has_stages) for matrix in group]
    costs = [_flops(rows, columns) for rows, columns, _ in matrices]
    return Matrices(
        elements=sum(rows * columns for rows, columns, _ in matrices),
        largest=max((rows * columns for rows, columns, _ in matrices), default=0),
        travelling=sum(rows * columns * (1 - 1 / holders) for rows, columns, holders in matrices),
        flops=sum(costs),
        costliest=max(costs, default=0),
    )


def _flat_groups(
    held: HeldParameters, size: int, is_apart: bool, is_sharded: bool, has_stages: bool
) -> Iterator[list[tuple[int, int, int]]]:
    """Of each group that is cut on its own, rows, columns and the number of holders of every matrix."""
    if is_sharded:
        for tensor in held.tensors:
            if tensor.is_decayed:
                yield _cut([tensor], math.ceil(tensor.numel / size))
        return
    as_layout = Layout(num_devices=4, expert=2 if is_apart else 1, pipeline=2 if has_stages else 1)
    for group in groups_of(held, as_layout):
        if group[0].is_decayed:
            total = sum(tensor.numel for tensor in group)
            yield _cut(group, math.ceil(total / (ALIGNMENT * size)) * ALIGNMENT)


def _cut(tensors: list[HeldTensor], share: int) -> list[tuple[int, int, int]]:
    """Matrices of tensors that lie one behind the other and are cut after every `share` elements."""
    found, start = [], 0
    for tensor in tensors:
        stack = stack_of(tensor.name, tensor.shape)
        for _ in range(stack.count):
            holders = (start + stack.numel - 1) // share - start // share + 1
            found.append((stack.rows, stack.columns, holders))
            start += stack.numel
    return found


def _flops(rows: int, columns: int) -> float:
    """Of one matrix (`mai1.optim.muon.orthogonalize`)."""
    few, many = sorted((rows, columns))
    return STEPS * (4 * few * few * many + 2 * few**3)
