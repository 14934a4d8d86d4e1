"""The model card's training data: each stage's sources with their terms, what was dropped, and the decontamination."""

import re
from typing import Any

from mai1.report.corpus_card_text import Safe, bullet_list, markdown_table
from mai1.report.corpus_funnel import STAGES, funnel_of
from mai1.report.corpus_instruct import statistics_of
from mai1.report.corpus_records import CorpusRecords, added, counts
from mai1.report.model_card_stages import Stage
from mai1.report.model_card_text import public
from mai1.report.records import last_value, mapping
from mai1.report.scales import compact, grouped, percent

NOT_STATED = Safe("**not stated**")
MIN_LANGUAGE_SHARE = 0.01
LANGUAGE = re.compile("[a-z]{2,3}")
DIGEST = re.compile("[0-9a-f]{8,64}")


def data_section(stages: list[Stage]) -> str:
    """A part for each stage, the newest first."""
    if not stages:
        return "What it was trained on was not recorded."
    return "\n\n".join(f"### {public(stage.run.name)} ({stage.kind})\n\n{_of_stage(stage)}" for stage in stages)


def languages_of(stages: list[Stage]) -> list[str]:
    """Languages of more than a hundredth of the text that all stages' corpora kept, the largest first."""
    sizes: dict[str, float] = {}
    for stage in stages:
        for name, entry in mapping(stage.corpus.curation.get("languages") if stage.corpus else None).items():
            sizes[name] = sizes.get(name, 0.0) + counts(entry).get("kept_bytes", 0.0)
    least = MIN_LANGUAGE_SHARE * sum(sizes.values())
    ordered = sorted(sizes, key=lambda name: (-sizes[name], name))
    return [name for name in ordered if sizes[name] > least and LANGUAGE.fullmatch(name)]


def limits_of_data(stages: list[Stage]) -> list[str]:
    """What the preparation of the data leaves open."""
    corpora = [stage.corpus for stage in stages if stage.corpus is not None]
    if not corpora:
        return ["Its training data is not at hand, so nothing can be said of personal data or evaluation items in it."]
    lines = []
    for corpus in corpora:
        tasks = mapping(corpus.setting("contamination.tasks"))
        kinds = corpus.setting("pii.kinds")
        found = ", ".join(map(str, kinds)) if isinstance(kinds, list) and kinds else "none"
        lines.append(public(f"Personal data was looked for by patterns of these kinds alone: {found}."))
        if not tasks:
            lines.append("The training data was compared with no evaluation set: it may hold items of one.")
    return list(dict.fromkeys(lines))


def _of_stage(stage: Stage) -> str:
    if stage.corpus is None:
        return "The data of this stage is not at hand: sources and licences are not known."
    is_tuning = stage.kind != "pretrain"
    parts = [_conversations(stage.corpus) if is_tuning else _sources(stage), _contamination(stage.corpus)]
    if not is_tuning:
        parts.insert(1, _funnel(stage.corpus))
    digest = str(stage.corpus.manifest.get("fingerprint"))
    known = f"`{digest}`" if DIGEST.fullmatch(digest) else "not recorded"
    return "\n\n".join([*parts, f"Fingerprint of the corpus: {known}."])


def _sources(stage: Stage) -> str:
    weights = _weights(stage)
    rows = []
    for name, entry in stage.corpus.sources.items():
        tokens = counts(mapping(entry.get("train"))).get("tokens")
        terms = [public(entry.get(key)) or NOT_STATED for key in ("licence", "origin")]
        rows.append([public(name), *terms, grouped(tokens), *([percent(weights.get(name))] if weights else [])])
    headers = ["source", "licence", "origin", "tokens at hand", *(["share of the rows"] if weights else [])]
    note = "" if weights else "\n\nAll sources were shuffled together: each has the share of its tokens."
    missing = [name for name, entry in stage.corpus.sources.items() if not entry.get("licence")]
    if missing:
        note += f"\n\n**No licence is stated for {public(', '.join(missing))}.**"
    return markdown_table(headers, rows) + note


def _weights(stage: Stage) -> dict[str, float]:
    """Each source's newest wanted share of the rows; empty where rows were not mixed by weights."""
    by_step = [mapping(record.get("sources")) for record in stage.run.train]
    names = {name for sources in by_step for name in sources}
    found = {name: last_value([mapping(sources.get(name)) for sources in by_step], "weight") for name in names}
    return {name: weight for name, weight in found.items() if weight is not None}


def _funnel(corpus: CorpusRecords) -> str:
    figures = funnel_of(corpus)
    rate = counts(corpus.totals).get("bytes_per_token")

    def tokens(size: float) -> str:
        return compact(size / rate if rate else None)

    rows = [
        [STAGES.get(name, name), grouped(lost.documents), compact(lost.bytes) + "B", tokens(lost.bytes)]
        for name, lost in figures.by_stage().items()
    ]
    rows.append(
        ["kept", grouped(figures.kept.documents), compact(figures.kept.bytes) + "B", tokens(figures.kept.bytes)]
    )
    edits = added(corpus.table_by_source("edits"))
    changed = ", ".join(f"{name} {grouped(count)}" for name, count in sorted(edits.items()))
    table = markdown_table(["dropped by", "documents", "bytes", "tokens, estimated"], rows)
    return table + (f"\n\nChanged inside documents: {public(changed)}." if changed else "")


def _conversations(corpus: CorpusRecords) -> str:
    configured = mapping(corpus.setting("instructions.sources"))
    rows = []
    for name, entry in statistics_of(corpus).items():
        terms = [public(mapping(configured.get(name)).get(key)) or NOT_STATED for key in ("licence", "origin")]
        figures: list[Any] = [
            grouped(counts(entry).get(key)) for key in ("read", "kept", "tokens", "supervised_tokens")
        ]
        rows.append([public(name), *terms, *figures])
    if not rows:
        return "Of its conversations no statistics were recorded."
    return markdown_table(["source", "licence", "origin", "read", "kept", "tokens", "supervised tokens"], rows)


def _contamination(corpus: CorpusRecords) -> str:
    tasks = mapping(corpus.setting("contamination.tasks"))
    if not tasks:
        return "It was compared with no evaluation set."
    hit = added(corpus.table_by_source("contaminated_documents"))
    action = corpus.setting("contamination.action") or "not recorded"
    lines = [
        f"{name}: {grouped(hit.get(f'contamination.{name}', 0.0))} documents held items of it" for name in sorted(tasks)
    ]
    return f"Compared with evaluation sets; what held their items: {public(action)}.\n\n{bullet_list(public(x) for x in lines)}"
