"""Curves of the report: losses against tokens, pace against steps, held-out text source by source."""

import math
from typing import Any

import numpy as np

from mai1.report.charts import Line, line_chart, sparkline
from mai1.report.markup import Markup, absent, caption, element, figure, section, table
from mai1.report.records import RunRecords, column, last_value, mapping, number
from mai1.report.scales import MAX_POINTS, compact, fixed, grouped


def losses(records: RunRecords, ancestors: list[RunRecords]) -> Markup:
    """Held-out and training loss of this stage, the table of baselines, then the stages before it."""
    earlier = []
    for each in ancestors:
        stage = each.run.get("stage") or "run"
        earlier += [element("h3", f"Previous stage: {each.name} ({stage})"), _loss_charts(each)]
    title = "Loss"
    note = caption("Nats per token. Dashed: what counting single tokens and pairs of tokens reaches.")
    return section("loss", title, note, _loss_charts(records), _baseline_table(records), *earlier)


def pace(records: RunRecords) -> Markup:
    """Learning rate, gradient norm and throughput as small multiples."""
    if not records.train:
        return section("pace", "Pace", absent("No training step has been logged."))
    figures = [
        _small(records.train, "lr", "Learning rate", "as applied"),
        _small(records.train, "grad_norm", "Gradient norm", "before clipping, logarithmic", logarithmic=True),
        _small(records.train, "tokens_per_s", "Throughput", "tokens per second, all ranks"),
        _small(records.train, "mfu", "MFU", "percent of the peak FLOP/s", scale=100.0),
        _small(records.train, "z_loss", "Router z-loss", "as logged"),
        _small(records.train, "balance_loss", "Balance loss", "as logged"),
    ]
    if last_value(records.train, "mtp_loss"):
        figures.append(_small(records.train, "mtp_loss", "Further tokens", "nats per target, mean over depths"))
    return section("pace", "Pace", element("div", *(each for each in figures if each), class_="three"))


def sources(records: RunRecords) -> Markup:
    """The newest held-out evaluation source by source, beside the first."""
    with_sources = [record for record in records.heldout if mapping(record.get("sources"))]
    if not with_sources:
        return section("sources", "Held-out text by source", absent("No evaluation by source has been logged."))
    newest, first = with_sources[-1], mapping(with_sources[0]["sources"])
    rows = [
        [
            name,
            sparkline(_source_curve(with_sources, name)),
            fixed(number(mapping(first.get(name)).get("loss")), 4),
            fixed(number(mapping(figures).get("loss")), 4),
            fixed(number(mapping(figures).get("bits_per_byte")), 4),
            grouped(number(mapping(figures).get("tokens"))),
        ]
        for name, figures in sorted(newest["sources"].items())
    ]
    rows.append(
        [
            element("b", "all"),
            sparkline(column(records.heldout, "loss")),
            fixed(number(with_sources[0].get("loss")), 4),
            fixed(number(newest.get("loss")), 4),
            fixed(number(newest.get("bits_per_byte")), 4),
            "",
        ]
    )
    headers = ["source", "", f"loss at step {with_sources[0]['step']}", "loss now", "bits / byte", "tokens"]
    note = caption(f"Evaluated at step {newest['step']} on text that training never saw.")
    return section("sources", "Held-out text by source", note, table(headers, rows))


def _loss_charts(records: RunRecords) -> Markup:
    heldout = _curve(records.heldout, "loss", "held-out", 0)
    levels = _baselines(records) if len(heldout.y) else {}
    has_parts = np.isfinite(column(records.train, "lm_loss")).any()
    training = _curve(records.train, "lm_loss" if has_parts else "loss", "training", 1)
    note = "of the language model alone" if has_parts else "all terms"
    if len(training.y) > MAX_POINTS:
        note += "; band: lowest to highest of a stretch"
    charts = [
        (line_chart([heldout], x_label="tokens", levels=levels), "Held-out loss", "text that training never saw"),
        (line_chart([training], x_label="tokens"), "Training loss", note),
    ]
    figures = [
        figure(title, words, chart) if chart else figure(title, "", absent("Nothing logged yet."))
        for chart, title, words in charts
    ]
    return element("div", *figures, class_="two")


def _baseline_table(records: RunRecords) -> Markup:
    """The baselines beside the model; the difference is to the model's newest loss."""
    newest = last_value(records.heldout, "loss")
    losses_by_name = _baselines(records)
    if newest is None or not losses_by_name:
        missing = "No held-out loss yet." if newest is None else "No baselines.json: the baselines are not known."
        return absent(missing)
    best = float(np.nanmin(column(records.heldout, "loss")))
    rows = [[name, *_loss_and_perplexity(loss), fixed(loss - newest, 4)] for name, loss in losses_by_name.items()]
    rows.append(["model, best", *_loss_and_perplexity(best), ""])
    rows.append(["model, now", *_loss_and_perplexity(newest), ""])
    return table(["held-out", "nats / token", "perplexity", "model is lower by"], rows)


def _loss_and_perplexity(loss: float) -> list[str]:
    return [fixed(loss, 4), compact(math.exp(min(loss, 60.0)), digits=4)]


def _baselines(records: RunRecords) -> dict[str, float]:
    values = {name: number(value) for name, value in records.baselines.items()}
    return {name: value for name, value in values.items() if value is not None}


def _curve(records: list[dict[str, Any]], key: str, name: str, colour: int) -> Line:
    return Line(name=name, x=column(records, "tokens"), y=column(records, key), colour=colour)


def _source_curve(records: list[dict[str, Any]], name: str) -> np.ndarray:
    return column([mapping(record["sources"].get(name)) for record in records], "loss")


def _small(
    train: list[dict[str, Any]], key: str, title: str, note: str, *, logarithmic: bool = False, scale: float = 1.0
) -> Markup | None:
    """One small chart; None if the figure was never measured, or is zero throughout."""
    values = scale * column(train, key)
    if not np.nan_to_num(values).any():
        return None
    line = Line(name=title.lower(), x=column(train, "step"), y=values)
    return figure(title, note, line_chart([line], x_label="step", logarithmic=logarithmic, width=340, height=180))
