"""The data card of a corpus: `README.md` with what it is, where it is from, how it was made, and what it is not."""

import re
from pathlib import Path
from typing import Any

from mai1.report.corpus_card_text import Safe, bullet_list, code_span, front_matter, markdown, markdown_table
from mai1.report.corpus_funnel import STAGES, Funnel, funnel_of
from mai1.report.corpus_instruct import statistics_of
from mai1.report.corpus_making import changed_settings, words
from mai1.report.corpus_overview import split_counts
from mai1.report.corpus_records import CorpusRecords, added, counts, read_corpus
from mai1.report.page import write_page
from mai1.report.records import mapping, number
from mai1.report.scales import compact, fixed, grouped, percent

NOT_STATED = Safe("**not stated**")
MAX_LANGUAGES = 50
MIN_LANGUAGE_SHARE = 0.001
LICENCES = (
    "apache-2.0",
    "mit",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc-by-sa-3.0",
    "cc0-1.0",
    "gpl-2.0",
    "gpl-3.0",
    "odc-by",
    "pddl",
)
"""Licences as the Hub names them, of those that text commonly has."""

SIZES = (
    (1e3, "n<1K"),
    (1e4, "1K<n<10K"),
    (1e5, "10K<n<100K"),
    (1e6, "100K<n<1M"),
    (1e7, "1M<n<10M"),
    (1e8, "10M<n<100M"),
)
LANGUAGE = re.compile("[a-z]{2,3}")


def write_card(directory: Path) -> Path:
    """Write `directory/README.md` and return its path; like the page it depends on the corpus alone."""
    records = read_corpus(directory)
    figures = funnel_of(records)
    parts = [
        front_matter(_facts(records)),
        f"# {markdown(records.title)}",
        _what(records, figures),
        "## Sources",
        _sources(records),
        "## How it was made",
        _making(records),
        "## Figures",
        _figures(records, figures),
        "## Known limits",
        bullet_list(_limits(records)),
        "## Files",
        _files(records),
        "## Use",
        _use(),
        "## Hashes",
        _hashes(records),
    ]
    return write_page(directory / "README.md", "\n\n".join(part for part in parts if part) + "\n")


def _facts(records: CorpusRecords) -> dict[str, Any]:
    """Front matter as the Hugging Face Hub reads it."""
    licences = {str(entry.get("licence") or "").strip().lower() for entry in records.sources.values()}
    known = licences.pop() if len(licences) == 1 else "other"
    written = counts(records.manifest.get("instruct"))
    facts: dict[str, Any] = {
        "pretty_name": records.title,
        "license": "unknown" if "" in {known, *licences} else known if known in LICENCES else "other",
        "language": _languages(records),
        "task_categories": ["text-generation"],
        "tags": ["pretraining", "megatron", "mai1-corpus"],
        "size_categories": [next((n for most, n in SIZES if records.totals.get("documents", 0) < most), "n>100M")],
    }
    if written.get("train"):
        facts["configs"] = [{"config_name": "instruct", "data_files": "instruct/train.jsonl"}]
    return facts


def _languages(records: CorpusRecords) -> list[str]:
    """Languages of more than a thousandth of the text, the largest first."""
    sizes = {
        name: counts(entry).get("kept_bytes", 0.0) for name, entry in mapping(records.curation.get("languages")).items()
    }
    least = MIN_LANGUAGE_SHARE * sum(sizes.values())
    ordered = sorted(sizes, key=lambda name: (-sizes[name], name))
    return [n for n in ordered if sizes[n] > least and LANGUAGE.fullmatch(n)][:MAX_LANGUAGES]


def _what(records: CorpusRecords, figures: Funnel) -> str:
    if not records.manifest:
        return "The manifest of this corpus is missing or damaged: what is in it is not known."
    train, heldout = split_counts(records, "train"), split_counts(records, "heldout")
    tokens, size = train.tokens + heldout.tokens, train.bytes + heldout.bytes
    return (
        f"Text for pretraining language models, curated and tokenized by `mai1 prepare`: {grouped(figures.kept.documents)} "
        f"documents, {compact(size)}B of text, {grouped(tokens)} tokens of a vocabulary of "
        f"{grouped(number(records.manifest.get('vocab_size')))} ({fixed(size / tokens if tokens else None)} bytes per token). "
        f"{grouped(heldout.tokens)} of the tokens are held out. {grouped(figures.found.documents)} documents were read; "
        "what was dropped, why, and samples of it are in `report.html`."
    )


def _sources(records: CorpusRecords) -> str:
    rows = [
        [name, entry.get("licence"), entry.get("origin"), code_span(entry.get("path")), *_source_counts(entry)]
        for name, entry in records.sources.items()
    ]
    missing = [name for name, entry in records.sources.items() if not entry.get("licence")]
    headers = ["source", "licence", "origin", "path", "inputs", "SHA-256 of their list", "train tokens"]
    text = markdown_table(headers, [[cell or NOT_STATED for cell in row] for row in rows])
    if missing:
        names = markdown(", ".join(missing))
        text += f"\n\n**No licence is stated for {names}.** Find out under which terms that text may be used."
    return text


def _source_counts(entry: dict[str, Any]) -> list[str]:
    inputs = mapping(entry.get("inputs"))
    tokens = counts(mapping(entry.get("train"))).get("tokens")
    return [grouped(counts(inputs).get("count")), code_span(inputs.get("sha256")), grouped(tokens)]


def _making(records: CorpusRecords) -> str:
    changed = changed_settings(records)
    given = records.setting("tokenizer_from")
    kind = words(records.setting("tokenizer.kind"))
    lines = [
        "Every document went through these steps in order: reading, URL rules, extraction of text from pages, Unicode repair, "
        "removal of boilerplate lines, language identification, quality rules, replacement of personal data, and the search "
        "for evaluation items. Then all were compared: exact and near copies, scores, byte limits, repeated passages. Each "
        "step does what its settings say; some are off by default.",
        f"The tokenizer was {'taken from ' + code_span(given) if given else 'learned on the training text'} ({markdown(kind)}).",
    ]
    if not changed:
        return "\n\n".join([*lines, "All settings are the defaults, or they were not recorded."])
    rows = [[code_span(key), code_span(words(value))] for key, value in changed.items()]
    return "\n\n".join([*lines, "Settings that differ from the defaults:", markdown_table(["key", "value"], rows)])


def _figures(records: CorpusRecords, figures: Funnel) -> str:
    rows = []
    for name, entry in records.sources.items():
        train, heldout = counts(mapping(entry.get("train"))), counts(mapping(entry.get("heldout")))
        read, kept = counts(entry).get("read"), counts(entry).get("kept")
        rate = fixed(counts(entry).get("bytes_per_token"))
        sizes = [grouped(train.get("tokens")), grouped(heldout.get("tokens")), rate]
        rows.append([name, grouped(read), f"{grouped(kept)} ({percent(kept, read)})", *sizes])
    found = figures.found.documents
    stages = [
        [STAGES.get(stage, stage), grouped(lost.documents), percent(lost.documents, found), compact(lost.bytes) + "B"]
        for stage, lost in figures.by_stage().items()
    ]
    edits = [
        [code_span(kind), grouped(total)] for kind, total in sorted(added(records.table_by_source("edits")).items())
    ]
    headers = ["source", "documents read", "kept", "train tokens", "held-out tokens", "bytes / token"]
    parts = [markdown_table(headers, rows)]
    if stages:
        parts.append(markdown_table(["dropped by", "documents", "of all", "bytes"], stages))
    if edits:
        parts.append(markdown_table(["changed inside documents", "number"], edits))
    return "\n\n".join([*parts, *_instruct(records)])


def _instruct(records: CorpusRecords) -> list[str]:
    """Conversations by source with their terms."""
    configured = mapping(records.setting("instructions.sources"))
    rows = []
    for name, entry in statistics_of(records).items():
        terms = mapping(configured.get(name))
        figures = [grouped(counts(entry).get(key)) for key in ("read", "kept", "tokens", "supervised_tokens")]
        rows.append([name, terms.get("licence") or NOT_STATED, terms.get("origin") or NOT_STATED, *figures])
    headers = ["conversations of", "licence", "origin", "read", "kept", "tokens", "supervised tokens"]
    return [markdown_table(headers, rows)] if rows else []


def _limits(records: CorpusRecords) -> list[str]:
    """What the settings do not do, and what no setting can."""
    found = records.setting("pii.kinds")
    kinds = ", ".join(map(str, found)) if isinstance(found, list) and found else "none"
    tasks = ", ".join(mapping(records.setting("contamination.tasks")))
    limits = [
        f"Personal data is found by patterns of these kinds alone: {kinds}. Names and what people write about themselves stay.",
        f"Compared with these evaluation sets: {tasks}. Paraphrases and translations of their items are not found."
        if tasks
        else "It was compared with no evaluation set: whether it holds items of one is not known.",
        "Quality rules are heuristics on words, lines and symbols. They do not know whether a text is true.",
        "Languages are identified by a model, which is often wrong on short texts and on code.",
    ]
    if records.setting("dedup.minhash.is_on") is False:
        limits.append("Near copies were not looked for.")
    if records.setting("heldout_fraction") == 0:
        limits.append("Nothing is held out.")
    limits.append("Tokens of what was dropped are estimates; everything else was counted.")
    return limits


def _files(records: CorpusRecords) -> str:
    files = {
        "train/NAME.bin .idx .json": "token ids of one source, their index (Megatron-LM), and figures with SHA-256",
        "train/NAME.docs.parquet": "a row for each document: name, URL, language, labels, edits, scores, bytes, tokens",
        "heldout/": "the same of what is held out",
        "tokenizer/": f"the tokenizer, hash {str(records.manifest.get('tokenizer_hash', 'unknown'))[:64]}",
        "instruct/": "conversations, where there are any",
        "manifest.json": "settings, inputs and counts",
        "curation.json": "figures behind the page",
        "dropped_samples.jsonl kept_samples.jsonl": "beginnings of a few documents for each source and reason",
        "inputs.txt": f"everything that was read, SHA-256 {records.inputs_sha256 or 'unknown'}",
        "report.html": "the page to decide from",
    }
    return markdown_table(["file", "content"], [[code_span(name), content] for name, content in files.items()])


def _use() -> str:
    return (
        "```\nmai1 pretrain data.path=DIRECTORY        # train on it\n"
        "mai1 report DIRECTORY                    # write report.html and this card again\n```\n\n"
        "`DIRECTORY` is where this file lies. The shards are Megatron-LM indexed datasets: other programs that read them can "
        "use `train/NAME` as data prefix."
    )


def _hashes(records: CorpusRecords) -> str:
    if not records.shards:
        return "No shard manifests were found."
    rows = []
    for name, shard in records.shards.items():
        digests = mapping(shard.get("sha256"))
        rows += [[code_span(f"{name}.{ending}"), code_span(digest)] for ending, digest in sorted(digests.items())]
    return markdown_table(["file", "SHA-256"], rows)
