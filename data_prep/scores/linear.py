"""A linear classifier on hashed words and pairs of words, trained from good and bad examples, as fastText's without its
hidden layer (arXiv 1607.01759; the kind of filter of DCLM, arXiv 2406.11794)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.scores.examples import choose_examples
from data_prep.scores.scorer import Batch, batches_of

CHARACTERS = 10_000
"""What is read of an example."""
MINIBATCH = 128


@dataclass(kw_only=True, slots=True)
class LinearConfig:
    """The linear classifier."""

    positive: str = ""
    """Good examples: a .jsonl (with `text`) or .txt file, one text a line, also as .gz."""

    negative: str = ""
    """Bad examples, in the same form."""

    buckets: int = 2**18
    """Numbers that words and pairs are hashed into; each has one weight."""

    epochs: int = 5
    """Passes over the examples."""

    learning_rate: float = 0.5
    """Step size of Adagrad."""

    l2: float = 1e-6
    """How strongly weights are pulled to 0, per step."""

    max_examples: int = 20_000
    """Largest number of examples of each set, chosen by a hash of their text."""

    seed: int = 0
    """Of the order of the examples."""

    def __post_init__(self) -> None:
        if not 2**10 <= self.buckets <= 2**24:
            raise ValueError(f"scores.scorers.*.linear.buckets={self.buckets} must be from 1,024 to 16,777,216")
        for key in ("epochs", "max_examples"):
            if getattr(self, key) < 1:
                raise ValueError(f"scores.scorers.*.linear.{key}={getattr(self, key)} must be at least 1")
        if not self.learning_rate > 0.0:
            raise ValueError(f"scores.scorers.*.linear.learning_rate={self.learning_rate} must be above 0")
        if not 0.0 <= self.l2 < 1.0:
            raise ValueError(f"scores.scorers.*.linear.l2={self.l2} must be from 0 and below 1")


@dataclass(frozen=True, slots=True)
class Rows:
    """Sparse features of documents: for each entry its document, its bucket and its value."""

    document: np.ndarray
    feature: np.ndarray
    value: np.ndarray
    num_documents: int

    def choose(self, documents: np.ndarray, starts: np.ndarray) -> "Rows":
        """The rows of these documents, renumbered; `starts` is where each document's entries begin, and the end."""
        lengths = starts[documents + 1] - starts[documents]
        ends = np.cumsum(lengths)
        entries = np.arange(ends[-1]) + np.repeat(starts[documents] - (ends - lengths), lengths)
        renumbered = np.repeat(np.arange(len(documents)), lengths)
        return Rows(renumbered, self.feature[entries], self.value[entries], len(documents))


class LinearScorer:
    """Log-odds of a document being like the good examples: 0 is where the classifier cannot tell."""

    def __init__(self, config: LinearConfig) -> None:
        self.config = config
        self.weights = np.zeros(config.buckets + 1, dtype=np.float32)
        """One a bucket, and the bias."""

    def fit(self, batch: Batch) -> None:
        """Needs nothing of the corpus: the example sets are all it learns from."""

    def finish(self) -> None:
        """Trains on both example sets."""
        good, bad = (self._examples(name) for name in ("positive", "negative"))
        batches = [
            rows_of(batch, self.config.buckets)
            for batch in batches_of(((text, "") for text in (*good, *bad)), CHARACTERS)
        ]
        labels = np.repeat([1.0, 0.0], [len(good), len(bad)])
        self.weights = train(_joined(batches), labels, self.config).astype(np.float32)

    def score(self, batch: Batch) -> np.ndarray:
        """float32 [D]; NaN for a document without words."""
        odds = log_odds(rows_of(batch, self.config.buckets), self.weights)
        return np.where(batch.words.counts > 0, odds, np.nan).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        """The weights, float32 [buckets + 1]."""
        return {"weights": self.weights}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """The reverse of `state`."""
        self.weights = state["weights"]

    def _examples(self, name: str) -> list[str]:
        key = f"scores.scorers.*.linear.{name}"
        path = Path(getattr(self.config, name))
        return choose_examples(path, key=key, at_most=self.config.max_examples, characters=CHARACTERS)


def rows_of(batch: Batch, buckets: int) -> Rows:
    """Each word and pair once per occurrence, with a value that makes the sum over the document's entries 1."""
    feature, document = batch.words.with_pairs(buckets)
    counts = np.bincount(document, minlength=len(batch.texts))
    return Rows(document, feature, 1.0 / np.maximum(counts, 1)[document], len(batch.texts))


def log_odds(rows: Rows, weights: np.ndarray) -> np.ndarray:
    """Bias and weighted features of each document, float64 [D]."""
    return weights[-1] + np.bincount(rows.document, rows.value * weights[rows.feature], rows.num_documents)


def train(rows: Rows, labels: np.ndarray, config: LinearConfig) -> np.ndarray:
    """Logistic regression by Adagrad, float64 [buckets + 1]; both sets weigh the same, whatever their sizes."""
    generator = np.random.default_rng(config.seed)
    share = np.where(labels > 0, 0.5 / labels.mean(), 0.5 / (1.0 - labels.mean()))
    order = np.argsort(rows.document, kind="stable")
    rows = Rows(rows.document[order], rows.feature[order], rows.value[order], rows.num_documents)
    starts = np.searchsorted(rows.document, np.arange(rows.num_documents + 1))
    weights, squares = np.zeros(config.buckets + 1), np.full(config.buckets + 1, 1e-8)
    for _ in range(config.epochs):
        shuffled = generator.permutation(rows.num_documents)
        for start in range(0, rows.num_documents, MINIBATCH):
            chosen = shuffled[start : start + MINIBATCH]
            some = rows.choose(chosen, starts)
            errors = share[chosen] * (1.0 / (1.0 + np.exp(-log_odds(some, weights))) - labels[chosen])
            slopes = np.bincount(some.feature, errors[some.document] * some.value, config.buckets + 1)
            slopes[-1] = errors.sum()
            slopes = slopes / len(chosen) + config.l2 * weights
            squares += np.square(slopes)
            weights -= config.learning_rate * slopes / np.sqrt(squares)
    return weights


def _joined(batches: list[Rows]) -> Rows:
    firsts = np.cumsum([0, *(rows.num_documents for rows in batches)])
    document = np.concatenate([rows.document + first for rows, first in zip(batches, firsts[:-1], strict=True)])
    feature, value = (np.concatenate([getattr(rows, name) for rows in batches]) for name in ("feature", "value"))
    return Rows(document, feature, value, int(firsts[-1]))
