"""How much rather a document is from a target set than from the corpus: importance weights (DSIR, arXiv 2302.03169).

Both are bags of hashed words and pairs of words. The paper's weight is the sum of log ratios over a document of fixed
length; here it is their mean, so that documents of any length compare.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.scores.examples import examples_of
from data_prep.scores.scorer import Batch, batches_of, means


@dataclass(kw_only=True, slots=True)
class ImportanceConfig:
    """Importance weights."""

    target: str = ""
    """A .jsonl (with `text`) or .txt file, one text a line, also as .gz: what the corpus should resemble."""

    buckets: int = 100_000
    """Numbers that words and pairs are hashed into; the paper has 10,000."""

    def __post_init__(self) -> None:
        if not 2**10 <= self.buckets <= 2**24:
            raise ValueError(f"scores.scorers.*.importance.buckets={self.buckets} must be from 1,024 to 16,777,216")


class ImportanceScorer:
    """Mean of log(share in the target / share in the sample) over a document's words and pairs, in nats."""

    def __init__(self, config: ImportanceConfig) -> None:
        self.config = config
        self.raw_counts = np.zeros(config.buckets, dtype=np.int64)
        self.log_ratios = np.zeros(config.buckets, dtype=np.float32)

    def fit(self, batch: Batch) -> None:
        """Counts the sample."""
        self.raw_counts += self._counts(batch)

    def finish(self) -> None:
        """Counts the target and takes the ratio; every bucket counts one more than was seen."""
        if not self.raw_counts.any():
            raise ValueError("scores: the sample holds no words: importance weights need some of the corpus")
        key = "scores.scorers.*.importance.target"
        texts = ((text, "") for text in examples_of(Path(self.config.target), key=key))
        target = np.zeros(self.config.buckets, dtype=np.int64)
        for batch in batches_of(texts, characters=2**20):
            target += self._counts(batch)
        if not target.any():
            raise ValueError(f"{key}={self.config.target} must hold at least one text")
        self.log_ratios = (_log_shares(target) - _log_shares(self.raw_counts)).astype(np.float32)

    def score(self, batch: Batch) -> np.ndarray:
        """float32 [D]; NaN for a document without words."""
        features, document = batch.words.with_pairs(self.config.buckets)
        return means(self.log_ratios[features], document, len(batch.texts)).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        """The log ratios, float32 [buckets]."""
        return {"log_ratios": self.log_ratios}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """The reverse of `state`."""
        self.log_ratios = state["log_ratios"]

    def _counts(self, batch: Batch) -> np.ndarray:
        features, _ = batch.words.with_pairs(self.config.buckets)
        return np.bincount(features, minlength=self.config.buckets)


def _log_shares(counts: np.ndarray) -> np.ndarray:
    return np.log((counts + 1.0) / (counts.sum() + len(counts)))
