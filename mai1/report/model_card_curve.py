"""The model card's picture: held-out and training loss of the newest run, as an SVG that needs no page around it."""

from mai1.report.charts import Line, line_chart
from mai1.report.records import RunRecords, column
from mai1.report.style import LIGHT_LINES

WIDTH, HEIGHT = 720, 320
INK, HAIR, PAPER = "#64686f", "#e6e5e1", "#ffffff"


def loss_image(runs: list[RunRecords]) -> str:
    """Both losses in nats per token; empty where none was logged."""
    if not runs:
        return ""
    newest = runs[0]
    key = "lm_loss" if any("lm_loss" in record for record in newest.train) else "loss"
    lines = [
        Line(name="held-out", x=column(newest.heldout, "tokens"), y=column(newest.heldout, "loss"), colour=0),
        Line(name="training", x=column(newest.train, "tokens"), y=column(newest.train, key), colour=1),
    ]
    drawing = line_chart(lines, x_label="tokens; loss in nats per token", width=WIDTH, height=HEIGHT)
    _, svg, rest = drawing.partition("<svg")
    if not svg:
        return ""
    key_of_colours = "".join(
        f'<text x="{WIDTH - 14}" y="{22 + 15 * place}" text-anchor="end" style="fill: {LIGHT_LINES[line.colour]}">'
        f"{line.name}</text>"
        for place, line in enumerate(lines)
    )
    opening, end, body = rest.partition(">")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"{opening}{end}'
        f'<style>{_style()}</style><rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>'
        f"{body.removesuffix('</svg>')}{key_of_colours}</svg>\n"
    )


def _style() -> str:
    rules = [
        f"text {{ font: 11px system-ui, sans-serif; fill: {INK}; }}",
        f".grid {{ stroke: {HAIR}; }} .axis {{ stroke: {INK}; }} .cross {{ visibility: hidden; }}",
        ".line { fill: none; stroke-width: 1.6; } .band { stroke: none; opacity: .2; }",
    ]
    for index, colour in enumerate(LIGHT_LINES):
        rules.append(f".line.c{index} {{ stroke: {colour}; }} .band.c{index}, .dot.c{index} {{ fill: {colour}; }}")
    return " ".join(rules)
