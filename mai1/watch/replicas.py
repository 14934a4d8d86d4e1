"""The replica digest: weights that several ranks hold alike are compared bit for bit, and the rank that differs is named."""

import socket
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import torch

from mai1.dist import World, gather_json, gather_tensor
from mai1.watch.faults import ReplicasDifferError

CHUNK = 2**20
"""Words that are weighed at once."""
WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
KINDS = 2
"""A rank holds copies of at most two kinds: what all ranks of its stage share, and its experts."""
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Replica:
    """One tensor of a rank, of which other ranks hold a copy."""

    name: str
    copy: int
    """Ranks with one number hold the same; experts of another expert-parallel rank, say, are another copy."""
    tensor: torch.Tensor


def check_replicas(replicas: Iterable[Replica], world: World, *, step: int) -> None:
    """Compare what the ranks hold alike; every rank must call this. ReplicasDifferError, on all ranks, says who differs.

    Costs one reading of the weights and an exchange of 32 bytes a rank, more only where they differ.
    """
    found = list(replicas)
    digests = torch.stack([digest(replica.tensor) for replica in found]).tolist()  # one wait for the device
    kinds: dict[int, int] = defaultdict(int)
    for replica, value in zip(found, digests, strict=True):
        kinds[replica.copy] = _wrapped(kinds[replica.copy] * _FACTOR + value)
    summary = torch.full((KINDS, 2), -1, dtype=torch.int64, device=world.device)
    summary[: len(kinds)] = torch.tensor(sorted(kinds.items()), device=world.device)
    values = defaultdict(set)
    for copy, value in gather_tensor(summary, world).view(-1, 2).tolist():
        values[copy].add(value)
    if any(len(different) > 1 for different in values.values()):
        mine = [[replica.name, replica.copy, value] for replica, value in zip(found, digests, strict=True)]
        hosts = gather_json(socket.gethostname(), world)
        raise ReplicasDifferError(f"step {step}: {describe(gather_json(mine, world), hosts)}")


def describe(digests: list[list[list]], hosts: list[str]) -> str:
    """Which ranks differ from the majority, and in which tensors, from every rank's (name, copy, digest)."""
    copies: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)
    for rank, of_rank in enumerate(digests):
        for name, copy, value in of_rank:
            copies[name, copy][rank] = value
    wrong: dict[tuple[int, ...], list[str]] = defaultdict(list)
    is_sure = True
    for (name, _), values in copies.items():
        (usual, votes), *_ = Counter(values.values()).most_common()
        if votes < len(values):
            is_majority = 2 * votes > len(values)
            is_sure &= is_majority
            wrong[tuple(rank for rank, value in values.items() if value != usual or not is_majority)].append(name)
    parts = "; ".join(f"{_ranks(ranks, hosts)} in {_names(names)}" for ranks, names in wrong.items())
    verdict = "weights other than the majority's" if is_sure else "different weights, with no majority for either"
    return f"{verdict}: {parts}. A memory, a chip or a link is broken: leave the machine out and run the command again"


def digest(tensor: torch.Tensor) -> torch.Tensor:
    """A 64-bit sum of a tensor's raw bits, each word times an odd factor of its place: the same on every device.

    It misses no single changed word, and others with a chance of 2^-64. Modulo 2^64, so the order of adding is free.
    """
    words = tensor.detach().contiguous().view(-1).view(WORDS[tensor.element_size()])
    total = torch.zeros((), dtype=torch.int64, device=tensor.device)
    factors = _factors(tensor.device)
    for chunk in words.split(CHUNK):
        total = total * _FACTOR + (chunk.to(torch.int64) * factors[: len(chunk)]).sum()
    return total


_FACTOR = -7046029254386353131
"""Odd; the golden ratio in 64 bits."""


@cache
def _factors(device: torch.device) -> torch.Tensor:
    """Odd numbers without pattern, one for each place of a chunk: SplitMix64's mixing of 1, 2, 3, ..."""
    mixed = torch.arange(1, CHUNK + 1, dtype=torch.int64, device=device) * _FACTOR
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        mixed = (mixed ^ (mixed >> shift)) * factor
    return mixed | 1


def _wrapped(value: int) -> int:
    """Modulo 2^64, as a signed number."""
    return (value + 2**63) % 2**64 - 2**63


def _ranks(ranks: tuple[int, ...], hosts: list[str]) -> str:
    return "; ".join(f"rank {rank} on {hosts[rank]}" for rank in ranks[:8])


def _names(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
