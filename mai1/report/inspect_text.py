"""Words of the inspection page: text in which every token has the colour of its expert, and the same as a table."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mai1.report.inspect_input import Inspection, Layer, Passage
from mai1.report.markup import Markup, caption, details, element, section, table
from mai1.report.scales import grouped

MAX_SHOWN = 1500
MAX_SPANS, MAX_CHOICES = 40_000, 160_000
"""Coloured tokens of all layers together, and what they chose: the text stands on the page once for each layer."""

MAX_ROWS = 300
MAX_CELLS = 12_000


def coloured_text(inspection: Inspection, layer: Layer) -> Markup:
    """The shown passages, as this layer sees them."""
    parts = []
    for passage in shown_passages(inspection):
        spans = (_span(inspection, layer, place) for place in range(passage.first, passage.end))
        heading = element("h4", passage.title)
        parts.append(element("div", heading, element("p", *spans), class_="passage"))
    return element("div", *parts, class_="two passages" if len(parts) > 1 else "passages")


def _span(inspection: Inspection, layer: Layer, place: int) -> Markup:
    name = inspection.token_names[inspection.tokens[place]]
    tip = f"{visible(name)} → expert {', '.join(choices_at(layer, place))}"
    shown = name.replace("\n", "↵\n").replace("\t", "⇥\t")
    return element("span", shown, class_=f"x{best_expert(layer, place)}", data_tip=tip)


def best_expert(layer: Layer, place: int) -> int:
    """The expert with the largest weight for one token."""
    return int(layer.experts[place, layer.weights[place].argmax()])


def choices_at(layer: Layer, place: int) -> Iterator[str]:
    """`expert weight` of each expert of one token, the largest weight first."""
    order = np.argsort(-layer.weights[place], kind="stable")
    return (f"{layer.experts[place, k]} ({layer.weights[place, k]:.2f})" for k in order)


def shown_passages(inspection: Inspection) -> list[Passage]:
    """The passages, each cut to an equal part of what the page has room for."""
    num_spans = min(MAX_SPANS, MAX_CHOICES // inspection.layers[0].experts.shape[1])
    room = min(MAX_SHOWN, num_spans // len(inspection.layers)) // len(inspection.passages)
    return [replace(each, end=min(each.end, each.first + max(room, 1))) for each in inspection.passages]


def text_note(inspection: Inspection) -> str:
    """How much of the text is shown, when it is not all of it."""
    shown = sum(passage.end - passage.first for passage in shown_passages(inspection))
    whole = sum(passage.end - passage.first for passage in inspection.passages)
    return f" The first {grouped(shown)} of {grouped(whole)} tokens are shown." if shown < whole else ""


def expert_chips(num_experts: int) -> Markup:
    """The colours of the experts; pointing at one leaves only its tokens."""
    chips = (element("span", str(expert), class_=f"chip x{expert}") for expert in range(num_experts))
    return element("div", element("span", "experts"), *chips, class_="chips")


def token_table(inspection: Inspection) -> Markup:
    """The first tokens with their experts and weights in all layers."""
    room = min(MAX_ROWS, MAX_CELLS // len(inspection.layers))
    places = [place for each in shown_passages(inspection) for place in range(each.first, each.end)][:room]
    rows = [
        [
            grouped(place),
            element("code", visible(inspection.token_names[inspection.tokens[place]])),
            *(", ".join(choices_at(layer, place)) for layer in inspection.layers),
        ]
        for place in places
    ]
    headers = ["#", "token", *(f"layer {layer.number}" for layer in inspection.layers)]
    note = caption(
        "Expert and, in brackets, the factor of its output. # counts the tokens that went through the model."
    )
    listing = details(f"The first {len(rows)} tokens", table(headers, rows, num_text_columns=len(headers)))
    return section("tokens", "Token by token", note, listing)


def visible(name: str) -> str:
    """A token's text with its blanks to be seen."""
    return name.replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")
