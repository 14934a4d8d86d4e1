"""Which items of a task stand in a training text, so that what a model may have learned by heart is scored apart.

An item has been seen if most of its 5-word sequences stand within a stretch of one document: all of them for items of up to 20
words, 0.8 for 50 and more, in between on a line. That is the rule by which `mai1 prepare` cleans text (AI2's decon), with equal
weights. Items of fewer than 8 words stand in too many texts by chance: of them nothing is said.

Legend: W words of a document, G word sequences of items, P pairs of a sequence and a form.
"""

import hashlib
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import Enum

import numpy as np
from tqdm import tqdm

NGRAM_WORDS, MIN_WORDS = 5, 8
STRICT_WORDS, LENIENT_WORDS, STRICT_SHARE, LENIENT_SHARE = 20, 50, 1.0, 0.8
LONG_QUESTION_WORDS = 20
"""A question of so many words counts without its answer."""
STRETCH_WORDS = 4096
"""Documents are looked at in stretches, half of which the next one repeats."""
MAX_KNOWN_WORDS = 1 << 20
WORD = re.compile(r"\w+")
FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Part(Enum):
    """What is known of an item."""

    clean = "clean"
    dirty = "dirty"
    short = "short"  # too short to look for


class ItemIndex:
    """The word sequences of items, to find in documents."""

    def __init__(self, items: Sequence[Sequence[Sequence[str]]]) -> None:
        """`items` are forms of each item, and each form is texts; no sequence reaches from one text to the next."""
        self._word_hashes: dict[str, int] = {}
        self._owners: list[int] = []
        self._sizes: list[int] = []
        self._required: list[float] = []
        self._forms_of: dict[int, list[int]] = defaultdict(list)
        self.num_items = len(items)
        for number, forms in enumerate(items):
            is_long = bool(forms) and len(WORD.findall(forms[0][0])) >= LONG_QUESTION_WORDS
            for texts in [*forms, [forms[0][0]]] if is_long else forms:
                self._add(number, texts)
        self._hashes_G = np.array(sorted(self._forms_of), dtype=np.uint64)

    def _add(self, item: int, texts: Sequence[str]) -> None:
        hashes = {hash_ for text in texts for hash_ in self._sequences(text).tolist()}
        num_words = sum(len(WORD.findall(text)) for text in texts)
        if num_words < MIN_WORDS or not hashes:
            return
        form = len(self._owners)
        self._owners.append(item)
        self._sizes.append(len(hashes))
        bounds = [STRICT_WORDS, LENIENT_WORDS], [STRICT_SHARE, LENIENT_SHARE]
        self._required.append(float(np.interp(num_words, *bounds)))
        for hash_ in hashes:
            self._forms_of[hash_].append(form)

    def seen_in(self, documents: Iterable[str]) -> set[int]:
        """Numbers of the items that stand in one of the documents."""
        seen: set[int] = set()
        for text in tqdm(documents, desc="looking for items", unit="document", delay=2.0, leave=False, file=sys.stderr):
            found_W = self._sequences(text)
            for start in range(0, max(len(found_W), 1), STRETCH_WORDS // 2):
                seen |= self._seen_in_stretch(found_W[start : start + STRETCH_WORDS])
        return seen

    def parts(self, seen: set[int]) -> list[Part]:
        """What is known of each item, given those that were seen."""
        known = set(self._owners)
        return [
            Part.dirty if item in seen else Part.clean if item in known else Part.short
            for item in range(self.num_items)
        ]

    def _seen_in_stretch(self, found_W: np.ndarray) -> set[int]:
        if not len(self._hashes_G):
            return set()
        places = np.minimum(np.searchsorted(self._hashes_G, found_W), len(self._hashes_G) - 1)
        hits = np.unique(found_W[self._hashes_G[places] == found_W])
        counts: dict[int, int] = defaultdict(int)
        for hash_ in hits.tolist():
            for form in self._forms_of[hash_]:
                counts[form] += 1
        is_seen = (form for form, count in counts.items() if count >= self._required[form] * self._sizes[form] - 1e-9)
        return {self._owners[form] for form in is_seen}

    def _sequences(self, text: str) -> np.ndarray:
        """A hash of every run of words, uint64; empty for a text of fewer words."""
        words_W = np.array([self._hash(word) for word in WORD.findall(text.casefold())], dtype=np.uint64)
        count = len(words_W) - NGRAM_WORDS + 1
        if count < 1:
            return np.empty(0, dtype=np.uint64)
        hashes_W = np.zeros(count, dtype=np.uint64)
        for place in range(NGRAM_WORDS):
            hashes_W = hashes_W * FACTOR + words_W[place : place + count]
        return hashes_W

    def _hash(self, word: str) -> int:
        known = self._word_hashes.get(word)
        if known is None:
            if len(self._word_hashes) >= MAX_KNOWN_WORDS:
                self._word_hashes.clear()
            known = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
            self._word_hashes[word] = known
        return known
