"""Affinity of the report: which experts the tokens of each data source go to, layer by layer."""

import numpy as np

from mai1.report.layers import LayerHistory, beside_each_other, is_load, layer_histories
from mai1.report.markup import Markup, absent, caption, details, figure, section, table
from mai1.report.records import RunRecords, mapping, number
from mai1.report.scales import percent
from mai1.report.tiles import heat_legend, ratio_map

TITLE = "Sources and experts"
NUM_NEWEST = 10
"""Logged steps that a map adds up: one alone holds too few documents to tell preference from chance."""

MAX_TIPS = 20_000
"""Cells of all maps up to which each says its figures under the pointer."""

NUM_FAVOURITES = 3


def affinity(records: RunRecords) -> Markup:
    """A map of sources and experts for each MoE layer."""
    counts = {layer.name: _choices(layer) for layer in layer_histories(records.train)}
    counts = {name: by_source for name, by_source in counts.items() if by_source}
    names = {source for by_source in counts.values() for source in by_source}
    if not names:
        return section("affinity", TITLE, absent("No load of single sources has been logged."))
    if len(names) == 1:
        return section("affinity", TITLE, absent(f"All tokens are from one source, {names.pop()}: nothing to compare."))
    note = (
        f"The newest {NUM_NEWEST} logged steps together. Each row is a source, each column an expert. Colour is the expert's "
        "share of the source's choices against its share of the whole layer's: blue avoids the expert, orange prefers it; "
        "a column without colour got nothing."
    )
    has_tips = sum(len(load) for by_source in counts.values() for load in by_source.values()) <= MAX_TIPS
    figures = [figure(f"Layer {name}", "", _map(by_source, has_tips=has_tips)) for name, by_source in counts.items()]
    maps = beside_each_other(figures)
    return section("affinity", TITLE, caption(note), heat_legend("as the layer"), *maps, _favourites(counts))


def _choices(layer: LayerHistory) -> dict[str, np.ndarray]:
    """Choices of each expert by source over the newest records that tell them; what is not a load is left out."""
    found: dict[str, np.ndarray] = {}
    told = [sources for figures in layer.figures if (sources := mapping(figures.get("sources")))]
    for sources in told[-NUM_NEWEST:]:
        for name, source in sources.items():
            count, load = number(mapping(source).get("choices")), mapping(source).get("load")
            if count and count > 0 and is_load(load) and len(load) == layer.num_experts:
                found[name] = found.get(name, 0.0) + count * load.astype(np.float64)
    return {name: found[name] for name in sorted(found)}


def _ratios(by_source: dict[str, np.ndarray]) -> np.ndarray:
    """Each expert's share of a source over its share of all, `[sources, experts]`; NaN for experts without any choice."""
    counts = np.stack(list(by_source.values()))
    shares = counts / counts.sum(axis=1, keepdims=True)
    layer_shares = counts.sum(axis=0) / counts.sum()
    return shares / np.where(layer_shares > 0, layer_shares, np.nan)


def _map(by_source: dict[str, np.ndarray], *, has_tips: bool) -> Markup:
    ratios = _ratios(by_source)
    tips = [
        [
            f"{name} → expert {expert}: {percent(count, load.sum())} of its choices, {ratio:.2f}× the layer's share"
            for expert, (count, ratio) in enumerate(zip(load, row, strict=True))
        ]
        for (name, load), row in zip(by_source.items(), ratios, strict=True)
    ]
    return ratio_map(ratios, list(by_source), tips=tips if has_tips else None, x_label="expert")


def _favourites(counts: dict[str, dict[str, np.ndarray]]) -> Markup:
    """In words: what each source prefers and avoids in each layer."""
    rows = []
    for layer, by_source in counts.items():
        total = sum(load.sum() for load in by_source.values())
        for (name, load), ratios in zip(by_source.items(), _ratios(by_source), strict=True):
            order = [int(expert) for expert in np.argsort(-ratios) if np.isfinite(ratios[expert])]
            rows.append(
                [
                    layer,
                    name,
                    ", ".join(f"{expert} ({ratios[expert]:.2f}×)" for expert in order[:NUM_FAVOURITES]),
                    ", ".join(f"{expert} ({ratios[expert]:.2f}×)" for expert in order[::-1][:NUM_FAVOURITES]),
                    percent(load.sum(), total),
                ]
            )
    headers = ["layer", "source", "experts it prefers", "experts it avoids", "of the layer's choices"]
    return details("What each source prefers", table(headers, rows, num_text_columns=4))
