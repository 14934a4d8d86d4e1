"""The stage that finds evaluation items in documents."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from data_prep.contamination.config import ContaminationAction, ContaminationConfig
from data_prep.contamination.index import ContaminationIndex
from data_prep.dedup.words import Words, ngram_hashes, words_of
from data_prep.document import Document, Dropped, Outcome

LABEL, CUTS = "contamination.", "contamination.cut"
WINDOW = 2
"""An item's n-grams count together if they stand within this many times its length: a document of many questions that share
their phrases holds none of those that it only seems to hold."""

ROUNDING = 1e-9


MAX_PAIRS, MAX_PLACES = 1 << 22, 64
"""Where the n-grams of one document give more pairs of place and item, only the first places of each n-gram are looked at: a
phrase repeated without end costs no more."""


@dataclass(frozen=True, slots=True)
class Found:
    """One item in one text."""

    item: int
    """Number over all tasks."""

    overlap: float
    """Share of the item's n-grams that stand together, rare ones counting more; 1 is all."""

    start: int
    """First character of the place."""

    end: int
    """Character after its last."""


class ContaminationStage:
    """Finds items of evaluation sets; what it found stands in the label `contamination.TASK` as `ITEM:OVERLAP`, by item.

    Items are numbered as in the task's file, from 0: `17:0.93 41:1.00`. A dropped document has its labels too, and the reason
    `contamination.TASK` of the task with the largest overlap.
    """

    name = "contamination"

    def __init__(self, index: ContaminationIndex, config: ContaminationConfig) -> None:
        self.index, self.config = index, config

    def __call__(self, documents: list[Document]) -> list[Outcome]:
        """One outcome for each document, in order."""
        found_D = self.find([document.text for document in documents])
        return [self._outcome(*both) if both[1] else both[0] for both in zip(documents, found_D, strict=True)]

    def find(self, texts: list[str]) -> list[list[Found]]:
        """The items that each text holds, by number."""
        found_D: list[list[Found]] = [[] for _ in texts]
        if len(self.index.hashes_G):
            words = words_of(texts)
            words_H, grams_H = self._hits(words)
            bounds = np.searchsorted(words_H, words.first_D)
            for number in np.flatnonzero(np.diff(bounds)).tolist():
                hits = slice(bounds[number], bounds[number + 1])
                found_D[number] = self._found(words_H[hits], grams_H[hits], words)
        return found_D

    def _hits(self, words: Words) -> tuple[np.ndarray, np.ndarray]:
        """Where n-grams of items begin, by number of the word over all texts, and which they are, in the order of the texts."""
        parts = []
        for num_words in np.unique(self.index.sizes_T).tolist():
            places, grams = self.index.find(ngram_hashes(words.hashes_W, num_words, seed=num_words))
            ends = words.first_D[np.searchsorted(words.first_D, places, side="right")]
            is_within = places + num_words <= ends
            parts.append((places[is_within], grams[is_within]))
        words_H, grams_H = map(np.concatenate, zip(*parts, strict=True))
        order = np.argsort(words_H, kind="stable")
        return words_H[order], grams_H[order]

    def _found(self, words_H: np.ndarray, grams_H: np.ndarray, words: Words) -> list[Found]:
        """The items that one text holds: first by all n-grams in it, then by those that stand together."""
        index = self.index
        grams = np.unique(grams_H)
        places, items = index.postings(grams)
        candidates, numbers = np.unique(items, return_inverse=True)
        overlaps = np.bincount(numbers, weights=index.idf_G[grams[places]]) / index.weights_I[candidates]
        candidates = candidates[overlaps >= index.required_I[candidates] - ROUNDING]
        if not len(candidates):
            return []
        if (index.first_G[grams_H + 1] - index.first_G[grams_H]).sum() > MAX_PAIRS:
            is_early = _occurrence_numbers(grams_H) < MAX_PLACES
            words_H, grams_H = words_H[is_early], grams_H[is_early]
        places, items = index.postings(grams_H)
        order = np.lexsort((places, items))
        places, items = places[order], items[order]
        ranges = zip(*(np.searchsorted(items, candidates, side=side) for side in ("left", "right")), strict=True)
        found = []
        for item, (start, end) in zip(candidates.tolist(), ranges, strict=True):
            own = places[start:end]
            one = self._densest(item, words_H[own], grams_H[own], words)
            found += [one] if one.overlap >= index.required_I[item] - ROUNDING else []
        return found

    def _densest(self, item: int, words_H: np.ndarray, grams_H: np.ndarray, words: Words) -> Found:
        """The window of the text that holds most of the item."""
        reach, weights_H = WINDOW * int(self.index.words_I[item]), self.index.idf_G[grams_H].tolist()
        places, grams = words_H.tolist(), grams_H.tolist()
        counts: Counter[int] = Counter()
        best = weight = 0.0
        start, best_range = 0, (0, 0)
        for end, gram in enumerate(grams):
            weight += weights_H[end] if not counts[gram] else 0.0
            counts[gram] += 1
            while places[end] - places[start] > reach:
                counts[grams[start]] -= 1
                weight -= weights_H[start] if not counts[grams[start]] else 0.0
                start += 1
            if weight > best + ROUNDING:
                best, best_range = weight, (start, end)
        first, last = (places[place] for place in best_range)
        last += int(self.index.sizes_T[self.index.tasks_I[item]]) - 1
        return Found(
            item, best / float(self.index.weights_I[item]), int(words.starts_W[first]), int(words.ends_W[last])
        )

    def _outcome(self, document: Document, found: list[Found]) -> Outcome:
        """What the configured action makes of a document that holds items."""
        labelled = replace(document, labels=document.labels | self._labels(found))
        worst = max(found, key=lambda one: (one.overlap, -one.item))
        task, number = self._task(worst), self.index.numbers_I[worst.item]
        dropped = Dropped(labelled, LABEL + task, f"item {number}: overlap={worst.overlap:.2f}")
        match self.config.action:
            case ContaminationAction.drop:
                return dropped
            case ContaminationAction.label:
                return labelled
            case ContaminationAction.cut:
                return self._cut(labelled, found) or dropped

    def _cut(self, document: Document, found: list[Found]) -> Document | None:
        """The document without the places and a margin around each, until it holds no item; None if there are too many."""
        text, total = document.text, 0
        while found:
            text, num_cuts = _without(text, found, margin=self.config.margin_characters)
            total += num_cuts
            if total > self.config.max_cuts or not text:
                return None
            (found,) = self.find([text])
        return replace(document, text=text, edits=document.edits | {CUTS: document.edits.get(CUTS, 0) + total})

    def _labels(self, found: list[Found]) -> dict[str, str]:
        by_task: dict[str, dict[int, float]] = {}
        for one in found:
            overlaps = by_task.setdefault(LABEL + self._task(one), {})
            number = int(self.index.numbers_I[one.item])
            overlaps[number] = max(overlaps.get(number, 0.0), one.overlap)
        return {label: " ".join(f"{n}:{o:.2f}" for n, o in overlaps.items()) for label, overlaps in by_task.items()}

    def _task(self, found: Found) -> str:
        return str(self.index.task_names[self.index.tasks_I[found.item]])


def items_in_label(label: str) -> dict[int, float]:
    """What a label `contamination.TASK` says: overlap by number of the item in the task's file."""
    return {int(number): float(overlap) for number, overlap in (entry.split(":") for entry in label.split())}


def _occurrence_numbers(grams_H: np.ndarray) -> np.ndarray:
    """How often each n-gram stood before, for each place."""
    order = np.argsort(grams_H, kind="stable")
    sorted_H = grams_H[order]
    numbers_H = np.empty(len(grams_H), np.int64)
    numbers_H[order] = np.arange(len(grams_H)) - np.searchsorted(sorted_H, sorted_H)
    return numbers_H


def _without(text: str, found: list[Found], *, margin: int) -> tuple[str, int]:
    """The text without the places and what stands within `margin` characters of them, and how many were cut out.

    Pieces shorter than the margin go too; the others are put together line by line.
    """
    bounds, num_cuts = [0], 0
    for one in sorted(found, key=lambda one: one.start):
        start, end = max(one.start - margin, 0), min(one.end + margin, len(text))
        if num_cuts and start <= bounds[-1]:
            bounds[-1] = max(bounds[-1], end)
        else:
            bounds += [start, end]
            num_cuts += 1
    bounds.append(len(text))
    pieces = (text[start:end].strip() for start, end in zip(bounds[::2], bounds[1::2], strict=True))
    return "\n".join(piece for piece in pieces if len(piece) >= max(margin, 1)), num_cuts
