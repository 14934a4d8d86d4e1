"""What a prepared corpus says of itself, read whole or torn into one plain structure."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mai1.report.records import mapping, number, read_lines, read_object

NAMES_IN_TITLE = 4


@dataclass(kw_only=True, slots=True)
class CorpusRecords:
    """Everything readable in a corpus directory; what is absent is empty, what is unreadable is in `notes`."""

    directory: Path
    manifest: dict[str, Any]
    curation: dict[str, Any]
    dropped_samples: list[dict[str, Any]]
    kept_samples: list[dict[str, Any]]
    instruct: dict[str, Any]
    """Statistics of instruction data by source."""

    shards: dict[str, dict[str, Any]]
    """The manifest of each shard by `SPLIT/NAME`."""

    inputs_sha256: str
    """Of inputs.txt; empty where there is none."""

    notes: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """A name made of the sources: a directory that is copied or renamed keeps its page."""
        names = list(self.sources)
        if len(names) > NAMES_IN_TITLE + 1:
            names = [*names[:NAMES_IN_TITLE], f"{len(names) - NAMES_IN_TITLE} more sources"]
        return f"Corpus of {' and '.join(filter(None, [', '.join(names[:-1]), *names[-1:]])) or 'unknown sources'}"

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        """Each source's entry in the manifest."""
        return {name: mapping(entry) for name, entry in mapping(self.manifest.get("sources")).items()}

    @property
    def totals(self) -> dict[str, float]:
        """Documents, bytes and tokens that were written."""
        return counts(self.manifest.get("totals"))

    def setting(self, dotted: str) -> Any:
        """The value of a key of the configuration; None where it is not told."""
        value: Any = self.manifest.get("config")
        for part in dotted.split("."):
            value = mapping(value).get(part)
        return value

    def table(self, source: str, name: str) -> dict[str, float]:
        """A table of counts of one source, such as `edits`."""
        return counts(mapping(mapping(self.curation.get("sources")).get(source)).get(name))

    def table_by_source(self, name: str) -> dict[str, dict[str, float]]:
        """A table of counts of every source that has it."""
        tables = {source: self.table(source, name) for source in mapping(self.curation.get("sources"))}
        return {source: table for source, table in tables.items() if table}


def read_corpus(directory: Path) -> CorpusRecords:
    """Read a corpus directory. Never raises for what is missing, torn or of the wrong type."""
    notes: list[str] = []
    manifest = read_object(directory / "manifest.json", notes=notes)
    if not manifest:
        notes.append("No manifest.json that can be read: what is in this directory is not known.")
    return CorpusRecords(
        directory=directory,
        manifest=manifest,
        curation=read_object(directory / "curation.json", notes=notes),
        dropped_samples=read_lines(directory / "dropped_samples.jsonl", notes=notes),
        kept_samples=read_lines(directory / "kept_samples.jsonl", notes=notes),
        instruct=read_object(directory / "instruct" / "statistics.json", notes=notes),
        shards=_read_shards(directory, notes=notes),
        inputs_sha256=_digest_of(directory / "inputs.txt"),
        notes=notes,
    )


def counts(value: object) -> dict[str, float]:
    """The entries of a JSON object that are finite numbers of at least 0."""
    numbers = {key: number(entry) for key, entry in mapping(value).items()}
    return {key: entry for key, entry in numbers.items() if entry is not None and entry >= 0}


def entries(value: object) -> list[dict[str, Any]]:
    """The objects of a JSON list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def added(tables: dict[str, dict[str, float]]) -> dict[str, float]:
    """Tables of several sources as one, the largest entry first."""
    total: dict[str, float] = {}
    for table in tables.values():
        for key, value in table.items():
            total[key] = total.get(key, 0.0) + value
    return dict(sorted(total.items(), key=lambda entry: (-entry[1], entry[0])))


def _read_shards(directory: Path, *, notes: list[str]) -> dict[str, dict[str, Any]]:
    paths = [path for split in ("train", "heldout") for path in sorted((directory / split).glob("*.json"))]
    return {f"{path.parent.name}/{path.stem}": read_object(path, notes=notes) for path in paths}


def _digest_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
