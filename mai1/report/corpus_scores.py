"""Scores of the corpus page: what a person needs to choose a limit, and documents to read at every height."""

from typing import Any

from mai1.report.corpus_charts import histogram
from mai1.report.corpus_records import CorpusRecords, counts, entries
from mai1.report.corpus_samples import beginning, grouped_by
from mai1.report.markup import Markup, absent, caption, details, element, figure, section, table
from mai1.report.records import mapping, number
from mai1.report.scales import compact, grouped, percent

MAX_SCORERS = 20
MAX_LIMITS = 60
MAX_EDGES = 500
TITLE = "Scores"
LAYERS = {"kept": "p0", "dropped": "p2", "dropped_otherwise": "p7"}
"""What became of documents, and its colour."""

KINDS = {
    "prior": "How usual the words are for the language; low is unusual",
    "linear": "Like the good examples (high) or the bad ones (low)",
    "importance": "Like the target (high) or like the rest of the corpus (low)",
}


def scores(records: CorpusRecords) -> Markup:
    """A part for each scorer."""
    scorers = {name: mapping(entry) for name, entry in mapping(records.curation.get("scores")).items()}
    if not scorers:
        text = "No scorers were configured: see scores.scorers in mai1 prepare --help."
        return section("scores", TITLE, absent(text))
    note = (
        "To choose a limit, read the documents around it: scores.scorers.NAME.keep takes values (min_value) and shares "
        "(min_quantile). Scores of documents that were kept stand in NAME.docs.parquet beside the shards."
    )
    return section(
        "scores", TITLE, caption(note), *(_scorer(records, *each) for each in list(scorers.items())[:MAX_SCORERS])
    )


def _scorer(records: CorpusRecords, name: str, figures: dict[str, Any]) -> Markup:
    kind = str(mapping(mapping(records.setting("scores.scorers")).get(name)).get("kind"))
    judged = counts(figures)
    note = f"{KINDS[kind]}. " if kind in KINDS else ""
    note += f"{grouped(judged.get('judged'))} documents have a score"
    if judged.get("not_judged"):
        note += f", {grouped(judged['not_judged'])} have none and pass"
    limits = entries(figures.get("limits"))
    parts = [_distribution(name, figures, limits), figure("Limits", "what each would leave out.", _quantiles(figures))]
    return element(
        "div",
        element("h3", name),
        caption(note + "."),
        element("div", *parts, class_="sides"),
        details(f"Limits that were applied ({len(limits)})", _limit_table(limits)) if limits else "",
        details("Documents at every height", *_samples(figures)) if entries(figures.get("samples")) else "",
    )


def _distribution(name: str, figures: dict[str, Any], limits: list[dict[str, Any]]) -> Markup:
    edges = [number(edge) for edge in _list(figures.get("edges"))]
    layers = {key: [max(number(size) or 0.0, 0.0) for size in _list(figures.get(key))] for key in LAYERS}
    is_sound = len(edges) >= 2 and None not in edges and all(len(sizes) == len(edges) - 1 for sizes in layers.values())
    if not is_sound or sorted(set(edges)) != edges:
        return absent("No distribution of this score.")
    marks = {}
    if len(limits) == 1:
        named = {"lowest": number(limits[0].get("lowest")), "highest": number(limits[0].get("highest"))}
        marks = {key: value for key, value in named.items() if value is not None}
    note = "documents: blue kept, orange dropped by this score, grey for other reasons; the ends hold what lies beyond."
    return figure("Distribution", note, histogram(edges, layers, shades=LAYERS, marks=marks, x_label=f"score {name}"))


def _list(value: object) -> list[Any]:
    return value[:MAX_EDGES] if isinstance(value, list) else []


def _quantiles(figures: dict[str, Any]) -> Markup:
    judged, size = counts(figures).get("judged"), counts(figures).get("bytes")
    rows = []
    for entry in entries(figures.get("quantiles")):
        quantile, score, below = (number(entry.get(key)) for key in ("quantile", "score", "bytes_below"))
        documents = None if quantile is None or judged is None else quantile * judged
        rows.append([percent(quantile), compact(score, digits=4), grouped(documents), percent(below, size)])
    return table(["quantile", "score", "documents below", "text below"], rows)


def _limit_table(limits: list[dict[str, Any]]) -> Markup:
    ordered = sorted(limits, key=lambda limit: -(number(limit.get("judged")) or 0.0))
    rows = [
        [
            str(limit.get("language") or "all"),
            *(compact(number(limit.get(key)), digits=4) for key in ("lowest", "highest")),
            *(grouped(number(limit.get(key))) for key in ("judged", "low", "high")),
        ]
        for limit in ordered[:MAX_LIMITS]
    ]
    headers = ["language", "lowest kept", "highest kept", "documents", "too low", "too high"]
    more = caption(f"{len(ordered) - MAX_LIMITS} more are in curation.json.") if len(ordered) > MAX_LIMITS else ""
    return element("div", table(headers, rows), more)


def _samples(figures: dict[str, Any]) -> list[Markup]:
    """Quantile by quantile, what was kept or why it was dropped above each text."""
    parts = []
    for group in grouped_by(entries(figures.get("samples")), "quantile").values():
        quantile = number(group[0].get("quantile"))
        texts = [beginning(sample, label=_label(sample)) for sample in group]
        parts += [
            element("h3", f"{percent(quantile)} of the documents are lower"),
            element("div", *texts, class_="sides"),
        ]
    return parts


def _label(sample: dict[str, Any]) -> str:
    fate = str(sample.get("fate") or "")
    return f"score {compact(number(sample.get('score')), digits=4)} · {fate if fate == 'kept' else 'dropped: ' + fate}"
