"""Figures of the corpus page: languages and lengths, copies, what was changed inside documents, what could not be read."""

from mai1.report.corpus_records import CorpusRecords, added, counts, entries
from mai1.report.corpus_samples import beginning, grouped_by
from mai1.report.markup import Markup, absent, caption, details, element, figure, section, table
from mai1.report.records import mapping
from mai1.report.scales import compact, grouped, percent
from mai1.report.tiles import Segment, stacked_bars

MAX_LANGUAGES = 24
MAX_ROWS = 300
NUM_OPEN_CLUSTERS = 1
MAX_PLACES = 8
CHANGES = {
    "pii": "personal data replaced",
    "secrets": "secrets replaced",
    "repair": "Unicode and line ends repaired",
    "boilerplate": "lines of the page removed",
    "dedup": "repeated passages cut",
    "contamination": "evaluation items cut",
}


def languages(records: CorpusRecords) -> Markup:
    """Documents by language, by size and by kind, kept and dropped by comparison."""
    by_language = {name: counts(entry) for name, entry in mapping(records.curation.get("languages")).items()}
    by_length = {name: counts(entry) for name, entry in mapping(records.curation.get("lengths")).items()}
    if not by_language and not by_length:
        return section("languages", "Languages and lengths", absent("No languages and lengths were counted."))
    note = (
        "Documents that came through all stages: in blue those that were kept, in orange those that were dropped after all were "
        "compared, as copies, by their scores or by a limit. The figure at the right is their sum."
    )
    ordered = sorted(by_language, key=lambda name: (-by_language[name].get("documents", 0.0), name))
    more = f" The {MAX_LANGUAGES} largest of {len(ordered)}." if len(ordered) > MAX_LANGUAGES else ""
    lengths = sorted((name for name in by_length if name.isdecimal()), key=lambda name: int(name[:9]))
    figures = [
        figure("Languages", f"documents.{more}", _bars({name: by_language[name] for name in ordered[:MAX_LANGUAGES]})),
        figure("Lengths", "documents by their bytes.", _bars({_size(name): by_length[name] for name in lengths})),
    ]
    kinds = added(records.table_by_source("label.kind"))
    words = ", ".join(f"{grouped(number)} {kind}" for kind, number in kinds.items())
    return section(
        "languages",
        "Languages and lengths",
        caption(note),
        element("div", *figures, class_="sides"),
        caption(f"Kinds of text among what was judged: {words}.") if kinds else "",
        details("Bytes by language", _language_table(by_language, ordered)),
    )


def _bars(rows: dict[str, dict[str, float]]) -> Markup:
    bars = {}
    for name, row in rows.items():
        kept = row.get("kept", 0.0)
        parts = {"kept": (kept, "p0"), "dropped": (max(row.get("documents", 0.0) - kept, 0.0), "p2")}
        bars[name] = [Segment(name=n, size=size, shade=shade) for n, (size, shade) in parts.items() if size]
    return stacked_bars(bars, unit="documents", is_to_scale=True, width=520)


def _size(digits: str) -> str:
    """The least bytes that have so many binary digits, in words."""
    power = max(int(digits[:9]) - 1, 0)
    unit = min(power // 10, 4)
    return (
        f"from {2 ** min(power - 10 * unit, 60)} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[unit]}"
        if digits != "0"
        else "empty"
    )


def _language_table(by_language: dict[str, dict[str, float]], ordered: list[str]) -> Markup:
    total = sum(row.get("kept_bytes", 0.0) for row in by_language.values())
    rows = [
        [
            name,
            grouped(by_language[name].get("documents")),
            grouped(by_language[name].get("kept")),
            compact(by_language[name].get("bytes")) + "B",
            compact(by_language[name].get("kept_bytes")) + "B",
            percent(by_language[name].get("kept_bytes"), total),
        ]
        for name in ordered[:MAX_ROWS]
    ]
    return table(["language", "documents", "kept", "text", "kept", "share of what was kept"], rows)


def copies(records: CorpusRecords) -> Markup:
    """How large the groups of near-duplicates are, and what the largest hold."""
    sizes = counts(records.curation.get("cluster_sizes"))
    clusters = entries(records.curation.get("clusters"))
    if not sizes:
        return section("copies", "Near-duplicates", absent("No near-duplicates were found, or none were looked for."))
    powers = sorted((size for size in sizes if size.isdecimal()), key=lambda size: int(size[:18]))
    segments = {_range(size): [Segment(name="clusters", size=sizes[size], shade="p0")] for size in powers}
    note = "Groups of documents that are near copies of each other; one of each group is kept. Bars count the groups by size."
    shown = [_cluster(each) for each in clusters]
    return section(
        "copies",
        "Near-duplicates",
        caption(note),
        stacked_bars(segments, unit="groups", is_to_scale=True),
        *shown[:NUM_OPEN_CLUSTERS],
        details(f"{len(shown) - NUM_OPEN_CLUSTERS} more of the largest", *shown[NUM_OPEN_CLUSTERS:])
        if len(shown) > NUM_OPEN_CLUSTERS
        else "",
    )


def _range(size: str) -> str:
    least = int(size[:18])
    return f"{grouped(least)} to {grouped(2 * least - 1)}"


def _cluster(cluster: dict) -> Markup:
    members = entries(cluster.get("members"))
    size = counts(cluster).get("size")
    title = element("h3", f"{grouped(size)} near copies; the first {len(members)}")
    return element("div", title, element("div", *(beginning(m, label="") for m in members), class_="sides"))


def changes(records: CorpusRecords) -> Markup:
    """What stages changed inside documents that stayed, by kind."""
    edits, documents = (records.table_by_source(name) for name in ("edits", "edited_documents"))
    total, touched = added(edits), added(documents)
    if not total:
        return section("changes", "Changes inside documents", absent("Nothing was changed inside documents."))
    rows = []
    for kind in sorted(total)[:MAX_ROWS]:
        family, most = kind.partition(".")[0], max(edits, key=lambda name: edits[name].get(kind, 0.0))
        named = kind if kind in touched else kind.rpartition(".")[0]
        what = CHANGES.get(family, family)
        rows.append([kind, what, most, grouped(total[kind]), grouped(touched.get(named))])
    note = (
        "Places that were changed, lines that were removed, or characters where the name says so; kept documents alone."
    )
    headers = ["kind", "what", "mostly in", "number", "documents"]
    return section("changes", "Changes inside documents", caption(note), table(headers, rows, num_text_columns=3))


def unreadable(records: CorpusRecords) -> Markup:
    """What could not be read, why, and where."""
    bad = {name: counts(entry.get("bad")) for name, entry in records.sources.items()}
    total = added(bad)
    title = "Unreadable input"
    if not total:
        return section("unreadable", title, absent("Everything could be read."))
    read = sum(counts(entry).get("read", 0.0) for entry in records.sources.values())
    places = grouped_by(records.dropped_samples, "reason")
    rows = []
    for reason, number in total.items():
        most = max(bad, key=lambda name: bad[name].get(reason, 0.0))
        rows.append([reason, most, grouped(number), percent(number, read + number)])
    parts = [_places(reason, places[reason]) for reason in total if places.get(reason)]
    note = f"Documents, or rests of files, that could not be read; {grouped(read)} documents could."
    headers = ["reason", "mostly in", "number", "of all"]
    return section("unreadable", title, caption(note), table(headers, rows, num_text_columns=2), *parts)


def _places(reason: str, samples: list[dict]) -> Markup:
    rows = [[str(s.get(key, ""))[:300] for key in ("source", "name", "detail")] for s in samples[:MAX_PLACES]]
    return details(f"Where: {reason}", table(["source", "place", "what is wrong"], rows, num_text_columns=3))
