"""Top and overview of the inspection page: how much each layer specialises, and expert by source for all layers."""

import numpy as np

from mai1.report.charts import Line, line_chart
from mai1.report.inspect_figures import LayerFigures, lifts
from mai1.report.inspect_input import Inspection
from mai1.report.markup import Markup, absent, caption, element, figure, section, table, tile
from mai1.report.scales import fixed, grouped, percent
from mai1.report.tiles import heat_legend, ratio_map

MIN_CHARTED_LAYERS = 6
MAX_TIPS = 20_000
"""Cells of all maps up to which each says its figures under the pointer."""
EXPLANATION = (
    "Bits that the expert of a choice tells about the source of its token, and about the token itself: mutual information "
    "over all choices, less what is left of it when the tokens are shuffled, which is what chance gives. In brackets the "
    "share of the most there could be, the smaller of both entropies."
)


def header(inspection: Inspection, layers: list[LayerFigures]) -> Markup:
    """Name, main figures, and what was cut."""
    num_experts, num_unused = sum(len(layer.load) for layer in layers), sum(len(layer.unused) for layer in layers)
    by_source = max(layers, key=lambda layer: layer.about_source.bits)
    by_token = max(layers, key=lambda layer: layer.about_token.bits)
    tiles = [
        tile("Tokens surveyed", grouped(int(inspection.is_surveyed.sum())), inspection.survey),
        tile("MoE layers", str(len(layers)), f"{len(layers[0].load)} experts each"),
        tile("Never taken", grouped(num_unused), f"of {grouped(num_experts)} experts"),
        tile("Tells of the token", f"{by_token.about_token.bits:.2f} bits", f"at most, in layer {by_token.number}"),
    ]
    if len(inspection.source_names) > 1:
        most = f"at most, in layer {by_source.number}"
        tiles.append(tile("Tells of the source", f"{by_source.about_source.bits:.2f} bits", most))
    notes = (element("p", note, class_="note") for note in inspection.notes)
    title = element("h1", f"Experts of {inspection.title}")
    subtitle = element("p", inspection.subtitle, class_="subtitle")
    return element("header", title, subtitle, element("dl", *tiles, class_="tiles"), *notes)


def overview(inspection: Inspection, layers: list[LayerFigures]) -> Markup:
    """Specialisation of every layer, and the maps of experts and sources."""
    parts = [caption(f"Surveyed: {inspection.survey}. {EXPLANATION}"), _specialisation(inspection, layers)]
    if len(layers) >= MIN_CHARTED_LAYERS:
        parts.append(_charts(inspection, layers))
    return section("overview", "Specialisation, layer by layer", *parts, *_maps(inspection, layers))


def _specialisation(inspection: Inspection, layers: list[LayerFigures]) -> Markup:
    has_sources = len(inspection.source_names) > 1
    rows = [
        [
            str(layer.number),
            f"{layer.about_token.bits:.3f} ({percent(layer.about_token.share)})",
            f"{layer.about_source.bits:.3f} ({percent(layer.about_source.share)})" if has_sources else "–",
            f"{fixed(float(layer.load.max()) * len(layer.load), 2)}× (expert {int(layer.load.argmax())})",
            ", ".join(map(str, layer.unused)) or "none",
        ]
        for layer in layers
    ]
    return table(["layer", "bits about the token", "bits about the source", "busiest expert", "never taken"], rows)


def _charts(inspection: Inspection, layers: list[LayerFigures]) -> Markup:
    x = np.array([layer.number for layer in layers], dtype=np.float64)
    token, source = (np.array([getattr(each, key).bits for each in layers]) for key in ("about_token", "about_source"))
    figures = [
        figure("About the token", "bits by layer", line_chart([Line(name="token", x=x, y=token)], x_label="layer"))
    ]
    if len(inspection.source_names) > 1:
        line = Line(name="source", x=x, y=source, colour=1)
        figures.append(figure("About the source", "bits by layer", line_chart([line], x_label="layer")))
    return element("div", *figures, class_="two")


def _maps(inspection: Inspection, layers: list[LayerFigures]) -> list[Markup]:
    title = element("h3", "Which source goes to which expert")
    if len(inspection.source_names) < 2:
        return [title, absent("All surveyed tokens are from one source: nothing to compare.")]
    note = caption(
        "Each column is an expert, each row a source. Colour is the lift: the expert's share of the source's choices over "
        "its share of all choices. Grey in the middle is no preference; a column without colour was never taken."
    )
    names = inspection.source_names
    has_tips = sum(layer.by_source.size for layer in layers) <= MAX_TIPS
    maps = [figure(f"Layer {layer.number}", "", _source_map(layer, names, has_tips=has_tips)) for layer in layers]
    return [title, note, heat_legend(), element("div", *maps, class_="two")]


def _source_map(layer: LayerFigures, source_names: list[str], *, has_tips: bool) -> Markup:
    totals = layer.by_source.sum(axis=1)
    ratios = np.where(totals[:, None] > 0, lifts(layer.by_source), np.nan).T
    tips = [
        [
            f"expert {expert}, {name}: lift {ratios[row, expert]:.2f}, "
            f"{percent(float(layer.by_source[expert, row]), float(totals[expert]))} of what it takes"
            for expert in range(len(totals))
        ]
        for row, name in enumerate(source_names)
    ]
    return ratio_map(ratios, source_names, tips=tips if has_tips else None, x_label="expert")
