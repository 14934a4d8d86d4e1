"""Preference rows: pairs of a better and a worse answer, packed whole, so that a pair's loss is a matter of one row.

The two answers of a pair stand behind each other, each with the whole conversation before it and as a document of its own.
Of answers that were judged one by one, a pair has one alone. For these every row has another of the same answers, each behind
the prompt of another: what KTO's reference point is estimated from.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np

from mai1.data.batch import Row
from mai1.data.conversation_shapes import Preference, is_preference, to_preference
from mai1.data.conversations import Conversation, name_sources, pack_best_fit
from mai1.data.instructions import read_records
from mai1.data.mismatched import Turn, mismatched


def read_preferences(path: Path) -> list[tuple[Preference, str]]:
    """All pairs of a .jsonl or .json file, in order, each with its `source` field or else the file's name.

    ValueError names the place of what is no pair.
    """
    if not path.is_file():
        raise ValueError(f"{path} is no file: name a .jsonl or .json file of pairs with chosen and rejected")
    found = []
    for where, record in read_records(path):
        if not is_preference(record):
            raise ValueError(f"{where}: a preference needs the fields chosen and rejected")
        try:
            source = record.get("source")
            found.append((to_preference(record), source if source and isinstance(source, str) else path.stem))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    if not found:
        raise ValueError(f"{path} is empty: it needs at least one pair of chosen and rejected")
    return found


@dataclass(slots=True)
class Pair:
    """Two tokenized conversations that differ in their last answers, which alone are in the loss masks; or one of them."""

    chosen: Conversation | None
    rejected: Conversation | None

    @property
    def answers(self) -> list[tuple[int, Conversation]]:
        """Those that are there, with their sides: 0 the better one, 1 the worse one."""
        return [(side, answer) for side, answer in enumerate((self.chosen, self.rejected)) if answer is not None]

    @property
    def num_ids(self) -> int:
        """Of all its answers."""
        return sum(len(answer.ids) for _, answer in self.answers)

    @property
    def is_equal(self) -> bool:
        """Nothing could be learned from it."""
        return None not in (self.chosen, self.rejected) and self.chosen.ids == self.rejected.ids


class PackedPreferences:
    """Random access to the endless sequence of packed rows; rows are shuffled each epoch, packing stays."""

    def __init__(
        self, pairs: list[Pair], *, sequence_length: int, seed: int, pad_id: int, is_mismatched: bool = False
    ) -> None:
        """`is_mismatched` makes the rows of mismatched answers besides."""
        different = [pair for pair in pairs if not pair.is_equal]
        self.pairs = [pair for pair in different if pair.num_ids <= sequence_length + 1]
        """Those that rows hold, by their numbers."""
        num_equal, num_too_long = len(pairs) - len(different), len(different) - len(self.pairs)
        self.notes = []
        """What a person should know of the pairs that are left out."""
        if num_too_long:
            self.notes.append(
                f"{num_too_long} pairs are longer than data.sequence_length={sequence_length} and left out"
            )
        if num_equal:
            self.notes.append(f"{num_equal} pairs have two equal answers, which teach nothing, and are left out")
        if not self.pairs:
            raise ValueError(
                f"data.sequence_length={sequence_length} has room for none of the {len(pairs)} pairs, whose answers stand "
                f"in one row ({num_equal} have equal answers and are left out): use a longer sequence"
            )
        self.sequence_length, self.seed = sequence_length, seed
        packs = pack_best_fit([pair.num_ids for pair in self.pairs], capacity=sequence_length + 1)
        self.source_names = name_sources([answer.source for pair in self.pairs for _, answer in pair.answers[:1]])
        most, sizes = max(map(len, packs)), {"length": sequence_length + 1, "pad_id": pad_id}
        self.rows = [self._join(pack, self.pairs, num_pairs=most, **sizes) for pack in packs]
        self.mismatched: list[Row] = []
        """Beside each row the one of its mismatched answers."""
        if is_mismatched:
            others = self._mismatched(packs)
            self.mismatched = [self._join(pack, others, num_pairs=most, **sizes) for pack in packs]
        self.rows_per_epoch = len(self.rows)
        self._order = lru_cache(maxsize=2)(
            lambda epoch: np.random.default_rng([seed, epoch]).permutation(self.rows_per_epoch)
        )

    @property
    def lengths_PA(self) -> np.ndarray:
        """Targets of each pair's answers, int64 `[P, 2]`; 0 for an answer that is not there."""
        lengths_PA = np.zeros((len(self.pairs), 2), dtype=np.int64)
        for number, pair in enumerate(self.pairs):
            for side, answer in pair.answers:
                lengths_PA[number, side] = sum(answer.loss_mask)
        return lengths_PA

    @property
    def fingerprint(self) -> str:
        """Changes when the pairs, the sequence length or the seed do."""
        digest = hashlib.sha256(f"pairs T={self.sequence_length} seed={self.seed}".encode())
        for row in [*self.rows, *self.mismatched]:
            digest.update(row.ids.tobytes() + row.loss_mask.tobytes() + row.answers.tobytes())
        return digest.hexdigest()

    def read(self, sample: int) -> Row:
        """The row with this number; numbers run on over the epochs."""
        epoch, place = divmod(sample, self.rows_per_epoch)
        return replace(self.rows[int(self._order(epoch)[place])], epochs=epoch)

    def read_mismatched(self, sample: int) -> Row:
        """The mismatched answers of the row with this number."""
        epoch, place = divmod(sample, self.rows_per_epoch)
        return self.mismatched[int(self._order(epoch)[place])]

    def _mismatched(self, packs: list[list[int]]) -> list[Pair]:
        """The pairs with every answer behind another prompt."""
        places = [[(number, side) for number in pack for side, _ in self.pairs[number].answers] for pack in packs]
        turns = [[Turn.of(dict(self.pairs[number].answers)[side]) for number, side in row] for row in places]
        others = [Pair(None, None) for _ in self.pairs]
        moved = mismatched(turns, capacity=self.sequence_length + 1)
        for (number, side), turn in zip(chain(*places), chain(*moved), strict=True):
            told = turn.conversation(self.pairs[number].answers[0][1].source)
            setattr(others[number], ("chosen", "rejected")[side], told)
        return others

    def _join(self, pack: list[int], pairs: list[Pair], *, num_pairs: int, length: int, pad_id: int) -> Row:
        """One row of the pairs with these numbers, and room for the numbers of `num_pairs`."""
        ids, mask = np.full(length, pad_id, dtype=np.int64), np.zeros(length, dtype=np.uint8)
        sources, answers = np.zeros(length, dtype=np.int64), np.full(length, -1, dtype=np.int64)
        numbers, starts, filled = np.full(num_pairs, -1, dtype=np.int64), np.zeros(length, dtype=bool), 0
        source_numbers = {name: number for number, name in enumerate(self.source_names)}
        for place, number in enumerate(pack):
            numbers[place] = number
            for side, answer in pairs[number].answers:
                part = slice(filled, filled + len(answer.ids))
                ids[part], mask[part], answers[part] = answer.ids, answer.loss_mask, 2 * place + side
                starts[filled] = True
                sources[part] = source_numbers.get(answer.source, len(source_numbers) - 1)
                filled = part.stop
        return Row(ids, mask, num_valid=filled, sources=sources, answers=answers, pairs=numbers, starts=starts)
