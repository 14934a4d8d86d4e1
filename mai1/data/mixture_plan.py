"""Which source each training row is from: a pure function of the row's number, with random access.

A stretch is a run of rows with the same shares. It is divided into blocks; at every block's end each source has had its
share of the stretch's rows, rounded down or up. Within a block the order is drawn from the seed. Legend: S sources.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mai1.data.shares import WHOLE, deal, shares_of

LEAST_BLOCK = 64
"""Rows of a block, at least."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row is read."""

    source: int
    number: int
    """How many rows of this source come before it."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows with the same shares."""

    first: int
    end: int | None
    """The row after the last; None: it never ends."""
    shares: tuple[int, ...]
    given: tuple[int, ...]
    """Rows of each source before the first."""
    seed: int

    @property
    def block_rows(self) -> int:
        """So many that every source has at least one row in each: then no rounding ever takes a row back."""
        smallest = min(share for share in self.shares if share)
        return max(LEAST_BLOCK, 1 << (-(-WHOLE // smallest) - 1).bit_length())

    def block_of(self, row: int) -> tuple[int, int]:
        """First row of the block that holds `row`, and the row after its last; what is left over joins the last block."""
        size = self.block_rows
        number = (row - self.first) // size
        last = None if self.end is None else max(1, (self.end - self.first) // size) - 1
        if last is None or number < last:
            return self.first + number * size, self.first + (number + 1) * size
        return self.first + last * size, self.end

    def given_before(self, border: int) -> list[int]:
        """Rows of each source before the border of a block."""
        if border == self.first:
            return list(self.given)
        dealt = deal(self.shares, border - self.first, key=f"{self.seed} {border}")
        return [sum(pair) for pair in zip(self.given, dealt, strict=True)]


class MixturePlan:
    """Stretches one after the other, each ended by a change of the shares or by a source that is spent."""

    def __init__(self, caps: Sequence[int | None], *, seed: int, repeats: bool) -> None:
        """`caps` limits the rows of each source; where all that have a share are spent, `repeats` lifts the limits."""
        self.stretches: list[Stretch] = []
        self._caps, self._seed, self._repeats = list(caps), seed, repeats
        self._spent: set[int] = set()
        self.end: int | None = 0
        """The row after the last that is planned; None: it never ends."""
        self.is_exhausted = False
        """Nothing can follow, because every source with a share is spent."""
        self._block = lru_cache(maxsize=4)(self._make_block)

    def extend(self, shares: Sequence[int], end: int | None) -> None:
        """Go on with other shares up to the row `end`."""
        while not self.is_exhausted and self.end != end:
            active = [0 if source in self._spent else share for source, share in enumerate(shares)]
            if any(active):
                self._add(shares_of(active), end)
            elif self._repeats:
                self._caps, self._spent = [None] * len(shares), set()
            else:
                self.is_exhausted = True

    def place_of(self, row: int) -> Place:
        """ValueError where every source is spent before the row."""
        if self.is_exhausted and row >= self.end:
            raise ValueError(
                "every source of data.mixture was seen data.mixture.max_epochs times: allow more, add text, or use "
                "data.mixture.on_exhausted=repeat"
            )
        assert row >= 0 and (self.end is None or row < self.end), f"the shares of row {row} are not decided yet"
        stretch = self._stretch_of(row)
        first, end = stretch.block_of(row)
        sources, numbers = self._block(stretch, first, end)
        return Place(int(sources[row - first]), int(numbers[row - first]))

    def given_before(self, row: int) -> list[int]:
        """Rows of each source before any row."""
        if not row:
            return [0] * len(self._caps)
        stretch = self._stretch_of(row - 1)
        first, end = stretch.block_of(row - 1)
        sources, _ = self._block(stretch, first, end)
        inside = np.bincount(sources[: row - first], minlength=len(self._caps)).tolist()
        return [sum(pair) for pair in zip(stretch.given_before(first), inside, strict=True)]

    def shares_at(self, row: int) -> tuple[int, ...]:
        """Shares of WHOLE that hold at a row."""
        return self._stretch_of(row).shares

    def _stretch_of(self, row: int) -> Stretch:
        return self.stretches[bisect.bisect_right(self.stretches, row, key=lambda stretch: stretch.first) - 1]

    def _add(self, shares: list[int], end: int | None) -> None:
        """A stretch up to `end` or to where the first source is spent."""
        given = self.stretches[-1].given_before(self.end) if self.stretches else [0] * len(shares)
        rooms = {  # rows until a source has had all it may
            source: (cap - given[source]) * WHOLE // share
            for source, (cap, share) in enumerate(zip(self._caps, shares, strict=True))
            if cap is not None and share
        }
        spent_at = self.end + min(rooms.values()) if rooms else None
        if spent_at is not None and (end is None or spent_at <= end):
            end = spent_at
            self._spent |= {source for source, room in rooms.items() if room == min(rooms.values())}
        if end != self.end:
            self.stretches.append(Stretch(self.end, end, tuple(shares), tuple(given), self._seed))
        self.end = end

    def _make_block(self, stretch: Stretch, first: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """The source of each of a block's rows, and its number among that source's rows."""
        before, after = stretch.given_before(first), stretch.given_before(end)
        quotas_S = np.subtract(after, before)
        sources = np.repeat(np.arange(len(before), dtype=np.int32), quotas_S)
        sources = np.random.default_rng([self._seed, first]).permutation(sources)
        numbers = np.empty(end - first, dtype=np.int64)
        starts_S = np.asarray(before) - (np.cumsum(quotas_S) - quotas_S)
        by_source = np.argsort(sources, kind="stable")
        numbers[by_source] = np.arange(end - first) + np.repeat(starts_S, quotas_S)
        return sources, numbers
