"""Top of the corpus page: its figures in one glance, and what a person should look at before training on it."""

from mai1.report.corpus_funnel import Funnel, funnel_of, stage_of
from mai1.report.corpus_records import CorpusRecords, added, counts
from mai1.report.dataset import Counts, read_counts, sum_counts
from mai1.report.markup import Markup, element, tile
from mai1.report.records import mapping, number
from mai1.report.scales import compact, fixed, grouped, percent

LARGE_SHARE = 0.2
"""A reason that takes more than this share of a source's documents is worth a look at its samples."""

MIN_LANGUAGE_DOCUMENTS = 10
MAX_NOTES = 8


def overview(records: CorpusRecords) -> Markup:
    """Title, figures, notes, and links to the parts below."""
    figures = funnel_of(records)
    notes = [*records.notes, *_worth_a_look(records, figures)]
    return element(
        "header",
        element("h1", records.title),
        element("p", _subtitle(records), class_="subtitle"),
        element("dl", *_tiles(records, figures), class_="tiles"),
        *(element("p", note, class_="note") for note in notes),
    )


def _subtitle(records: CorpusRecords) -> str:
    fingerprint, vocabulary = records.manifest.get("fingerprint"), number(records.manifest.get("vocab_size"))
    parts = [f"fingerprint {str(fingerprint)[:12]}"] if fingerprint else []
    parts += [f"vocabulary of {grouped(vocabulary)}"] if vocabulary else []
    return " · ".join(parts) or "no manifest"


def split_counts(records: CorpusRecords, split: str) -> Counts:
    """Documents, bytes and tokens of train or heldout."""
    return sum_counts([read_counts(entry.get(split)) for entry in records.sources.values()])


def _tiles(records: CorpusRecords, figures: Funnel) -> list[Markup]:
    train, heldout = split_counts(records, "train"), split_counts(records, "heldout")
    tokens, size = train.tokens + heldout.tokens, train.bytes + heldout.bytes
    stages = figures.by_stage()
    copies = [stages[stage].documents for stage in ("dedup.exact", "dedup.near") if stage in stages]
    replaced = {k: v for k, v in added(records.table_by_source("edits")).items() if k.startswith("pii.")}
    found = figures.found.documents
    return [
        tile(
            "Documents kept",
            compact(figures.kept.documents),
            f"{percent(figures.kept.documents, found)} of {grouped(found)}",
        ),
        tile("Text", compact(size) + "B", f"of {compact(figures.found.bytes)}B read"),
        tile("Tokens", compact(tokens), f"{compact(train.tokens)} to train on"),
        tile("Bytes / token", fixed(size / tokens if tokens else None)),
        tile("Held out", compact(heldout.tokens), f"tokens, {percent(heldout.tokens, tokens)}"),
        tile("Copies dropped", compact(sum(copies)), f"{percent(sum(copies), found)} of the documents"),
        tile("Personal data", compact(sum(replaced.values())), "places replaced"),
        tile("Sources", str(len(records.sources))),
    ]


def _worth_a_look(records: CorpusRecords, figures: Funnel) -> list[str]:
    """Findings that a decision may hang on, the gravest first."""
    notes = []
    unlicensed = [name for name, entry in records.sources.items() if not entry.get("licence")]
    if unlicensed:
        notes.append(f"No licence is stated for {_listed(unlicensed)}: clear that before anything is published.")
    if not split_counts(records, "heldout").tokens and records.sources:
        notes.append("Nothing is held out: a model trained on this cannot be judged on its own kind of text.")
    notes += _lost_languages(records)
    for loss in figures.losses:
        for name, lost in loss.by_source.items():
            read = number(records.sources[name].get("read")) or 0.0
            if lost.documents > LARGE_SHARE * read and stage_of(loss.reason) != "limit":
                share = percent(lost.documents, read)
                notes.append(f"{loss.reason} drops {share} of the documents of {name}: read its samples below.")
    more = len(notes) - MAX_NOTES
    return [*notes[:MAX_NOTES], f"{more} more findings of this kind."] if more > 0 else notes


def _lost_languages(records: CorpusRecords) -> list[str]:
    """Languages that came through the stages, and of which nothing was kept."""
    by_language = {name: counts(entry) for name, entry in mapping(records.curation.get("languages")).items()}
    lost = [n for n, c in by_language.items() if c.get("documents", 0) >= MIN_LANGUAGE_DOCUMENTS and not c.get("kept")]
    return [f"Nothing of {_listed(lost)} was kept, though documents came through all stages."] if lost else []


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])} and {len(names) - 5} more"


def summary(records: CorpusRecords) -> list[str]:
    """The corpus in a few lines for the console; what is not known is left out."""
    figures = funnel_of(records)
    train, heldout = split_counts(records, "train"), split_counts(records, "heldout")
    tokens, size = train.tokens + heldout.tokens, train.bytes + heldout.bytes
    lines = [f"{records.directory} (corpus)"]
    if not records.sources:
        return lines
    found = figures.found.documents
    lines.append(f"  documents     {grouped(figures.kept.documents)} kept of {grouped(found)}")
    rate = f", {fixed(size / tokens)} bytes per token" if tokens else ""
    lines.append(f"  text          {compact(size)}B, {grouped(tokens)} tokens{rate}")
    lines.append(f"  held out      {grouped(heldout.documents)} documents, {grouped(heldout.tokens)} tokens")
    largest = sorted(figures.losses, key=lambda loss: -loss.total.documents)[:4]
    dropped = ", ".join(f"{loss.reason} {grouped(loss.total.documents)}" for loss in largest if loss.total.documents)
    lines += [f"  dropped       {dropped}"] if dropped else []
    return lines
