"""Entry of the report: `build_report(run_directory)` writes `report.html`, whatever state the run is in."""

from collections.abc import Callable
from pathlib import Path

from mai1.report.affinity import affinity
from mai1.report.alarms import alarms
from mai1.report.conversations import conversations
from mai1.report.curves import losses, pace, sources
from mai1.report.dataset import dataset
from mai1.report.evaluation import evaluations
from mai1.report.experts import experts
from mai1.report.facts import parity, setup
from mai1.report.ledger import ledger
from mai1.report.markup import Markup
from mai1.report.mixture import mixture
from mai1.report.overview import overview
from mai1.report.page import drawn, page, write_page
from mai1.report.persona import persona
from mai1.report.preferences import preferences
from mai1.report.records import RunRecords, read_ancestors, read_run
from mai1.report.samples import samples
from mai1.report.setbacks import setbacks


def build_report(run_directory: Path) -> Path:
    """Write `run_directory/report.html` and return its path."""
    return write_report(read_run(Path(run_directory)))


def write_report(records: RunRecords) -> Path:
    """Write `report.html` of a run that was read, and return its path.

    A reader sees the old page or the new one, never half of one. Absent or torn inputs are named on the page.
    """
    ancestors = read_ancestors(records)
    parts: dict[str, Callable[[], Markup]] = {
        "Overview": lambda: overview(records, ancestors),
        "Loss": lambda: losses(records, ancestors),
        "Pace": lambda: pace(records),
        "Where the FLOPs went": lambda: ledger(records),
        "Tuning: routing and preferences": lambda: preferences(records),
        "Alarms": lambda: alarms(records),
        "Setbacks": lambda: setbacks(records),
        "Expert load": lambda: experts(records),
        "Sources and experts": lambda: affinity(records),
        "Training text by source": lambda: mixture(records),
        "Held-out text by source": lambda: sources(records),
        "Data": lambda: dataset(records, ancestors),
        "Conversations": lambda: conversations(records),
        "Evaluation": lambda: evaluations(records.directory),
        "Samples": lambda: samples(records),
        "Claims of a persona": lambda: persona(records),
        "Agreement with transformers": lambda: parity(records),
        "Setup": lambda: setup(records),
    }
    document = page(f"{records.name} · mai1", *(drawn(name, draw) for name, draw in parts.items()))
    return write_page(records.directory / "report.html", document)
