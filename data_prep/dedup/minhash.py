"""Near duplicates: documents that share most of their word n-grams get the same key in at least one band."""

from dataclasses import dataclass

import numpy as np

from data_prep.dedup.words import mixed, ngram_hashes, ngram_owners, words_of

BLOCK_SHINGLES = 1 << 16
"""Shingles hashed at a time; two arrays of 4 bytes each stay in the processor's cache."""


@dataclass(kw_only=True, slots=True)
class MinHashConfig:
    """When two documents count as near copies of each other.

    Two documents whose sets of n-grams overlap by J (Jaccard) meet in a band with the chance 1 - (1 - J^rows)^bands; it is
    about one half where J = (1 / bands)^(1 / rows), 0.72 with the defaults, which are FineWeb's (arXiv 2406.17557):

        J        0.5    0.6    0.7    0.75   0.8    0.85   0.9    0.95
        chance   0.05   0.21   0.56   0.77   0.92   0.99   0.999  1.0
    """

    is_on: bool = True
    """Whether near duplicates are looked for."""

    num_bands: int = 14
    """Bands; more of them find copies that differ more."""

    rows_per_band: int = 8
    """Hashes that all must agree within a band; more of them find fewer copies by mistake."""

    ngram_words: int = 5
    """Neighbouring words that count as one thing, a shingle; documents of fewer words are never near duplicates."""

    seed: int = 0
    """Decides the hash functions."""

    def __post_init__(self) -> None:
        for key in ("num_bands", "rows_per_band", "ngram_words"):
            if getattr(self, key) < 1:
                raise ValueError(f"dedup.minhash.{key}={getattr(self, key)} must be at least 1: use the default")
        if self.seed < 0:
            raise ValueError(f"dedup.minhash.seed={self.seed} must be at least 0: use the default")


def chance_to_meet(overlap: float, config: MinHashConfig) -> float:
    """How likely two documents with this Jaccard overlap of their shingles share a band's key."""
    return 1.0 - (1.0 - overlap**config.rows_per_band) ** config.num_bands


def band_keys(texts: list[str], config: MinHashConfig) -> np.ndarray:
    """One key a band and document, uint64 [D, bands]; 0 where a document is too short to say.

    MinHash (Broder 1997) with bands (Leskovec et al., Mining of Massive Datasets, section 3.4). A key depends on the document
    and the configuration alone. Texts are best given a few hundred at a time: each call costs about a millisecond.
    """
    words = words_of(texts)
    places_S, counts_D = ngram_owners(words.first_D, config.ngram_words)
    shingles_S = ngram_hashes(words.hashes_W, config.ngram_words, seed=config.seed)[places_S]
    keys_DB = np.zeros((len(texts), config.num_bands), np.uint64)
    has_any_D = counts_D > 0
    if has_any_D.any():
        minima_HD = _minima((shingles_S >> np.uint64(32)).astype(np.uint32), counts_D[has_any_D], config)
        keys_DB[has_any_D] = _keys_of_bands(minima_HD, config)
    return keys_DB


def _minima(shingles_S: np.ndarray, counts_D: np.ndarray, config: MinHashConfig) -> np.ndarray:
    """The least value of each hash function over each document's shingles, uint32 [hashes, D].

    Shingles are uniform 32-bit numbers already, so a product with a random odd number, modulo 2^32, is a permutation good
    enough to order them by; 0, which every product would keep the least, is taken out.
    """
    np.maximum(shingles_S, 1, out=shingles_S)
    factors_H = _factors(config)
    minima_HD = np.full((len(factors_H), len(counts_D)), 0xFFFFFFFF, np.uint32)
    firsts_D = np.cumsum(counts_D) - counts_D
    for start in range(0, len(shingles_S), BLOCK_SHINGLES):
        block_S = shingles_S[start : start + BLOCK_SHINGLES]
        first = int(np.searchsorted(firsts_D, start, side="right")) - 1
        after = int(np.searchsorted(firsts_D, start + len(block_S)))
        bounds = np.maximum(firsts_D[first:after] - start, 0)
        products_S = np.empty_like(block_S)
        for factor, minima_D in zip(factors_H, minima_HD[:, first:after], strict=True):
            np.multiply(block_S, factor, out=products_S)
            np.minimum(minima_D, np.minimum.reduceat(products_S, bounds), out=minima_D)
    return minima_HD


def _factors(config: MinHashConfig) -> np.ndarray:
    """A random odd number for each hash function, uint32 [hashes]."""
    num_hashes = config.num_bands * config.rows_per_band
    numbers_H = mixed(np.arange(1, num_hashes + 1, dtype=np.uint64) + (np.uint64(config.seed) << np.uint64(32)))
    return (numbers_H >> np.uint64(32)).astype(np.uint32) | np.uint32(1)


def _keys_of_bands(minima_HD: np.ndarray, config: MinHashConfig) -> np.ndarray:
    """The rows of each band in one number, never 0: uint64 [D, bands]."""
    rows_BRD = minima_HD.reshape(config.num_bands, config.rows_per_band, -1)
    keys_BD = np.zeros((config.num_bands, rows_BRD.shape[2]), np.uint64)
    for row in range(config.rows_per_band):
        keys_BD = mixed(keys_BD + rows_BRD[:, row])
    return np.maximum(keys_BD, 1).T
