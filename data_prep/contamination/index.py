"""The n-grams of all evaluation items as sorted arrays: made once, read by every worker, asked for every n-gram of the corpus."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.contamination.config import ContaminationConfig, ContaminationRule
from data_prep.contamination.items import read_items
from data_prep.contamination.ngrams import MIN_ITEM_WORDS, TaskNgrams

STRICT_WORDS, LENIENT_WORDS, STRICT_OVERLAP, LENIENT_OVERLAP = 20, 50, 1.0, 0.8
"""decon: all of an item of up to 20 words must be there, 0.8 of one of 50 and more, in between on a line."""

FILTER_SLOTS_PER_NGRAM = 32
MAX_FILTER_SLOTS = 1 << 27


@dataclass(frozen=True, slots=True)
class ContaminationIndex:
    """What to look for. All arrays have a fixed dtype and can be saved without pickle."""

    task_names: np.ndarray
    """str [tasks]."""

    num_items_T: np.ndarray
    """int64 [tasks]: items in each task's file."""

    num_short_T: np.ndarray
    """int64 [tasks]: those of them that are too short to look for."""

    sizes_T: np.ndarray
    """int64 [tasks]: words of each task's n-grams."""

    hashes_G: np.ndarray
    """uint64 [n-grams], ascending."""

    idf_G: np.ndarray
    """float64 [n-grams]: log(1 + items / items with this n-gram)."""

    first_G: np.ndarray
    """int64 [n-grams + 1]: where in `items_P` the items of each n-gram begin."""

    items_P: np.ndarray
    """int32 [postings]: items, numbered over all tasks."""

    tasks_I: np.ndarray
    """int32 [items]: each item's task. An item with several forms, such as with and without `Answer:`, is here once for each."""

    numbers_I: np.ndarray
    """int32 [items]: its number in the task's file, from 0."""

    words_I: np.ndarray
    """int32 [items]: its length in words."""

    required_I: np.ndarray
    """float64 [items]: the least overlap that counts."""

    weights_I: np.ndarray
    """float64 [items]: sum of `idf_G` over its n-grams."""

    is_slot_taken: np.ndarray
    """bool [a power of two]: whether any n-gram's hash begins with these bits; most questions end here."""

    @classmethod
    def build(cls, config: ContaminationConfig) -> "ContaminationIndex":
        """Read all tasks. ValueError where a file cannot be read, lacks a field, or has only items too short to look for."""
        tasks = [TaskNgrams.of(read_items(name, task), config.rule) for name, task in config.tasks.items()]
        for name, task in zip(config.tasks, tasks, strict=True):
            if not len(task.numbers_I):
                raise ValueError(
                    f"contamination.tasks.{name}.path={config.tasks[name].path} must hold an item of at least "
                    f"{MIN_ITEM_WORDS} words, but its longest has fewer: name the answer or the choices too, or leave it out"
                )
        first_items = np.cumsum([0, *(len(task.numbers_I) for task in tasks)])
        hashes = _joined((task.hashes_P for task in tasks), np.uint64)
        items = _joined((task.items_P + first for task, first in zip(tasks, first_items, strict=False)), np.int32)
        order = np.lexsort((items, hashes))
        hashes_G, first_G = np.unique(hashes[order], return_index=True)
        first_G = np.append(first_G, len(hashes))
        idf_G = np.log1p(first_items[-1] / np.diff(first_G))
        words_I = _joined((task.words_I for task in tasks), np.int32)
        weights_P = np.repeat(idf_G, np.diff(first_G))
        required_I = np.interp(words_I, [STRICT_WORDS, LENIENT_WORDS], [STRICT_OVERLAP, LENIENT_OVERLAP])
        return cls(
            task_names=np.array(list(config.tasks), np.str_),
            num_items_T=np.array([task.num_items for task in tasks], np.int64),
            num_short_T=np.array([task.num_short for task in tasks], np.int64),
            sizes_T=np.array([task.num_words for task in tasks], np.int64),
            hashes_G=hashes_G,
            idf_G=idf_G,
            first_G=first_G,
            items_P=items[order],
            tasks_I=np.repeat(np.arange(len(tasks), dtype=np.int32), np.diff(first_items)),
            numbers_I=_joined((task.numbers_I for task in tasks), np.int32),
            words_I=words_I,
            required_I=required_I if config.rule is ContaminationRule.weighted_overlap else np.zeros(len(words_I)),
            weights_I=np.bincount(items[order], weights=weights_P, minlength=len(words_I)),
            is_slot_taken=_slots(hashes_G),
        )

    def save(self, path: Path) -> None:
        """Write a .npz file."""
        with path.open("wb") as file:
            np.savez(file, **{name: getattr(self, name) for name in self.__slots__ if name != "is_slot_taken"})

    @classmethod
    def load(cls, path: Path) -> "ContaminationIndex":
        """Read what `save` wrote; arrays of objects are refused."""
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in cls.__slots__ if name != "is_slot_taken"}
        return cls(**arrays, is_slot_taken=_slots(arrays["hashes_G"]))

    def find(self, hashes_W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of these hashes are n-grams of an item: their places, and the n-grams' numbers."""
        shift = np.uint64(65 - len(self.is_slot_taken).bit_length())
        places = np.flatnonzero(self.is_slot_taken[hashes_W >> shift])
        numbers = np.minimum(np.searchsorted(self.hashes_G, hashes_W[places]), len(self.hashes_G) - 1)
        is_found = self.hashes_G[numbers] == hashes_W[places]
        return places[is_found], numbers[is_found]

    def postings(self, grams: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All pairs of a given n-gram and an item that has it: places in `grams`, and items."""
        counts = self.first_G[grams + 1] - self.first_G[grams]
        places = np.repeat(np.arange(len(grams)), counts)
        within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        return places, self.items_P[self.first_G[grams][places] + within]


def task_sizes(path: Path) -> dict[str, dict[str, int]]:
    """How many items each task of a saved index has, and how many of them are too short to look for."""
    with np.load(path, allow_pickle=False) as file:
        columns = zip(
            file["task_names"].tolist(), file["num_items_T"].tolist(), file["num_short_T"].tolist(), strict=True
        )
        return {name: {"items": items, "too_short": short} for name, items, short in columns}


def _joined(arrays: Iterable[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype), *arrays]).astype(dtype)


def _slots(hashes_G: np.ndarray) -> np.ndarray:
    """A table by the first bits of a hash: true where an n-gram's hash has them."""
    wanted = max(2, len(hashes_G) * FILTER_SLOTS_PER_NGRAM)
    num_bits = (min(wanted, MAX_FILTER_SLOTS) - 1).bit_length()
    is_slot_taken = np.zeros(1 << num_bits, bool)
    is_slot_taken[hashes_G >> np.uint64(64 - num_bits)] = True
    return is_slot_taken
