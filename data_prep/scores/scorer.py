"""What a scorer is, and the batch of documents it is handed: texts, their languages, and their words, hashed once for all."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data_prep.scores.words import Words, words_of

BATCH_CHARACTERS = 1_000_000
"""Characters hashed at once, about 60 MB of memory; a document alone may be longer."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some documents, all lists of one length."""

    texts: list[str]
    languages: list[str]
    words: Words


class Scorer(Protocol):
    """One number per document. Fitted on a sample: `fit` once a batch, `finish` at the end; afterwards `score` is pure.

    A scorer of one's own is a class with these methods, made from its config section, and a line in `fitting.SCORERS`.
    """

    def fit(self, batch: Batch) -> None:
        """Takes in a part of the sample. The order of documents must not matter."""

    def finish(self) -> None:
        """Ends fitting; raises ValueError when what was seen is not enough."""

    def score(self, batch: Batch) -> np.ndarray:
        """float32 [D], more is better; NaN where this scorer cannot judge, and such documents are kept."""

    def state(self) -> dict[str, np.ndarray]:
        """All that was fitted, as plain arrays."""

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """The scorer as it was when it gave this state."""


def batches_of(documents: Iterable[tuple[str, str]], characters: int) -> Iterator[Batch]:
    """Texts with their languages in batches of bounded size; of each text its first `characters`."""
    texts: list[str] = []
    languages: list[str] = []
    size = 0
    for text, language in documents:
        texts.append(text[:characters])
        languages.append(language)
        size += len(texts[-1])
        if size >= BATCH_CHARACTERS:
            yield Batch(texts, languages, words_of(texts))
            texts, languages, size = [], [], 0
    if texts:
        yield Batch(texts, languages, words_of(texts))


def means(values: np.ndarray, document: np.ndarray, num_documents: int) -> np.ndarray:
    """Mean of `values` within each document, float64 [D]; NaN for a document that has none.

    Added up one after the other, so what stands beside a document in its batch changes no bit of its score.
    """
    counts = np.bincount(document, minlength=num_documents)
    sums = np.bincount(document, weights=values, minlength=num_documents)
    return np.divide(sums, counts, out=np.full(num_documents, np.nan), where=counts > 0)
