"""Entry of the corpus page: `build_corpus_report(directory)` writes `report.html` of what `mai1 prepare` wrote."""

from collections.abc import Callable
from pathlib import Path

from mai1.report.corpus_figures import changes, copies, languages, unreadable
from mai1.report.corpus_funnel import funnel
from mai1.report.corpus_instruct import instruct
from mai1.report.corpus_making import making
from mai1.report.corpus_overview import overview
from mai1.report.corpus_records import read_corpus
from mai1.report.corpus_samples import samples
from mai1.report.corpus_scores import scores
from mai1.report.corpus_sources import contamination, sources
from mai1.report.markup import Markup
from mai1.report.page import drawn, page, write_page


def build_corpus_report(directory: Path) -> Path:
    """Write `directory/report.html` and return its path.

    The page depends on the corpus alone: not on the time, the machine, or where the directory lies. Absent or torn inputs
    are named on it.
    """
    records = read_corpus(directory)
    parts: dict[str, Callable[[], Markup]] = {
        "Overview": lambda: overview(records),
        "Funnel": lambda: funnel(records),
        "Dropped and kept": lambda: samples(records),
        "Sources": lambda: sources(records),
        "Languages and lengths": lambda: languages(records),
        "Scores": lambda: scores(records),
        "Near-duplicates": lambda: copies(records),
        "Contamination": lambda: contamination(records),
        "Changes inside documents": lambda: changes(records),
        "Unreadable input": lambda: unreadable(records),
        "Instruction data": lambda: instruct(records),
        "How it was made": lambda: making(records),
    }
    document = page(f"{records.title} · mai1", *(drawn(name, draw) for name, draw in parts.items()))
    return write_page(directory / "report.html", document)
