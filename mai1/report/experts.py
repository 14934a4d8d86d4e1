"""Experts of the report: who got the tokens, layer by layer, over the whole run."""

import numpy as np

from mai1.report.charts import line_chart
from mai1.report.layers import MAX_OPEN_MAPS, LayerHistory, layer_histories, layer_lines
from mai1.report.markup import Markup, absent, caption, details, element, figure, section, table
from mai1.report.records import RunRecords, column
from mai1.report.scales import fixed, grouped, percent
from mai1.report.tiles import columns_within_budget, heat_legend, heat_map

CHARTS = (
    ("max_violation", "Largest violation", "busiest expert over the uniform share, minus 1"),
    ("entropy", "Entropy of the load", "nats; dashed: all experts alike"),
    ("router_drift", "Router drift", "change of the router's weight since the last checkpoint, relative to its size"),
    ("bias_drift", "Selection bias", "largest change since the last checkpoint, in units of the score"),
    ("dropped_share", "Dropped choices", "share that found no place under the capacity"),
    ("rank_imbalance", "Imbalance of ranks", "rows of the busiest expert-parallel rank over the mean, minus 1"),
)
"""Figure, title and note; those that were not recorded are left out."""

NUM_WORST = 4
LEFT_OUT_AT_ZERO = ("dropped_share", "bias_drift")


def experts(records: RunRecords) -> Markup:
    """A heat map and the balance figures of each MoE layer."""
    title = "Expert load"
    layers = layer_histories(records.train)
    if not layers:
        return section("experts", title, absent("No expert load has been logged: no MoE layer, or no step yet."))
    note = "Each row is an expert, each column a stretch of steps. Colour is its share of the tokens against the "
    note += "uniform share: blue starves, orange is crowded."
    maps = _heat_maps(layers)
    return section("experts", title, caption(note), heat_legend(), *maps, _charts(layers), _table(layers))


def _heat_maps(layers: list[LayerHistory]) -> list[Markup]:
    """A map of each layer; of many layers first what is busiest and idlest in each, and open those that are worst now."""
    columns = columns_within_budget(len(layers), max(layer.num_experts for layer in layers))
    maps = {
        layer.name: figure(
            f"Layer {layer.name}",
            f"{layer.num_experts} experts",
            heat_map(layer.load * layer.num_experts, layer.steps, columns=columns),
        )
        for layer in layers
    }
    if len(layers) <= MAX_OPEN_MAPS:
        return [element("div", *maps.values(), class_="two")]
    worst = sorted(layers, key=lambda layer: -float(layer.load[-1].max()) * layer.num_experts)[:NUM_WORST]
    worst_maps = element("div", *(maps[layer.name] for layer in worst), class_="two")
    heading = element("h3", f"The {NUM_WORST} layers with the busiest experts now")
    others = [drawn for name, drawn in maps.items() if name not in {layer.name for layer in worst}]
    folded = details(f"The other {len(others)} layers", element("div", *others, class_="two"))
    return [_all_layers(layers), heading, worst_maps, folded]


def _all_layers(layers: list[LayerHistory]) -> Markup:
    """A row for each layer: its busiest expert, and its idlest."""
    alike = [layer for layer in layers if np.array_equal(layer.steps, layers[-1].steps)]
    names = [layer.name for layer in alike]
    extremes = (("Busiest expert of each layer", np.max), ("Idlest expert of each layer", np.min))
    figures = []
    for title, extreme in extremes:
        ratios = np.stack([extreme(layer.load, axis=1) * layer.num_experts for layer in alike], axis=1)
        note = f"{len(names)} layers; each of them below"
        figures.append(figure(title, note, heat_map(ratios, layers[-1].steps, row="layer", names=names)))
    return element("div", *figures, class_="two")


def _charts(layers: list[LayerHistory]) -> Markup:
    num_experts = layers[-1].num_experts
    levels = {"entropy": {f"ln {num_experts} =": float(np.log(num_experts))}}
    drawn = []
    for key, title, note in CHARTS:
        lines = layer_lines(layers, key)
        values = np.concatenate([line.y for line in lines])
        is_told = np.nan_to_num(values).any() if key in LEFT_OUT_AT_ZERO else np.isfinite(values).any()
        if is_told:
            drawn.append(figure(title, note, line_chart(lines, x_label="step", levels=levels.get(key), height=200)))
    return element("div", *drawn, class_="two")


def _table(layers: list[LayerHistory]) -> Markup:
    headers = ["layer", "busiest expert", "idlest expert", "max violation", "entropy", "dead now", "dead, most"]
    rows = [[layer.name, *_newest_figures(layer)] for layer in layers]
    extra = {"drift": "router_drift", "dropped": "dropped_share", "rank imbalance": "rank_imbalance"}
    for header, key in extra.items():
        curves = [column(layer.figures, key) for layer in layers]
        if any(np.isfinite(curve).any() for curve in curves):
            headers.append(header)
            for row, curve in zip(rows, curves, strict=True):
                newest = float(curve[-1])
                row.append(percent(newest) if key == "dropped_share" and np.isfinite(newest) else fixed(newest, 4))
    return details("Newest figures of each layer", table(headers, rows))


def _newest_figures(layer: LayerHistory) -> list[str]:
    ratios = layer.load[-1] * layer.num_experts
    dead = column(layer.figures, "dead_experts")
    most = float(np.nanmax(dead)) if np.isfinite(dead).any() else None
    return [
        f"{fixed(float(ratios.max()), 2)}× (expert {int(ratios.argmax())})",
        f"{fixed(float(ratios.min()), 2)}× (expert {int(ratios.argmin())})",
        fixed(float(column(layer.figures, "max_violation")[-1]), 4),
        fixed(float(column(layer.figures, "entropy")[-1]), 4),
        grouped(float(dead[-1])),
        grouped(most),
    ]
