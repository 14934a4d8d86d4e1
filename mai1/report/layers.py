"""MoE layers of the report: the figures of each over the run, as lines of a chart and as maps beside each other."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mai1.report.charts import NUM_COLOURS, Line
from mai1.report.markup import Markup, details, element
from mai1.report.records import column, mapping

MAX_OPEN_MAPS = 8


@dataclass(kw_only=True, slots=True)
class LayerHistory:
    """One MoE layer over time; `load` is [records, experts], each row summing to 1."""

    name: str
    steps: np.ndarray
    load: np.ndarray
    figures: list[dict[str, Any]]
    figure_steps: np.ndarray

    @property
    def num_experts(self) -> int:
        return self.load.shape[1]


def layer_histories(train: list[dict[str, Any]]) -> list[LayerHistory]:
    """The layers that appear in the records, by number; loads with gaps or of another length are left out."""
    with_layers = [record for record in train if mapping(record.get("layers"))]
    names = {name for record in with_layers for name in record["layers"]}
    histories = (_history(with_layers, name) for name in sorted(names, key=layer_order))
    return [history for history in histories if history is not None]


def _history(train: list[dict[str, Any]], name: str) -> LayerHistory | None:
    pairs = [(record["step"], mapping(record["layers"].get(name))) for record in train]
    pairs = [(step, figures) for step, figures in pairs if figures]
    loads = [(step, figures["load"]) for step, figures in pairs if is_load(figures.get("load"))]
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


def is_load(load: object) -> bool:
    """Whether this is one share of the choices for each expert; a NaN fails both comparisons."""
    return isinstance(load, np.ndarray) and len(load) > 0 and bool(((load >= 0) & (load <= 1.001)).all())


def layer_lines(layers: list[LayerHistory], key: str) -> list[Line]:
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


def beside_each_other(figures: list[Markup]) -> list[Markup]:
    """A figure for each layer in two columns, those of many layers folded away."""
    shown, more = figures[:MAX_OPEN_MAPS], figures[MAX_OPEN_MAPS:]
    parts = [element("div", *shown, class_="two")]
    if more:
        parts.append(details(f"{len(more)} more layers", element("div", *more, class_="two")))
    return parts


def layer_order(name: str) -> tuple[bool, int, str]:
    """Numbers in their order, then anything else."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)
