"""Which rank is slow, found in a few rounds of exchanges between pairs.

In each round all ranks exchange data in pairs, at the same time, and every round has other pairs. Both partners of an exchange
take as long as the slower one, so a slow rank is slow in every round, while a sound one is fast as soon as its partner is:
ceil(log2 n) + 1 rounds tell them apart. Partners are of different nodes, at the same place in theirs, so that like is compared
with like: a link within a node is faster than one between nodes.

Legend: N ranks, R rounds, K repeats.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Speeds:
    """How the ranks compare in one thing that was timed."""

    best_s: list[float]
    """Of each rank, its shortest time; inf where it had no partner."""
    typical_s: float
    """The median rank's best; inf where nothing was timed."""
    noise_s: float
    """The median rank's longest repeat in its calmest round."""
    slow: list[int]

    @property
    def slowest(self) -> int | None:
        """The rank whose best is the worst; None where nothing was timed."""
        timed = [rank for rank, seconds in enumerate(self.best_s) if seconds < math.inf]
        return max(timed, key=self.best_s.__getitem__, default=None)

    @property
    def worst_factor(self) -> float:
        """The slowest rank's best over the median rank's; 1 where nothing was timed."""
        return 1.0 if self.slowest is None else self.best_s[self.slowest] / self.typical_s


def partners_by_round(hosts: Sequence[str]) -> list[list[int | None]]:
    """For each round every rank's partner, None for who sits out; of several nodes, partners are of different ones."""
    ranks_of: dict[str, list[int]] = {}
    for rank, host in enumerate(hosts):
        ranks_of.setdefault(host, []).append(rank)
    columns = list(ranks_of.values()) if len(ranks_of) > 1 else [[rank] for rank in range(len(hosts))]
    rounds = []
    for number in range(num_rounds(len(columns))):
        partners: list[int | None] = [None] * len(hosts)
        for place, ranks in enumerate(columns):
            other = columns[partner_of(place, len(columns), number)]
            for mine, theirs in zip(ranks, other, strict=False):
                partners[mine] = theirs if theirs != mine else None
        rounds.append(partners)
    return rounds


def num_rounds(num_places: int) -> int:
    """Enough for every place to meet ceil(log2 n) + 1 others, or all others there are; 0 for one alone."""
    all_pairs = num_places - 1 + num_places % 2
    return min((num_places - 1).bit_length() + 1 + num_places % 2, all_pairs) if num_places > 1 else 0


def partner_of(place: int, num_places: int, number: int) -> int:
    """The partner in a round of a tournament in which nobody meets the same one twice; itself where it sits out.

    The circle method: all but one sit around a table that is turned; of an odd number the last chair is empty.
    """
    around = num_places - 1 + num_places % 2
    if place == around:  # the one that is not at the table meets who would meet itself
        return number * (around + 1) // 2 % around
    other = (number - place) % around
    return around if other == place and num_places % 2 == 0 else other


def compare_speeds(seconds_NRK: torch.Tensor, *, slow_factor: float) -> Speeds:
    """Ranks whose best time is far above the median rank's, and above what the median rank's varies.

    The second condition keeps a busy machine from being called a broken one: the best of a slow rank's times must still be worse
    than the worst of a usual rank's in its calmest round.
    """
    num_ranks, num_rounds, _ = seconds_NRK.shape
    never_N1 = torch.full((num_ranks, 1), torch.inf, dtype=seconds_NRK.dtype)
    best_N = torch.cat((never_N1, seconds_NRK.amin(2)), dim=1).amin(1)
    noise_N = torch.cat((never_N1, seconds_NRK.amax(2)), dim=1).amin(1)
    timed_N = best_N < torch.inf
    if not timed_N.any():
        return Speeds(best_N.tolist(), math.inf, math.inf, [])
    typical, noise = best_N[timed_N].median(), noise_N[timed_N].median()  # of an even number the lower one
    is_slow_N = timed_N & (best_N > slow_factor * typical) & (best_N > noise) & bool(slow_factor)
    return Speeds(best_N.tolist(), float(typical), float(noise), is_slow_N.nonzero()[:, 0].tolist())
