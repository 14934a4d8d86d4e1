"""Entry of the report: `build_report(run_directory)` writes `report.html`, whatever state the run is in."""

import os
from collections.abc import Callable
from pathlib import Path

from mai1.report.affinity import affinity
from mai1.report.alarms import alarms
from mai1.report.curves import losses, pace, sources
from mai1.report.dataset import dataset
from mai1.report.experts import experts
from mai1.report.facts import parity, setup
from mai1.report.markup import Markup
from mai1.report.overview import failure, overview
from mai1.report.page import page
from mai1.report.records import read_ancestors, read_run
from mai1.report.samples import samples
from mai1.report.setbacks import setbacks


def build_report(run_directory: Path) -> Path:
    """Write `run_directory/report.html` and return its path.

    A reader sees the old page or the new one, never half of one. Absent or torn inputs are named on the page.
    """
    run_directory = Path(run_directory)
    records = read_run(run_directory)
    ancestors = read_ancestors(records)
    parts: dict[str, Callable[[], Markup]] = {
        "Overview": lambda: overview(records, ancestors),
        "Loss": lambda: losses(records, ancestors),
        "Pace": lambda: pace(records),
        "Alarms": lambda: alarms(records),
        "Setbacks": lambda: setbacks(records),
        "Expert load": lambda: experts(records),
        "Sources and experts": lambda: affinity(records),
        "Held-out text by source": lambda: sources(records),
        "Data": lambda: dataset(records, ancestors),
        "Samples": lambda: samples(records),
        "Agreement with transformers": lambda: parity(records),
        "Setup": lambda: setup(records),
    }
    document = page(f"{records.name} · mai1", *(_drawn(name, draw) for name, draw in parts.items()))
    return _replace(run_directory / "report.html", document)


def _drawn(name: str, draw: Callable[[], Markup]) -> Markup:
    """One part, or a visible note in its place: a chart must not end a training run."""
    try:
        return draw()
    except Exception as error:
        return failure(name, error)


def _replace(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
