"""Experts of the inspection page: for each one its share, its most characteristic tokens and the sources they are from."""

import numpy as np

from mai1.report.inspect_figures import LayerFigures, TokenShare
from mai1.report.inspect_text import visible
from mai1.report.markup import Markup, absent, caption, element, join, table
from mai1.report.scales import grouped, percent
from mai1.report.style import LIGHT_PARTS


def expert_table(
    figures: LayerFigures, listed: list[int], *, token_names: list[str], source_names: list[str], min_count: int
) -> Markup:
    """A row for each expert of a layer that is `listed`, and the experts that nothing went to."""
    sources = source_names if len(source_names) > 1 else []
    rows = [_row(figures, expert, token_names, sources) for expert in listed]
    headers = ["expert", "choices", "tokens it is taken for above all"] + ["sources"] * bool(sources)
    note = caption(
        "Behind each token its lift, the expert's share of the token's choices over its share of all choices, and the "
        f"count. Only tokens it was taken for at least {min_count} times."
    )
    others = len(figures.load) - len(figures.unused) - len(listed)
    more = absent(f"{grouped(others)} further experts are taken for less characteristic tokens.") if others else ""
    unused = absent(f"Never taken: {', '.join(map(str, figures.unused))}.") if figures.unused else ""
    legend = _legend(sources) if sources else ""
    return join([note, legend, table(headers, rows, num_text_columns=len(headers)), more, unused])


def _row(figures: LayerFigures, expert: int, token_names: list[str], sources: list[str]) -> list[object]:
    pieces = [_piece(share, token_names) for share in figures.characteristic[expert]]
    cells = [
        element("span", str(expert), class_=f"chip x{expert}"),
        percent(float(figures.load[expert])),
        element("div", *pieces, class_="pieces") if pieces else "–",
    ]
    return [*cells, _bar(figures.by_source[expert], sources)] if sources else cells


def _piece(share: TokenShare, token_names: list[str]) -> Markup:
    figures = element("small", f" {share.lift:.1f}× {grouped(share.count)}")
    return element("span", element("code", visible(token_names[share.token])), figures)


def _bar(counts: np.ndarray, sources: list[str]) -> Markup:
    """One expert's choices by source, as lengths of one coloured line."""
    ends = np.cumsum(counts) / max(int(counts.sum()), 1)
    stops = (f"var(--{part_shade(index)}) 0 {end:.1%}" for index, end in enumerate(ends) if counts[index])
    named = (f"{name}: {percent(count, counts.sum())}" for name, count in zip(sources, counts, strict=True) if count)
    return element("div", class_="mix", style=f"--mix: {', '.join(stops)}", data_tip="\n".join(named))


def _legend(sources: list[str]) -> Markup:
    chips = (element("span", element("i", class_=part_shade(i)), name) for i, name in enumerate(sources))
    return element("div", *chips, class_="legend parts")


def part_shade(index: int) -> str:
    """The colour class of a source."""
    return f"p{index % len(LIGHT_PARTS)}"
