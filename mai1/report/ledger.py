"""The report's ledger: what the FLOPs of the run went into, and what held-out text gained by them."""

from typing import Any

import numpy as np

from mai1.report.charts import Line, line_chart
from mai1.report.markup import Markup, absent, caption, element, figure, section, table
from mai1.report.records import RunRecords, column, mapping, number
from mai1.report.scales import compact, fixed, percent
from mai1.report.tiles import Segment, stacked_bars

TITLE = "Where the FLOPs went"
NOTES = {
    "useful": "targets that were learned from and are none of the below",
    "scoring": "reference losses, computed once for all runs on this data",
    "padding": "positions that fill up rows",
    "repeated": "text beyond ledger.max_epochs of its source",
    "masked": "targets that the data says not to learn from",
    "learned": "targets with a loss below ledger.learned_below already",
    "noise": "targets that the reference finds hard too, above ledger.noise_above, and the model no harder",
    "unselected": "other targets that the selection left out; they were context",
    "dropped": "choices of experts that found no place",
    "refused": "steps that the guard did not apply",
    "undone": "steps before a return to a checkpoint",
}
SHADES = ("p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7")
EXA = 1e18


def ledger(records: RunRecords) -> Markup:
    """All parts of the newest record as a bar and a table; the useful share of the logged steps as a curve."""
    parts = newest_parts(records.train)
    if not parts:
        return section("ledger", TITLE, absent("No ledger has been logged."))
    total, names = sum(parts.values()), [part for part in NOTES if parts.get(part)]
    shades = {part: SHADES[min(place, len(SHADES) - 1)] for place, part in enumerate(names)}
    bar = [Segment(name=part, size=parts[part], shade=shades[part]) for part in names]
    chips = (element("span", element("i", class_=shades[part]), part) for part in names)
    rows = [[part, NOTES[part], compact(parts[part]), percent(parts[part], total)] for part in names]
    rows.append([element("b", "all"), "", compact(total), percent(total, total)])
    note = "Forward and backward of every position, each in the first part that fits; the parts add up to all exactly."
    useful = Line(name="useful", x=column(records.train, "step"), y=column(records.train, "flops_useful_fraction"))
    chart = line_chart([useful], x_label="step", width=460, height=170)
    return section(
        "ledger",
        TITLE,
        caption(note),
        element("div", *chips, class_="legend parts"),
        stacked_bars({"FLOPs": bar}, unit="FLOPs"),
        table(["part", "", "FLOPs", "share"], rows, num_text_columns=2),
        element("p", gain_in_words(records.heldout)) if gain(records.heldout) is not None else "",
        element("div", figure("Useful share", "of the FLOPs of each logged step", chart), class_="two"),
    )


def newest_parts(train: list[dict[str, Any]]) -> dict[str, float]:
    """FLOPs by part of the newest record that has them."""
    for record in reversed(train):
        values = {part: number(flops) for part, flops in mapping(record.get("ledger")).items()}
        if values:
            return {part: flops for part, flops in values.items() if flops}
    return {}


def gain(heldout: list[dict[str, Any]]) -> float | None:
    """Bits per byte that held-out text has gained per EFLOP, scoring included; None where that was not measured."""
    bits, flops = column(heldout, "bits_per_byte"), column(heldout, "flops")
    known = np.isfinite(bits) & np.isfinite(flops)
    if known.sum() < 2 or not flops[known][-1] > 0:
        return None
    return float((bits[known][0] - bits[known][-1]) / (flops[known][-1] / EXA))


def gain_in_words(heldout: list[dict[str, Any]]) -> str:
    """The gain, from where to where and for how much."""
    known = [record for record in heldout if number(record.get("flops")) is not None]
    first, last = known[0], known[-1]
    return (
        f"Held-out text went from {fixed(number(first.get('bits_per_byte')))} to {fixed(number(last.get('bits_per_byte')))} "
        f"bits per byte for {compact(number(last.get('flops')))} FLOPs: {compact(gain(heldout))} bits per byte per EFLOP."
    )


def summary_lines(train: list[dict[str, Any]], heldout: list[dict[str, Any]]) -> dict[str, str]:
    """The ledger in one named line or two, largest parts first; nothing where there is none."""
    parts = newest_parts(train)
    if not parts:
        return {}
    total, wasted = (
        sum(parts.values()),
        sorted((part for part in parts if part != "useful"), key=lambda part: -parts[part]),
    )
    shares = [f"{percent(parts.get('useful', 0.0), total)} useful"]
    shares += [f"{part} {percent(parts[part], total)}" for part in wasted]
    lines = {"FLOPs": f"{compact(total)}: {', '.join(shares)}"}
    if (gained := gain(heldout)) is not None:
        lines["gain"] = f"{compact(gained)} bits per byte per EFLOP on held-out text"
    return lines
