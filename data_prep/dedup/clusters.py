"""From keys that documents share to clusters of copies, and the one document of each that is kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

MAX_SHOWN = 20
"""Clusters that a report names, largest first."""


def pairs_of_band(keys_N: np.ndarray) -> np.ndarray:
    """Neighbours among the documents that share a key of one band, int64 [pairs, 2], the smaller number first.

    A key that k documents share gives k - 1 pairs, which is enough to connect them; key 0 says nothing. 25 bytes of memory a
    document, 16 a pair. Documents may be given by ranges of keys: then the numbers are places in what was given.
    """
    order_N = np.argsort(keys_N, kind="stable")
    sorted_N = keys_N[order_N]
    is_same = (sorted_N[1:] == sorted_N[:-1]) & (sorted_N[1:] != 0)
    return np.stack([order_N[:-1][is_same], order_N[1:][is_same]], axis=1)


def clusters_of(num_documents: int, pairs: Iterable[np.ndarray]) -> np.ndarray:
    """For each document the smallest number of any document it is connected to, int64 [documents].

    `pairs` are arrays [pairs, 2], such as one a band, and are asked for one after the other: memory is 24 bytes a document and
    48 a pair of the largest array. What comes out does not depend on their order.
    """
    labels_N = np.arange(num_documents)
    for some in pairs:
        _connect(labels_N, np.ascontiguousarray(some[:, 0]), np.ascontiguousarray(some[:, 1]))
    return labels_N


def _connect(labels_N: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Merge the clusters that pairs connect: each root takes its smallest neighbour as parent, then all paths are shortened.

    Parents are always smaller, so no circle arises and the last root is the smallest number. O(log^2 N) rounds, mostly two or
    three (Liu and Tarjan, arXiv 1812.06177).
    """
    while True:
        left, right = labels_N[left], labels_N[right]
        is_apart = left != right
        left, right = left[is_apart], right[is_apart]
        if not len(left):
            return
        np.minimum.at(labels_N, np.maximum(left, right), np.minimum(left, right))
        while not np.array_equal(shorter_N := labels_N[labels_N], labels_N):
            labels_N[:] = shorter_N


def keepers(clusters_N: np.ndarray, priority: Sequence[np.ndarray]) -> np.ndarray:
    """Which documents stay, bool [documents]: of each cluster the one whose priority is smallest.

    `priority` are columns [documents], compared one after the other, such as the source's rank, minus the length, and the two
    halves of the content key: with the latter the choice does not depend on how documents were numbered, but for texts that
    are equal; of these the first stays. 60 bytes of memory for each document that has a copy.
    """
    is_kept_N = np.ones(len(clusters_N), bool)
    members = members_of(clusters_N)
    columns = [np.asarray(column)[members] for column in priority]
    order = np.lexsort((members, *columns[::-1], clusters_N[members]))
    labels = clusters_N[members[order]]
    is_kept_N[members[order[1:]]] = labels[1:] != labels[:-1]
    return is_kept_N


def members_of(clusters_N: np.ndarray) -> np.ndarray:
    """The documents that have a copy, ascending."""
    sizes_N = np.bincount(clusters_N, minlength=len(clusters_N))
    return np.flatnonzero(sizes_N[clusters_N] > 1)


@dataclass(frozen=True, slots=True)
class ClusterSizes:
    """What a report says of the clusters."""

    histogram: dict[int, int]
    """Clusters by size, each under the power of two that it reaches: 2 holds pairs and threes, 4 those of 4 to 7."""

    largest: list[tuple[int, int]]
    """The largest clusters as (smallest document, size), at most MAX_SHOWN, largest first."""

    @classmethod
    def of(cls, clusters_N: np.ndarray) -> "ClusterSizes":
        """Count the clusters of two or more documents."""
        sizes_N = np.bincount(clusters_N, minlength=len(clusters_N))
        labels = np.flatnonzero(sizes_N > 1)
        sizes = sizes_N[labels]
        powers, counts = np.unique(np.floor(np.log2(sizes)).astype(np.int64), return_counts=True)
        order = np.lexsort((labels, -sizes))[:MAX_SHOWN]
        return cls(
            {2 ** int(power): int(count) for power, count in zip(powers, counts, strict=True)},
            [(int(labels[place]), int(sizes[place])) for place in order],
        )
