"""Which curated documents stay: the steps that must know all of them, decided on keys and sizes, never on texts.

Order matters nowhere: copies are compared by what they are, limits and the held-out choice follow hashes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain

import numpy as np

from data_prep.config import DedupConfig, PrepareConfig
from data_prep.dedup.clusters import ClusterSizes, clusters_of, keepers, pairs_of_band
from data_prep.dedup.exact import pairs_of_equal
from data_prep.scores.thresholds import Choice, Limit
from data_prep.splitting import HeldoutKind, choose_heldout, uniform
from data_prep.store import Columns

COPIES = ("dedup.exact", "dedup.near")
"""The reasons of documents of which another one is kept."""


class Fate(IntEnum):
    """What becomes of a curated document."""

    dropped = 0
    train = 1
    heldout = 2


@dataclass(slots=True)
class Selection:
    """The fate of every curated document, and the figures behind it."""

    fate_N: np.ndarray
    """uint8 of `Fate`."""

    reason_N: np.ndarray
    """int16: 0, or 1 + the place of the reason in `reasons`."""

    reasons: list[str] = field(default_factory=list)
    cluster_N: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """The first document of the copies that each belongs to."""

    clusters: ClusterSizes = field(default_factory=lambda: ClusterSizes({}, []))
    """How many clusters of which size, and the largest of them."""

    limits: list[Limit] = field(default_factory=list)
    """The limits of scores that were applied."""


class Selector:
    """Takes documents away step by step; each has the reason of the step that took it."""

    def __init__(self, columns: Columns, source_N: np.ndarray, config: PrepareConfig) -> None:
        self.columns, self.source_N, self.config = columns, source_N, config
        num_documents = len(source_N)
        self.is_left_N = np.ones(num_documents, dtype=bool)
        self.selection = Selection(np.zeros(num_documents, np.uint8), np.zeros(num_documents, np.int16))
        self.selection.cluster_N = np.arange(num_documents)

    def run(self, choose: Callable[[np.ndarray], Choice] | None = None) -> Selection:
        """Copies, then what the scores reject, then the byte limits; what is left is for training."""
        self._drop_copies(self.config.dedup)
        if choose is not None:
            choice = choose(self.is_left_N)
            self.selection.limits = choice.limits
            for number, reason in enumerate(choice.reasons[1:], start=1):
                self._drop(choice.reason == number, reason)
        if self.config.max_bytes or any(source.max_bytes for source in self.config.sources.values()):
            self._limit()
        self.selection.fate_N[self.is_left_N] = Fate.train
        return self.selection

    def _drop(self, is_rejected_N: np.ndarray, reason: str) -> None:
        struck_N = is_rejected_N & self.is_left_N
        if struck_N.any():
            self.selection.reasons.append(reason)
            self.selection.reason_N[struck_N] = len(self.selection.reasons)
            self.is_left_N &= ~struck_N

    def _drop_copies(self, config: DedupConfig) -> None:
        """Of equal or nearly equal documents one of the earliest source stays, of those the longest, then by its key."""
        num_documents, keys_N2 = len(self.source_N), self.columns.keys_N2
        priority = (self.source_N, -self.columns.num_bytes_N, keys_N2[:, 0], keys_N2[:, 1])
        if config.exact:
            cluster_N = clusters_of(num_documents, [pairs_of_equal(keys_N2)])
            self._drop(~keepers(cluster_N, priority), "dedup.exact")
            self.selection.cluster_N = cluster_N
        if config.minhash.is_on:
            bands = (pairs_of_band(self.columns.bands_NB[:, band]) for band in range(self.columns.bands_NB.shape[1]))
            cluster_N = clusters_of(num_documents, chain([pairs_of_equal(keys_N2)], bands))
            self._drop(~keepers(cluster_N, priority), "dedup.near")
            self.selection.cluster_N = cluster_N
            self.selection.clusters = ClusterSizes.of(cluster_N)

    def _limit(self) -> None:
        """Each source gets an even share of the bytes; what small ones leave goes to the larger ones."""
        names, left = list(self.config.sources), self.config.max_bytes
        sizes = [self._size_of(place) for place in range(len(names))]
        ordered = sorted(range(len(names)), key=lambda place: (sizes[place], place))
        for number, place in enumerate(ordered):
            own = self.config.sources[names[place]].max_bytes
            limits = [left // (len(ordered) - number)] if self.config.max_bytes else []
            limits += [own] if own else []
            if limits:
                self._limit_source(place, max(1, min(limits)))
            left -= self._size_of(place)

    def _size_of(self, source: int) -> int:
        return int(self.columns.num_bytes_N[self.is_left_N & (self.source_N == source)].sum())

    def _limit_source(self, source: int, max_bytes: int) -> None:
        """Take documents in the order of their hashes, passing over what does not fit any more."""
        places = np.flatnonzero(self.is_left_N & (self.source_N == source))
        if int(self.columns.num_bytes_N[places].sum()) <= max_bytes:
            return
        keys = [self.columns.keys_N2[place].tobytes() for place in places]
        numbers = np.array([uniform(key, seed=self.config.seed, purpose="sample") for key in keys])
        taken, is_over_N = 0, np.zeros(len(self.is_left_N), dtype=bool)
        for place in places[np.argsort(numbers, kind="stable")]:
            size = int(self.columns.num_bytes_N[place])
            is_over_N[place] = taken + size > max_bytes
            taken += 0 if is_over_N[place] else size
        self._drop(is_over_N, "limit.max_bytes")

    def hold_out(self) -> None:
        """Families by their hash; a family is on one side, in all sources, so code and its docstrings stay together."""
        fraction, chosen = self.config.heldout_fraction, set[bytes]()
        if self.config.heldout is not HeldoutKind.documents or not fraction:
            return
        families = [family.tobytes() for family in self.columns.families_N2]
        for source in range(len(self.config.sources)):
            places = np.flatnonzero(self.is_left_N & (self.source_N == source))
            own = [families[place] for place in places]
            chosen |= choose_heldout(own, fraction=fraction, seed=self.config.seed)
        if not chosen:
            raise ValueError(
                f"heldout_fraction={fraction} needs two documents in some source, but each has one: "
                "set heldout=tail to hold out the end of each, or heldout_fraction=0"
            )
        for place in np.flatnonzero(self.is_left_N):
            if families[place] in chosen:
                self.selection.fate_N[place] = Fate.heldout
