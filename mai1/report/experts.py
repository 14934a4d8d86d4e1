"""Experts of the report: who got the tokens, layer by layer, over the whole run."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mai1.report.charts import NUM_COLOURS, Line, line_chart
from mai1.report.markup import Markup, absent, caption, details, element, figure, section, table
from mai1.report.records import RunRecords, column, mapping
from mai1.report.scales import fixed, grouped
from mai1.report.tiles import columns_within_budget, heat_legend, heat_map

MAX_OPEN_MAPS = 8


@dataclass(kw_only=True, slots=True)
class LayerHistory:
    """One MoE layer over time; `load` is [records, experts], each row summing to 1."""

    name: str
    steps: np.ndarray
    load: np.ndarray
    figures: list[dict[str, Any]]
    figure_steps: np.ndarray


def experts(records: RunRecords) -> Markup:
    """A heat map and the balance figures of each MoE layer."""
    title = "Expert load"
    layers = _histories(records.train)
    if not layers:
        return section("experts", title, absent("No expert load has been logged: no MoE layer, or no step yet."))
    note = "Each row is an expert, each column a stretch of steps. Colour is its share of the tokens against the "
    note += "uniform share: blue starves, orange is crowded."
    maps = _heat_maps(layers)
    return section("experts", title, caption(note), heat_legend(), *maps, _balance_charts(layers), _table(layers))


def _histories(train: list[dict[str, Any]]) -> list[LayerHistory]:
    """The layers that appear in the records, by number; loads with gaps or of another length are left out."""
    with_layers = [record for record in train if mapping(record.get("layers"))]
    names = {name for record in with_layers for name in record["layers"]}
    histories = (_history(with_layers, name) for name in sorted(names, key=_layer_order))
    return [history for history in histories if history is not None]


def _history(train: list[dict[str, Any]], name: str) -> LayerHistory | None:
    pairs = [(record["step"], mapping(record["layers"].get(name))) for record in train]
    pairs = [(step, figures) for step, figures in pairs if figures]
    loads = [(step, figures["load"]) for step, figures in pairs if _is_load(figures.get("load"))]
    if not loads:
        return None
    loads = [(step, load) for step, load in loads if len(load) == len(loads[-1][1])]
    return LayerHistory(
        name=name,
        steps=np.array([step for step, _ in loads], dtype=np.float64),
        load=np.stack([load for _, load in loads]),
        figures=[figures for _, figures in pairs],
        figure_steps=np.array([step for step, _ in pairs], dtype=np.float64),
    )


def _is_load(load: object) -> bool:
    """Whether this is one share of the tokens for each expert; a NaN fails both comparisons."""
    return isinstance(load, np.ndarray) and len(load) > 0 and bool(((load >= 0) & (load <= 1.001)).all())


def _heat_maps(layers: list[LayerHistory]) -> list[Markup]:
    num_experts = max(layer.load.shape[1] for layer in layers)
    columns = columns_within_budget(len(layers), num_experts)
    figures = [
        figure(f"Layer {layer.name}", f"{layer.load.shape[1]} experts", _map(layer, columns)) for layer in layers
    ]
    shown, more = figures[:MAX_OPEN_MAPS], figures[MAX_OPEN_MAPS:]
    parts = [element("div", *shown, class_="two")]
    if more:
        parts.append(details(f"{len(more)} more layers", element("div", *more, class_="two")))
    return parts


def _map(layer: LayerHistory, columns: int) -> Markup:
    return heat_map(layer.load * layer.load.shape[1], layer.steps, columns=columns)


def _balance_charts(layers: list[LayerHistory]) -> Markup:
    num_experts = layers[-1].load.shape[1]
    uniform = {f"ln {num_experts} =": float(np.log(num_experts))}
    charts = [
        (_lines(layers, "max_violation"), {}, "Largest violation", "busiest expert over the uniform share, minus 1"),
        (_lines(layers, "entropy"), uniform, "Entropy of the load", "nats; dashed: all experts alike"),
    ]
    drawn = [
        figure(title, note, line_chart(lines, x_label="step", levels=levels, height=200))
        for lines, levels, title, note in charts
        if any(np.isfinite(line.y).any() for line in lines)
    ]
    return element("div", *drawn, class_="two")


def _lines(layers: list[LayerHistory], key: str) -> list[Line]:
    """One line a layer while colours last; beyond that the mean of all layers and the two extremes."""
    curves = [column(layer.figures, key) for layer in layers]
    if len(layers) <= NUM_COLOURS:
        return [
            Line(name=f"layer {layer.name}", x=layer.figure_steps, y=curve, colour=index)
            for index, (layer, curve) in enumerate(zip(layers, curves, strict=True))
        ]
    stacked = np.stack([curve for curve in curves if len(curve) == len(curves[-1])])
    steps = layers[-1].figure_steps
    return [
        Line(name="highest layer", x=steps, y=stacked.max(axis=0), colour=1),
        Line(name="mean", x=steps, y=stacked.mean(axis=0), colour=0),
        Line(name="lowest layer", x=steps, y=stacked.min(axis=0), colour=5),
    ]


def _table(layers: list[LayerHistory]) -> Markup:
    rows = [[layer.name, *_newest_figures(layer)] for layer in layers]
    headers = ["layer", "busiest expert", "idlest expert", "max violation", "entropy", "dead now", "dead, most"]
    return details("Newest figures of each layer", table(headers, rows))


def _newest_figures(layer: LayerHistory) -> list[str]:
    ratios = layer.load[-1] * layer.load.shape[1]
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


def _layer_order(name: str) -> tuple[bool, int, str]:
    """Numbers in their order, then anything else."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)
