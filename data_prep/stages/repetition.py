"""The repetition rules of Gopher (Rae et al. 2021, arXiv 2112.11446, table A1).

The paper leaves open what exactly is counted; the definitions here are those of datatrove's `GopherRepetitionFilter`, which
FineWeb was made with, on words between white space. Shape letters: W words, G n-grams.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from data_prep.stages.rule import Bound, Rule, at_most, check_limits, share
from data_prep.stages.view import TextView, Unit

TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)


@dataclass(kw_only=True, slots=True)
class RepetitionConfig:
    """Gopher's repetition rules with the paper's thresholds; a limit of 0 turns its rule off.

    Shares are of all characters of the text. Where characters are counted, an n-gram has n times as many of them as count
    for one word.
    """

    enabled: bool = False
    """Whether these rules are asked at all."""

    max_paragraph_fraction: float = 0.30
    """Largest share of paragraphs that already stood above; more: `repetition.paragraphs`."""

    max_paragraph_character_fraction: float = 0.20
    """Largest share of characters in such paragraphs; more: `repetition.paragraph_characters`."""

    max_line_fraction: float = 0.30
    """Largest share of lines that already stood above; more: `repetition.lines`."""

    max_line_character_fraction: float = 0.20
    """Largest share of characters in such lines; more: `repetition.line_characters`."""

    max_top_2_gram: float = 0.20
    """Largest share of characters in the most frequent 2-gram, if it is repeated; more: `repetition.top_2_gram`."""

    max_top_3_gram: float = 0.18
    """The same for 3-grams."""

    max_top_4_gram: float = 0.16
    """The same for 4-grams."""

    max_duplicate_5_grams: float = 0.15
    """Largest share of characters in 5-grams that already stood above, none counted twice: `repetition.duplicate_5_grams`."""

    max_duplicate_6_grams: float = 0.14
    """The same for 6-grams."""

    max_duplicate_7_grams: float = 0.13
    """The same for 7-grams."""

    max_duplicate_8_grams: float = 0.12
    """The same for 8-grams."""

    max_duplicate_9_grams: float = 0.11
    """The same for 9-grams."""

    max_duplicate_10_grams: float = 0.10
    """The same for 10-grams."""

    def __post_init__(self) -> None:
        keys = tuple(key for key in RepetitionConfig.__dataclass_fields__ if key != "enabled")
        check_limits(self, "rules.repetition", fractions=keys)

    def rules(self) -> list[Rule]:
        """All rules, in the order they are asked."""
        lines, line_characters = self.max_line_fraction, self.max_line_character_fraction
        paragraphs, paragraph_characters = self.max_paragraph_fraction, self.max_paragraph_character_fraction
        return [
            at_most("repetition.paragraphs", "share of paragraphs", paragraphs, paragraph_fraction),
            at_most(
                "repetition.paragraph_characters",
                "share of characters",
                paragraph_characters,
                paragraph_character_fraction,
            ),
            at_most("repetition.lines", "share of lines", lines, line_fraction),
            at_most("repetition.line_characters", "share of characters", line_characters, line_character_fraction),
            *(self._top_rule(n) for n in TOP_SIZES),
            *(self._duplicate_rule(n) for n in DUPLICATE_SIZES),
        ]

    def _top_rule(self, n: int) -> Rule:
        def measure(view: TextView, limit: float) -> float:
            return top_ngram_fraction(view, n, limit=limit)

        return Rule(
            f"repetition.top_{n}_gram",
            "share of characters",
            Bound.at_most,
            getattr(self, f"max_top_{n}_gram"),
            measure,
        )

    def _duplicate_rule(self, n: int) -> Rule:
        def measure(view: TextView, limit: float) -> float:
            return duplicate_ngram_fraction(view, n, limit=limit)

        limit = getattr(self, f"max_duplicate_{n}_grams")
        return Rule(f"repetition.duplicate_{n}_grams", "share of characters", Bound.at_most, limit, measure)


def paragraph_fraction(view: TextView) -> float:
    """Share of paragraphs that already stood above."""
    return share(len(view.paragraphs) - len(set(view.paragraphs)), len(view.paragraphs))


def paragraph_character_fraction(view: TextView) -> float:
    """Share of the text's characters in paragraphs that already stood above."""
    return share(repeated_characters(view.paragraphs), len(view.text))


def line_fraction(view: TextView) -> float:
    """Share of lines that already stood above."""
    return share(len(view.lines) - len(set(view.lines)), len(view.lines))


def line_character_fraction(view: TextView) -> float:
    """Share of the text's characters in lines that already stood above."""
    return share(repeated_characters(view.lines), len(view.text))


def repeated_characters(parts: list[str]) -> int:
    """Characters of the parts that already stood above."""
    different = set(parts)
    return sum(map(len, parts)) - sum(map(len, different)) if len(different) < len(parts) else 0


def top_ngram_fraction(view: TextView, n: int, *, limit: float) -> float:
    """Share of the text's characters in the most frequent n-gram with the spaces inside, the first of several such.

    0 when no n-gram is frequent enough to exceed the limit; 1 where occurrences overlap so much that they add up to more.
    """
    size = _num_units(view, n)
    lengths_G = _ngram_characters(view, size) + (size - 1 if view.unit is Unit.words else 0)
    if not len(lengths_G):
        return 0.0
    least = max(int(limit * len(view.text) / lengths_G.max()), 1)
    hashes_G = view.ngrams(size)
    sorted_G = np.sort(hashes_G)
    if not (sorted_G[least:] == sorted_G[:-least]).any():  # nothing stands here more than `least` times
        return 0.0
    ends = np.flatnonzero(np.append(sorted_G[1:] != sorted_G[:-1], True))
    counts = np.diff(ends, prepend=-1)
    most = counts.max()
    first = int(np.isin(hashes_G, sorted_G[ends[counts == most]]).argmax())
    return min(share(int(lengths_G[first] * most), len(view.text)), 1.0)


def duplicate_ngram_fraction(view: TextView, n: int, *, limit: float) -> float:
    """Share of the text's characters in n-grams that already stood above, spaces not counted.

    The text is read from its beginning: after an n-gram that was read before, reading goes on behind it, so no character
    counts twice. What is in any repeated n-gram is an upper limit of that, and so is the same for a smaller n; where an upper
    limit keeps the rule, it is the answer.
    """
    total = len(view.text)
    size = _num_units(view, n)
    bound = next(
        (found for smaller, found in view.repeated_characters if smaller <= size and found <= limit * total), None
    )
    if bound is not None:
        return share(bound, total)
    hashes_G = view.ngrams(size)
    repeated = _repeated_places(hashes_G)
    firsts = np.unique(hashes_G[repeated], return_index=True)[1]
    bound = _characters_within(view, np.delete(repeated, firsts), size)
    view.repeated_characters.append((size, bound))
    if bound <= limit * total:
        return share(bound, total)
    starts = _read_again(zip(repeated.tolist(), hashes_G[repeated].tolist(), strict=True), size)
    return share(int(_ngram_characters(view, size)[starts].sum()), total)


def _num_units(view: TextView, n: int) -> int:
    """Words or characters of what counts as n words."""
    return max(round(n * view.characters_per_word), 1)


def _ngram_characters(view: TextView, size: int) -> np.ndarray:
    return view.offsets_W[size:] - view.offsets_W[:-size]


def _repeated_places(hashes_G: np.ndarray) -> np.ndarray:
    """Where the n-grams begin that stand in the text more than once."""
    sorted_G = np.sort(hashes_G)
    repeated = np.unique(sorted_G[1:][sorted_G[1:] == sorted_G[:-1]])
    if not len(repeated):
        return np.empty(0, np.int64)
    nearest_G = np.minimum(np.searchsorted(repeated, hashes_G), len(repeated) - 1)
    return np.flatnonzero(repeated[nearest_G] == hashes_G)


def _characters_within(view: TextView, starts: np.ndarray, size: int) -> int:
    """Characters of all words in n-grams that begin at `starts`."""
    if not len(starts):
        return 0
    ends = starts + size
    begins = np.maximum(starts, np.concatenate([starts[:1], ends[:-1]]))
    return int((view.offsets_W[ends] - view.offsets_W[begins]).sum())


def _read_again(places: Iterable[tuple[int, int]], size: int) -> list[int]:
    """Where reading from the beginning meets n-grams it has read, each jumped over."""
    read: set[int] = set()
    starts: list[int] = []
    free = 0
    for place, ngram in places:
        if place < free:
            continue
        if ngram in read:
            starts.append(place)
            free = place + size
        read.add(ngram)
    return starts
