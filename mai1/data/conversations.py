"""Instruction rows: conversations turned to ids with a loss mask, packed several to a row without ever mixing.

Packing is best-fit decreasing: long conversations first, each into the fullest row that still has room.
"""

import bisect
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache, partial

import numpy as np

from mai1.data.batch import Row

MAX_SOURCES = 32
OTHERS = "others"
"""What the rarest sources are called together, where a file names more than MAX_SOURCES."""


class TooLong(Enum):
    """What becomes of conversations that are longer than a row."""

    leave_out = "leave_out"
    cut = "cut"


@dataclass(slots=True)
class Conversation:
    """One tokenized conversation."""

    ids: list[int]
    loss_mask: list[int]
    """1 on what the assistant says, its end token included."""
    source: str = "conversations"
    """Where it comes from, for the figures of each source."""


class PackedConversations:
    """Random access to the endless sequence of packed rows; rows are shuffled each epoch, packing stays."""

    def __init__(self, conversations: list[Conversation], *, sequence_length: int, seed: int, pad_id: int) -> None:
        fitting = [c for c in conversations if len(c.ids) <= sequence_length + 1]
        self.num_too_long = len(conversations) - len(fitting)
        if not fitting:
            raise ValueError(
                f"data.sequence_length={sequence_length} is shorter than every one of the {len(conversations)} "
                "conversations: use a longer sequence or shorter conversations"
            )
        self.sequence_length, self.seed = sequence_length, seed
        packs = pack_best_fit([len(c.ids) for c in fitting], capacity=sequence_length + 1)
        self.source_names = name_sources([c.source for c in fitting])
        numbers = {name: number for number, name in enumerate(self.source_names)}
        join = partial(_join, source_numbers=numbers, length=sequence_length + 1, pad_id=pad_id)
        self.rows = [join([fitting[i] for i in pack]) for pack in packs]
        self.rows_per_epoch = len(self.rows)
        self.num_tokens = sum(row.num_valid for row in self.rows)
        self.num_targets = sum(int(row.loss_mask.sum()) for row in self.rows)
        self._order = lru_cache(maxsize=2)(
            lambda epoch: np.random.default_rng([seed, epoch]).permutation(self.rows_per_epoch)
        )

    @property
    def fingerprint(self) -> str:
        """Changes when the conversations, the sequence length or the seed do."""
        digest = hashlib.sha256(f"T={self.sequence_length} seed={self.seed}".encode())
        for row in self.rows:
            digest.update(row.ids.tobytes() + row.loss_mask.tobytes())
        return digest.hexdigest()

    def read(self, sample: int) -> Row:
        """The row with this number; numbers run on over the epochs."""
        epoch, place = divmod(sample, self.rows_per_epoch)
        return replace(self.rows[int(self._order(epoch)[place])], epochs=epoch)


def pack_best_fit(lengths: list[int], *, capacity: int, begun: Sequence[int] = ()) -> list[list[int]]:
    """Indices grouped so that each group's lengths sum to at most `capacity`; no index is lost.

    The first groups have been begun already, each with something of a length in `begun`.
    """
    packs: list[list[int]] = [[] for _ in begun]
    room = sorted((capacity - length, pack) for pack, length in enumerate(begun))  # (tokens left, pack)
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        place = bisect.bisect_left(room, (lengths[index], -1))
        if place == len(room):
            packs.append([])
            left, pack = capacity, len(packs) - 1
        else:
            left, pack = room.pop(place)
        packs[pack].append(index)
        if left > lengths[index]:
            bisect.insort(room, (left - lengths[index], pack))
    return packs


def name_sources(sources: list[str]) -> list[str]:
    """Every source's name in order; beyond MAX_SOURCES the most frequent ones and, last, OTHERS."""
    counts = Counter(sources)
    if len(counts) <= MAX_SOURCES:
        return sorted(counts)
    frequent = sorted(counts.keys() - {OTHERS}, key=lambda name: (-counts[name], name))
    return [*sorted(frequent[: MAX_SOURCES - 1]), OTHERS]


def _join(conversations: list[Conversation], *, source_numbers: dict[str, int], length: int, pad_id: int) -> Row:
    ids, mask = np.full(length, pad_id, dtype=np.int64), np.zeros(length, dtype=np.uint8)
    sources, starts = np.zeros(length, dtype=np.int64), np.zeros(length, dtype=bool)
    filled = 0
    for conversation in conversations:
        end = filled + len(conversation.ids)
        ids[filled:end], mask[filled:end] = conversation.ids, conversation.loss_mask
        starts[filled], mask[filled] = True, 0  # nothing stands before it that it could follow from
        sources[filled:end] = source_numbers.get(conversation.source, len(source_numbers) - 1)
        filled = end
    return Row(ids, mask, num_valid=filled, sources=sources, starts=starts)
