"""Token-prior filter: how usual a document's words are, without any model (arXiv 2509.18577).

The prior of a word is its share of all words of the language. Three figures of a document tell noise: the mean of its
words' log priors (codes and tables have rare words throughout), their standard deviation (repeated spam has no spread)
and the standard deviation of the priors themselves (lists of keywords and markup have no function words). The paper takes
the mean and one deviation; alone, each deviation overlooks a kind of noise. The score is how far a document is from the
middle of its own language by the figure that is farthest; the paper's rule, to keep the central ones, is `min_quantile`.

It does not see the order of words, and noise that fills more than a few percent of a language's sample becomes usual.
"""

import hashlib
import heapq
from dataclasses import dataclass

import numpy as np

from data_prep.scores.scorer import Batch, means

WORDS_KEPT = 5000
"""Words of a document from which the middle of its language is taken."""


@dataclass(kw_only=True, slots=True)
class PriorConfig:
    """The token-prior filter."""

    buckets: int = 2**18
    """Entries of each language's table of word frequencies; words that share an entry are counted as one."""

    min_documents: int = 50
    """Documents of a language the sample must hold; in languages with fewer nothing is judged."""

    center_documents: int = 1000
    """Documents of a language from which the middle is taken, chosen by a hash of their text."""

    def __post_init__(self) -> None:
        if not 2**10 <= self.buckets <= 2**24:
            raise ValueError(f"scores.scorers.*.prior.buckets={self.buckets} must be from 1,024 to 16,777,216")
        if self.min_documents < 2:
            raise ValueError(f"scores.scorers.*.prior.min_documents={self.min_documents} must be at least 2")
        if self.center_documents < self.min_documents:
            raise ValueError(
                f"scores.scorers.*.prior.center_documents={self.center_documents} must be at least "
                f"min_documents={self.min_documents}"
            )


class PriorScorer:
    """Minus the distance from the middle of the language: 0 is the middle, -1 the edge of the central half."""

    def __init__(self, config: PriorConfig) -> None:
        self.config = config
        self.counters: dict[str, LanguageCounter] = {}
        self.languages: list[str] = []
        self.log_priors = np.zeros((0, config.buckets), dtype=np.float32)
        self.centers = np.zeros((0, 3, 3))
        """Quartiles of each figure over the documents of each language, float64 [L, 3, 3]."""

    def fit(self, batch: Batch) -> None:
        """Counts the words of each language and keeps documents from which its middle can be taken."""
        buckets = batch.words.buckets(self.config.buckets)
        ends = np.cumsum(batch.words.counts)
        for text, language, start, end in zip(
            batch.texts, batch.languages, ends - batch.words.counts, ends, strict=True
        ):
            if language not in self.counters:
                self.counters[language] = LanguageCounter(self.config)
            self.counters[language].add(text, buckets[start:end])

    def finish(self) -> None:
        """Turns counts into log priors and finds the middle of every language that has enough documents."""
        enough = self.config.min_documents
        self.languages = sorted(name for name, seen in self.counters.items() if seen.num_documents >= enough)
        counters = [self.counters[name] for name in self.languages]
        if counters:
            self.log_priors = np.stack([counter.log_priors() for counter in counters])
            self.centers = np.stack(
                [counter.quartiles(table) for counter, table in zip(counters, self.log_priors, strict=True)]
            )
        self.counters = {}

    def score(self, batch: Batch) -> np.ndarray:
        """float32 [D]; NaN for a document without words or in a language without a prior."""
        places = {name: place for place, name in enumerate(self.languages)}
        language = np.array([places.get(name, -1) for name in batch.languages], dtype=np.int64)
        if not places:
            return np.full(len(language), np.nan, dtype=np.float32)
        entries = language[batch.words.document] * self.config.buckets + batch.words.buckets(self.config.buckets)
        figures = figures_of(self.log_priors.ravel()[entries], batch.words.document, len(language))
        low, middle, high = np.moveaxis(self.centers[language], 2, 0)
        reach = np.where(figures > middle, high - middle, middle - low)
        distance = np.abs(figures - middle) / np.maximum(reach, 1e-9)
        return np.where(language >= 0, -distance.max(axis=1), np.nan).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        """Languages, their log priors float32 [L, buckets] and quartiles float64 [L, 3, 3]."""
        names = np.array(self.languages, dtype=np.str_)
        return {"languages": names, "log_priors": self.log_priors, "centers": self.centers}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """The reverse of `state`."""
        self.languages = [str(name) for name in state["languages"]]
        self.log_priors, self.centers = state["log_priors"], state["centers"]


class LanguageCounter:
    """Word counts of one language, and the documents whose hashes are smallest: the same in any order."""

    def __init__(self, config: PriorConfig) -> None:
        self.config = config
        self.num_documents = 0
        self.counts = np.zeros(config.buckets, dtype=np.int64)
        self.chosen: list[tuple[int, bytes]] = []
        """A heap of (minus the text's hash, its words as int32)."""

    def add(self, text: str, buckets: np.ndarray) -> None:
        """Counts one document."""
        if not len(buckets):
            return
        np.add.at(self.counts, buckets, 1)
        self.num_documents += 1
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
        item = (-int.from_bytes(digest, "big"), buckets[:WORDS_KEPT].astype(np.int32).tobytes())
        if len(self.chosen) < self.config.center_documents:
            heapq.heappush(self.chosen, item)
        else:
            heapq.heappushpop(self.chosen, item)

    def log_priors(self) -> np.ndarray:
        """Log of each entry's share, float32 [buckets]; words never seen count half."""
        weights = np.maximum(self.counts, 0.5)
        return np.log(weights / weights.sum()).astype(np.float32)

    def quartiles(self, log_priors: np.ndarray) -> np.ndarray:
        """Lower quartile, median, upper quartile of each figure over the chosen documents, float64 [3, 3]."""
        words = [np.frombuffer(kept, dtype=np.int32) for _, kept in sorted(self.chosen)]
        figures = np.concatenate([figures_of(log_priors[each], np.zeros(len(each), dtype=int), 1) for each in words])
        return np.quantile(figures, [0.25, 0.5, 0.75], axis=0).T


def figures_of(log_priors: np.ndarray, document: np.ndarray, num_documents: int) -> np.ndarray:
    """Mean and deviation of the log priors, and deviation of the priors, of each document, float64 [D, 3]."""
    mean = means(log_priors, document, num_documents)
    priors = np.exp(log_priors, dtype=np.float64)
    spread = means(np.square(log_priors - mean[document]), document, num_documents)
    prior_spread = means(np.square(priors - means(priors, document, num_documents)[document]), document, num_documents)
    return np.stack([mean, np.sqrt(spread), np.sqrt(prior_spread)], axis=1)
