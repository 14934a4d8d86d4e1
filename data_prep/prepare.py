"""`mai1 prepare`: raw text to a corpus directory, all or nothing; a finished one is recognised and left alone."""

import dataclasses
import hashlib
import json
import os
import sys
from enum import Enum
from pathlib import Path

from data_prep import embedded, hub
from data_prep.embedded import EmbeddedSource
from data_prep.hub import HubSource
from data_prep.pipeline import Pipeline, PrepareConfig, embedded_sources, load_tokenizer
from data_prep.readers import FileSource
from data_prep.sources import Source, SourceConfig
from data_prep.staging import FORMAT, MANIFEST, Staging, check_disk, check_output, read_manifest
from data_prep.workers import Workers

VERSION = 1
HARMLESS = ("output", "workers", "overwrite")
"""Keys that change nothing in what is written."""

DISK_MARGIN_BYTES = 64 << 20


def prepare(config: PrepareConfig, *, progress: bool = True) -> dict:
    """Write the corpus and return its manifest; a finished corpus of the same config and inputs is left as it is."""
    config = dataclasses.replace(config, sources=config.sources or embedded_sources())
    output = Path(config.output).expanduser().absolute()
    sources = {name: _find_source(name, source, seed=config.seed) for name, source in config.sources.items()}
    fingerprint = _fingerprint(config, sources)
    finished = read_manifest(output)
    if finished.get("fingerprint") == fingerprint:
        print(f"{output} is already prepared from these settings and inputs: nothing to do", file=sys.stderr)
        return finished
    check_output(output, overwrite=config.overwrite)
    check_disk(output, num_bytes=_bytes_needed(config, sources))
    num_workers = config.workers or len(os.sched_getaffinity(0))
    with Staging(output) as staging, Workers(num_workers) as workers:
        pipeline = Pipeline(config, staging.directory, workers, is_quiet=not progress)
        manifest = {"format": FORMAT, "version": VERSION, "fingerprint": fingerprint, "config": config_as_json(config)}
        manifest |= pipeline.run(sources)
        (staging.directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        staging.commit()
    return manifest


def _find_source(name: str, config: SourceConfig, *, seed: int) -> Source:
    if config.path.startswith(embedded.PREFIX):
        return EmbeddedSource.find(name, config.path.removeprefix(embedded.PREFIX), seed=seed)
    if config.path.startswith(hub.PREFIX):
        return HubSource(name, config)
    return FileSource.find(name, config, seed=seed)


def _fingerprint(config: PrepareConfig, sources: dict[str, Source]) -> str:
    """Changes when a setting that matters, an input or the output's format does."""
    lines = [f"{FORMAT} {VERSION}", json.dumps(config_as_json(config), sort_keys=True)]
    lines += [line for name, source in sources.items() for line in (name, *source.identity())]
    if config.tokenizer_from:
        lines.append(load_tokenizer(config.tokenizer_from).hash)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def config_as_json(config: PrepareConfig) -> dict:
    """The settings that decide what is written, with the values of enums."""
    fields = {key: value for key, value in dataclasses.asdict(config).items() if key not in HARMLESS}
    return json.loads(json.dumps(fields, default=lambda value: value.value if isinstance(value, Enum) else str(value)))


def _bytes_needed(config: PrepareConfig, sources: dict[str, Source]) -> int:
    """Text in the spool, tokens and instruction data; sources of unknown size count nothing."""
    known = sum(source.estimated_bytes for source in sources.values() if source.estimated_bytes < hub.UNKNOWN_BYTES)
    return 2 * (min(known, config.max_bytes) if config.max_bytes else known) + DISK_MARGIN_BYTES
