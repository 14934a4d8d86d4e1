"""Entry of the inspection page: `build_inspection(inspection, path)` shows which experts the tokens of a text go to."""

from pathlib import Path

from mai1.report.inspect_experts import expert_table
from mai1.report.inspect_figures import LayerFigures, layer_figures
from mai1.report.inspect_input import Inspection, Layer
from mai1.report.inspect_overview import header, overview
from mai1.report.inspect_style import inspection_style
from mai1.report.inspect_text import coloured_text, expert_chips, text_note, token_table
from mai1.report.markup import Markup, caption, element, section
from mai1.report.page import page, write_page


def build_inspection(inspection: Inspection, path: Path) -> None:
    """Write the page; a reader sees the old page or the new one, never half of one."""
    figures = layer_figures(inspection)
    style = inspection_style([each.number for each in figures], num_experts=max(len(each.load) for each in figures))
    document = page(
        f"{inspection.title} · experts",
        element("style", Markup(style)),
        header(inspection, figures),
        _layers(inspection, figures),
        overview(inspection, figures),
        token_table(inspection),
    )
    write_page(path, document)


def _layers(inspection: Inspection, figures: list[LayerFigures]) -> Markup:
    """One layer at a time, its text and its experts; radio buttons choose it, without a script."""
    numbers = [layer.number for layer in inspection.layers]
    buttons = [
        Markup(f'<input type="radio" name="layer" id="layer-{number}"{" checked" * (number == numbers[0])}>')
        for number in numbers
    ]
    picker = element(
        "div",
        element("span", "layer"),
        *(element("label", str(n), for_=f"layer-{n}") for n in numbers),
        class_="picker",
    )
    panels = (_panel(inspection, *pair) for pair in zip(inspection.layers, figures, strict=True))
    note = "Each token has the colour of the expert with the largest weight. Point at a token to see all its experts, at an "
    note += "expert to see its tokens alone." + text_note(inspection)
    chips = expert_chips(max(layer.num_experts for layer in inspection.layers))
    return section("layers", "Where each token goes", caption(note), *buttons, picker, chips, *panels)


def _panel(inspection: Inspection, layer: Layer, figures: LayerFigures) -> Markup:
    experts = expert_table(
        figures,
        figures.listed(len(inspection.layers)),
        token_names=inspection.token_names,
        source_names=inspection.source_names,
        min_count=inspection.min_count,
    )
    return element(
        "div",
        coloured_text(inspection, layer),
        element("h3", f"What each expert of layer {layer.number} specialises in"),
        experts,
        class_=f"panel panel-{layer.number}",
    )
