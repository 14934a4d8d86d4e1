"""Figures of the inspection page: what each expert specialises in, from how choices fall on tokens and sources.

A choice is one expert taken for one token: N tokens that go to K experts each are N * K choices.
"""

from dataclasses import dataclass

import numpy as np

from mai1.report.inspect_input import Inspection, Layer

SHUFFLE_SEED = 0
MAX_LISTED = 24_000
"""Characteristic tokens on one page."""

MAX_EXPERTS = 6_000
"""Experts on one page, of all layers together: a browser is slow with more."""


@dataclass(kw_only=True, slots=True)
class TokenShare:
    """One token's part in what an expert gets."""

    token: int
    """Counts through the inspection's token names."""
    count: int
    """Choices of this expert for it."""
    lift: float
    """The expert's share of the token's choices over its share of all choices; 1 is no preference."""


@dataclass(kw_only=True, slots=True)
class Information:
    """What the expert of a choice tells about a label of its token."""

    bits: float
    """Mutual information less that of shuffled labels; not below 0."""
    share: float
    """Of the most there could be, the smaller of both entropies; 0 where that is 0."""


@dataclass(kw_only=True, slots=True)
class LayerFigures:
    """One MoE layer over the surveyed tokens."""

    number: int
    load: np.ndarray
    """Each expert's share of the choices."""
    by_source: np.ndarray
    """int64 [experts, sources] choices."""
    characteristic: list[list[TokenShare]]
    """By expert."""
    about_source: Information
    about_token: Information

    def listed(self, num_layers: int) -> list[int]:
        """The experts that the page has room for where so many layers share it: those with the highest lift."""
        used = np.flatnonzero(self.load).tolist()
        room = max(MAX_EXPERTS // num_layers, 1)
        best = sorted(used, key=lambda expert: -max((s.lift for s in self.characteristic[expert]), default=0.0))
        return sorted(best[:room])

    @property
    def unused(self) -> list[int]:
        """Experts without a choice."""
        return np.flatnonzero(self.load == 0).tolist()


def layer_figures(inspection: Inspection) -> list[LayerFigures]:
    """Figures of every layer over the surveyed tokens."""
    surveyed = inspection.surveyed()
    num_listed = min(sum(layer.num_experts for layer in surveyed.layers), MAX_EXPERTS)
    limit = int(np.clip(MAX_LISTED // num_listed, 4, 12))
    return [_figures(surveyed, layer, limit=limit) for layer in surveyed.layers]


def _figures(surveyed: Inspection, layer: Layer, *, limit: int) -> LayerFigures:
    seen, seen_tokens = np.unique(surveyed.tokens, return_inverse=True)
    by_token = count_choices(layer.experts, seen_tokens, num_experts=layer.num_experts, num_labels=len(seen))
    by_source = count_choices(
        layer.experts, surveyed.sources, num_experts=layer.num_experts, num_labels=len(surveyed.source_names)
    )
    characteristic = characteristic_tokens(by_token, min_count=surveyed.min_count, limit=limit)
    for share in (share for shares in characteristic for share in shares):
        share.token = int(seen[share.token])
    return LayerFigures(
        number=layer.number,
        load=by_source.sum(axis=1) / max(by_source.sum(), 1),
        by_source=by_source,
        characteristic=characteristic,
        about_source=information_about(surveyed.sources, by_source, layer),
        about_token=information_about(seen_tokens, by_token, layer),
    )


def count_choices(experts: np.ndarray, labels: np.ndarray, *, num_experts: int, num_labels: int) -> np.ndarray:
    """Choices of each expert for each label, int64 [experts, labels]; `labels` has one entry a token."""
    pairs = experts.astype(np.int64) * num_labels + labels[:, None]
    return np.bincount(pairs.ravel(), minlength=num_experts * num_labels).reshape(num_experts, num_labels)


def lifts(counts: np.ndarray) -> np.ndarray:
    """How much more often than overall each expert is taken for each label, [experts, labels]; 0 where it never is."""
    expert_shares = counts.sum(axis=1, keepdims=True) / max(counts.sum(), 1)
    label_shares = counts / np.maximum(counts.sum(axis=0, keepdims=True), 1)
    return label_shares / np.where(expert_shares > 0, expert_shares, 1)


def characteristic_tokens(counts: np.ndarray, *, min_count: int, limit: int) -> list[list[TokenShare]]:
    """For each expert of `counts` [experts, tokens] the tokens of highest lift that it was taken for often enough.

    Only lifts above 1 count; equal ones are ordered by count.
    """
    found = []
    for expert_counts, expert_lifts in zip(counts, lifts(counts), strict=True):
        eligible = np.flatnonzero((expert_counts >= min_count) & (expert_lifts > 1))
        best = eligible[np.lexsort((-expert_counts[eligible], -expert_lifts[eligible]))][:limit]
        found.append([TokenShare(token=int(t), count=int(expert_counts[t]), lift=float(expert_lifts[t])) for t in best])
    return found


def information_about(labels: np.ndarray, counts: np.ndarray, layer: Layer) -> Information:
    """How much the chosen expert tells about the label, beyond what chance gives for so few tokens.

    Mutual information of counts is never negative, so chance alone gives a positive value, the more labels the larger.
    Shuffling the labels over the tokens shows how large, and is subtracted. `counts` are those of the labels.
    """
    shuffled = np.random.default_rng(SHUFFLE_SEED).permutation(labels)
    by_chance = count_choices(layer.experts, shuffled, num_experts=len(counts), num_labels=counts.shape[1])
    bits = max(mutual_information(counts) - mutual_information(by_chance), 0.0)
    most = min(entropy(counts.sum(axis=0)), entropy(counts.sum(axis=1)))
    return Information(bits=bits, share=bits / most if most else 0.0)


def mutual_information(counts: np.ndarray) -> float:
    """Bits that rows and columns of a table of counts tell about each other: H(row) + H(column) - H(both)."""
    return entropy(counts.sum(axis=0)) + entropy(counts.sum(axis=1)) - entropy(counts.ravel())


def entropy(counts: np.ndarray) -> float:
    """Entropy in bits of shares given as counts."""
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(shares * np.log2(shares)).sum()) + 0.0
