"""How a corpus was made: the settings that differ from the defaults, all of them, and what was written."""

import json

from mai1.report.corpus_records import CorpusRecords
from mai1.report.markup import Markup, absent, caption, details, element, section, table
from mai1.report.records import mapping, number
from mai1.report.scales import grouped

MAX_ROWS = 500
MAX_VALUE = 300
MAX_SETTINGS = 50_000
SHOWN_WITH_SOURCES = (".path", ".licence", ".origin")
TITLE = "How it was made"


def making(records: CorpusRecords) -> Markup:
    """Settings, shards with their hashes, and the list of inputs."""
    if not records.manifest:
        return section("making", TITLE, absent("No manifest."))
    changed = changed_settings(records)
    rows = [[key, words(value)] for key, value in list(changed.items())[:MAX_ROWS]]
    tokenizer = records.setting("tokenizer.kind")
    given = records.setting("tokenizer_from")
    learned = f"taken from {words(given)}" if given else f"learned here ({words(tokenizer)})"
    vocabulary = grouped(number(records.manifest.get("vocab_size")))
    inputs = records.inputs_sha256 or "no inputs.txt"
    facts = [
        ["tokenizer", f"{learned}, vocabulary of {vocabulary}"],
        ["tokenizer_hash", words(records.manifest.get("tokenizer_hash"))],
        ["fingerprint", words(records.manifest.get("fingerprint"))],
        ["inputs.txt, SHA-256", inputs],
    ]
    return section(
        "making",
        TITLE,
        caption("Settings that differ from the defaults; where sources are from is above."),
        table(["key", "value"], rows, num_text_columns=2) if rows else absent("None, or they were not recorded."),
        table(["", ""], facts, num_text_columns=2),
        _shard_table(records),
        details("Every setting", element("pre", _lines(records.manifest.get("config"))[:MAX_SETTINGS])),
    )


def changed_settings(records: CorpusRecords) -> dict[str, object]:
    """Dotted keys and values that differ from the defaults, without what tables of sources say."""
    changed = mapping(records.manifest.get("changed"))
    return {k: v for k, v in changed.items() if not (k.startswith("sources.") and k.endswith(SHOWN_WITH_SOURCES))}


def words(value: object) -> str:
    """A value as a person writes it, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"


def _lines(value: object, prefix: str = "") -> str:
    """A nested mapping as dotted keys, a line each."""
    if isinstance(value, dict) and value:
        return "\n".join(_lines(entry, f"{prefix}.{key}" if prefix else str(key)) for key, entry in value.items())
    return f"{prefix} = {words(value)}"


def _shard_table(records: CorpusRecords) -> Markup:
    if not records.shards:
        return absent("No shards.")
    rows = [
        [
            name,
            str(mapping(shard.get("sha256")).get("bin", "–"))[:64],
            *(grouped(number(shard.get(key))) for key in ("documents", "tokens")),
        ]
        for name, shard in list(records.shards.items())[:MAX_ROWS]
    ]
    headers = ["shard", "SHA-256 of its .bin", "documents", "tokens"]
    return details(f"Shards ({len(records.shards)})", table(headers, rows, num_text_columns=2))
