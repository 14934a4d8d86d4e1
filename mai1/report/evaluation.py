"""Evaluations of a run: scores with their errors, chance, clean and dirty items, and what the model answered."""

from pathlib import Path
from typing import Any

import numpy as np

from mai1.report.charts import Line, line_chart
from mai1.report.intervals import Interval, interval_chart
from mai1.report.markup import Markup, absent, caption, details, element, figure, join, passage, section, table, tile
from mai1.report.page import drawn, page, write_page
from mai1.report.records import mapping, number, read_object
from mai1.report.scales import compact, fixed, grouped

TITLE = "Evaluation"
MAX_SAMPLES, MAX_TASKS, MAX_TILES = 12, 60, 8
PARTS = ("clean", "dirty", "short")
HEADERS = ["task", "metric", "score", "± 95%", "chance", "z", *PARTS, "items"]


def write_evaluation_page(path: Path) -> Path:
    """Write STEP.html beside STEP.json and return its path."""
    notes: list[str] = []
    record = read_object(path, notes=notes)
    checkpoint = Path(str(record.get("checkpoint", "")))
    names = (
        [checkpoint.parents[1].name, checkpoint.name] if checkpoint.parent.name == "checkpoints" else [checkpoint.name]
    )
    title = f"{', '.join(name for name in names if name) or path.stem} · evaluation"
    parts = [element("p", note, class_="note") for note in notes]
    heading = element("header", element("h1", title), *parts, drawn("Main scores", lambda: _tiles(record)))
    document = page(title, heading, drawn(TITLE, lambda: one_evaluation(record)))
    return write_page(path.with_suffix(".html"), document)


def _tiles(record: dict[str, Any]) -> Markup:
    """The main score of the first tasks, with its margin and what guessing gives."""
    shown = []
    for name, task in list(mapping(record.get("tasks")).items())[:MAX_TILES]:
        metric = str(mapping(task).get("main_metric"))
        score = mapping(mapping(mapping(mapping(task).get("scores")).get("all")).get(metric))
        value, margin, chance = (number(score.get(key)) for key in ("value", "margin_95", "chance"))
        around = f"{metric} ± {fixed(margin)}" if margin is not None else metric
        shown.append(tile(name, fixed(value), around, *([f"chance {fixed(chance)}"] if chance is not None else [])))
    return element("dl", *shown, class_="tiles") if shown else Markup("")


def evaluations(run_directory: Path) -> Markup:
    """The section of a run's report: the newest scores, and the curve of every score that was measured more than once."""
    records = [read_object(path, notes=[]) for path in sorted((run_directory / "evaluation").glob("*.json"))]
    records = [record for record in records if mapping(record.get("tasks"))]
    if not records:
        return section("evaluation", TITLE, absent("No task has been evaluated."))
    note = caption(f"At step {records[-1].get('step')}; the files and pages are in the folder evaluation.")
    charts = [chart for chart in (_curve(records, name) for name in mapping(records[-1]["tasks"])) if chart]
    return section("evaluation", TITLE, note, _table(records[-1]), element("div", *charts, class_="three"))


def one_evaluation(record: dict[str, Any]) -> Markup:
    """Everything of one evaluation."""
    tasks = mapping(record.get("tasks"))
    if not tasks:
        return section("scores", "Scores", absent("No task has been evaluated."))
    samples = [_samples(name, mapping(task)) for name, task in list(tasks.items())[:MAX_TASKS]]
    facts = {key: value for key, value in record.items() if key not in ("tasks", "heldout", "answers")}
    return join(
        [
            section("scores", "Scores", caption(NOTE), _chart(record), _table(record)),
            section("samples", "Items and answers", *samples),
            section("setup", "Setup", _facts(facts), *(_setup(name, mapping(task)) for name, task in tasks.items())),
        ]
    )


NOTE = (
    "Line and ± are 1.96 standard errors: 95% of such intervals hold the true value. The upright mark is what guessing gives; z "
    "counts standard errors above it. Dirty items stand in the text that was looked at, clean ones do not, short ones are too "
    "short to tell."
)


def _table(record: dict[str, Any]) -> Markup:
    rows: list[list[str]] = []
    for name, task in list(mapping(record.get("tasks")).items())[:MAX_TASKS]:
        scores = mapping(mapping(task).get("scores"))
        for metric, value in mapping(scores.get("all")).items():
            score = mapping(value)
            parts = [_with_margin(mapping(mapping(scores.get(part)).get(metric))) for part in PARTS]
            rows.append(
                [
                    name,
                    metric,
                    fixed(number(score.get("value")), 4),
                    fixed(number(score.get("margin_95")), 4),
                    fixed(number(score.get("chance")), 4),
                    fixed(number(score.get("z")), 1),
                    *parts,
                    grouped(number(score.get("items"))),
                ]
            )
    told = [
        place for place, header in enumerate(HEADERS) if header not in PARTS or any(row[place] != "–" for row in rows)
    ]
    return table(
        [HEADERS[place] for place in told], [[row[place] for place in told] for row in rows], num_text_columns=2
    )


def _chart(record: dict[str, Any]) -> Markup:
    """The main score of every task that has one."""
    rows = []
    for name, task in list(mapping(record.get("tasks")).items())[:MAX_TASKS]:
        metric = str(mapping(task).get("main_metric"))
        score = mapping(mapping(mapping(mapping(task).get("scores")).get("all")).get(metric))
        value, margin = number(score.get("value")), number(score.get("margin_95")) or 0.0
        if value is not None:
            tip = f"{name} · {metric} {_with_margin(score)}"
            chance = number(score.get("chance"))
            rows.append(
                Interval(name=name, value=value, low=value - margin, high=value + margin, chance=chance, tip=tip)
            )
    return interval_chart(rows, x_label="main score of each task")


def _with_margin(score: dict[str, Any]) -> str:
    value, margin, items = (number(score.get(key)) for key in ("value", "margin_95", "items"))
    if value is None:
        return "–"
    around = "" if margin is None else f" ± {fixed(margin, 3)}"
    return f"{fixed(value, 3)}{around} ({grouped(items)})"


def _samples(name: str, task: dict[str, Any]) -> Markup:
    items = task.get("samples")
    shown = [_sample(mapping(item)) for item in items[:MAX_SAMPLES]] if isinstance(items, list) else []
    return details(name, *shown) if shown else absent(f"{name}: no items kept.")


def _sample(item: dict[str, Any]) -> Markup:
    figures = ", ".join(f"{metric} {compact(number(value))}" for metric, value in mapping(item.get("figures")).items())
    sides = [_side("right answer", item.get("answer")), _side(f"model · {figures}", item.get("reply"))]
    heading = element("div", passage(item.get("question", "")), class_="prompt")
    return element("div", heading, element("div", *sides, class_="sides"), class_="sample")


def _side(title: str, text: object) -> Markup:
    return element("div", element("h4", title), passage(text or "–"))


def _facts(facts: dict[str, Any]) -> Markup:
    return table(["", ""], [[key, value] for key, value in facts.items()], num_text_columns=2)


def _setup(name: str, task: dict[str, Any]) -> Markup:
    large = ("scores", "samples", "numbers", "figures", "parts")
    return details(name, _facts({key: value for key, value in task.items() if key not in large}))


def _curve(records: list[dict[str, Any]], name: str) -> Markup | None:
    """A task's main score against steps, with chance as a level; None where it was measured once."""
    points = []
    for record in records:
        task = mapping(mapping(record.get("tasks")).get(name))
        score = mapping(mapping(mapping(task.get("scores")).get("all")).get(str(task.get("main_metric"))))
        step, value = number(record.get("step")), number(score.get("value"))
        if step is not None and value is not None:
            points.append((step, value, number(score.get("chance")), str(task.get("main_metric"))))
    if len(points) < 2:
        return None
    steps, values, chances, metrics = zip(*points, strict=True)
    line = Line(name=name, x=np.array(steps), y=np.array(values))
    levels = {} if chances[-1] is None else {"chance": chances[-1]}
    return figure(name, metrics[-1], line_chart([line], x_label="step", levels=levels, width=340, height=200))
