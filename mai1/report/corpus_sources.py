"""Sources of a corpus: the mixture that they make, their terms, and the evaluation sets they were compared with."""

from typing import Any

from mai1.report.corpus_records import CorpusRecords, added, counts
from mai1.report.dataset import SourceCounts, read_source, reasons_by_size, source_bars
from mai1.report.markup import Markup, absent, caption, details, element, section, table
from mai1.report.records import mapping
from mai1.report.scales import compact, fixed, grouped, percent

MAX_ROWS = 300
MAX_TEXT = 200
MAX_ITEMS = 8
NOT_STATED = "not stated"
MIXTURE_TITLE, CONTAMINATION_TITLE = "Sources", "Contamination"


def sources(records: CorpusRecords) -> Markup:
    """Share of the tokens, what became of the bytes, and where the text is from."""
    read = {name: read_source(entry) for name, entry in records.sources.items()}
    if not read:
        return section("sources", MIXTURE_TITLE, absent("The manifest names no sources."))
    note = "Training on everything once gives each source its share of the training tokens; weights in data.mixture change it."
    return section(
        "sources",
        MIXTURE_TITLE,
        caption(note),
        _mixture_table(read),
        source_bars(read, reasons_by_size(read)),
        element("h3", "Terms and origin"),
        _terms_table(records.sources),
    )


def _mixture_table(read: dict[str, SourceCounts]) -> Markup:
    total = sum(each.train.tokens for each in read.values())
    ordered = sorted(read, key=lambda name: (-read[name].train.tokens, name))[:MAX_ROWS]
    headers = ["source", "share of training tokens", "training tokens", "held-out tokens", "text", "bytes / token"]
    rows = [[name, *_mixture_row(read[name], total), *_kept(read[name])] for name in ordered]
    return table([*headers, "documents", "kept of what was read"], rows)


def _mixture_row(each: SourceCounts, total: float) -> list[str]:
    size, tokens = each.train.bytes + each.heldout.bytes, each.train.tokens + each.heldout.tokens
    return [
        percent(each.train.tokens, total),
        grouped(each.train.tokens),
        grouped(each.heldout.tokens),
        compact(size) + "B",
        fixed(size / tokens if tokens else None),
    ]


def _kept(each: SourceCounts) -> list[str]:
    return [grouped(each.documents_kept), percent(each.documents_kept, each.documents_read)]


def _terms_table(stated: dict[str, dict[str, Any]]) -> Markup:
    rows = []
    for name, entry in list(stated.items())[:MAX_ROWS]:
        inputs = mapping(entry.get("inputs"))
        digest = str(inputs.get("sha256", "–"))[:16]
        words = (str(entry.get(key) or NOT_STATED)[:MAX_TEXT] for key in ("licence", "origin", "path"))
        rows.append([name, *words, grouped(counts(inputs).get("count")), digest])
    return table(["source", "licence", "origin", "path", "inputs", "SHA-256 of their list"], rows, num_text_columns=4)


def contamination(records: CorpusRecords) -> Markup:
    """For each evaluation set how many of its items stand in how many documents."""
    tasks = mapping(records.curation.get("contamination"))
    named = list(mapping(records.setting("contamination.tasks")))
    found = [key.removeprefix("contamination.") for key in added(records.table_by_source("contaminated_documents"))]
    names = list(dict.fromkeys([*tasks, *named, *found]))[:MAX_ROWS]
    if not names:
        text = "Documents were compared with no evaluation set: what they hold of one is not known."
        return section("contamination", CONTAMINATION_TITLE, absent(text))
    rule, action = records.setting("contamination.rule"), records.setting("contamination.action")
    note = (
        f"Items of evaluation sets that stand in documents, by the rule {rule}; what happens to such a document: {action}. "
        "An item counts once however many documents hold it. Items that are too short are not looked for."
    )
    headers = ["evaluation set", "items", "too short", "items found", "of those looked for", "documents with one"]
    rows = [_task_row(records, name, counts(tasks.get(name))) for name in names]
    return section(
        "contamination", CONTAMINATION_TITLE, caption(note), table([*headers, "dropped"], rows), _hits(records, names)
    )


def _task_row(records: CorpusRecords, name: str, sizes: dict[str, float]) -> list[str]:
    label = f"contamination.{name}"
    items = added(records.table_by_source(label))
    searched = sizes["items"] - sizes.get("too_short", 0.0) if "items" in sizes else None
    return [
        name,
        grouped(sizes.get("items")),
        grouped(sizes.get("too_short")),
        grouped(len(items)),
        percent(len(items), searched),
        grouped(added(records.table_by_source("contaminated_documents")).get(label, 0.0)),
        grouped(
            sum(
                counts(mapping(mapping(e.get("dropped")).get(label))).get("documents", 0)
                for e in records.sources.values()
            )
        ),
    ]


def _hits(records: CorpusRecords, names: list[str]) -> Markup | str:
    """The items that most documents hold, by their number in the file."""
    rows = []
    for name in names:
        items = list(added(records.table_by_source(f"contamination.{name}")).items())[:MAX_ITEMS]
        rows += [[name, f"item {item}", grouped(documents)] for item, documents in items]
    if not rows:
        return ""
    return details(
        "Items that most documents hold", table(["evaluation set", "item", "documents"], rows, num_text_columns=2)
    )
