"""`mai1 prepare`: raw text to a corpus directory, all or nothing; a finished one is recognised and left alone.

Results of tasks stand in `.OUTPUT.work` until the corpus is complete, so a run that was killed continues where it was; with
`keep_work=true` they stay, so that other thresholds take seconds.
"""

import dataclasses
import hashlib
import json
import sys
from contextlib import ExitStack
from pathlib import Path

from data_prep.as_json import changed_settings, to_json
from data_prep.config import PrepareConfig, other_inputs
from data_prep.encoding import load_tokenizer
from data_prep.engine.start import make_engine
from data_prep.folders import digests_of
from data_prep.instruct import check_sources
from data_prep.pipeline import Pipeline
from data_prep.reading.embedded_text import embedded_sources
from data_prep.reading.listing import list_slices
from data_prep.reading.slices import Slice
from data_prep.reading.source import SourceConfig
from data_prep.scores.config import example_files
from data_prep.staging import FORMAT, MANIFEST, Staging, check_disk, check_output, read_manifest, remove

VERSION = 2
HARMLESS = ("output", "workers", "overwrite", "keep_work", "engine", "engine_options", "library")
"""Keys that change nothing in what is written."""

DISK_MARGIN_BYTES = 64 << 20


def prepare(config: PrepareConfig, *, progress: bool = True) -> dict:
    """Write the corpus and return its manifest; a finished corpus of the same config and inputs is left as it is."""
    config = dataclasses.replace(config, sources=config.sources or embedded_sources())
    output = Path(config.output).expanduser().absolute()
    slices = {name: list_slices(name, source, seed=config.seed) for name, source in config.sources.items()}
    fingerprint = _fingerprint(config, slices)
    finished = read_manifest(output)
    if finished.get("fingerprint") == fingerprint:
        print(f"{output} is already prepared from these settings and inputs: nothing to do", file=sys.stderr)
        return finished
    check_output(output, overwrite=config.overwrite)
    check_place(output, config.sources)
    check_inputs(config)
    check_disk(output, num_bytes=_bytes_needed(config, slices))
    work = output.parent / f".{output.name}.work"
    with ExitStack() as stack:
        staging = stack.enter_context(Staging(output))
        check_output(output, overwrite=config.overwrite)  # once more: another run may have ended just now
        engine = stack.enter_context(
            make_engine(
                config.engine, work, options=config.engine_options, num_workers=config.workers, is_quiet=not progress
            )
        )
        pipeline = Pipeline(config, engine, work, staging.directory, is_quiet=not progress)
        manifest = {"format": FORMAT, "version": VERSION, "fingerprint": fingerprint, "config": config_as_json(config)}
        manifest["changed"] = {k: v for k, v in changed_settings(config).items() if k.split(".")[0] not in HARMLESS}
        manifest |= pipeline.run(slices)
        (staging.directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        staging.commit()
    if not config.keep_work:
        remove(work)
    return manifest


def check_place(output: Path, sources: dict[str, SourceConfig]) -> None:
    """ValueError where the corpus would lie in a directory that is read: the next time it would be read as text."""
    for name, source in sources.items():
        folder = Path(source.path).expanduser().absolute()
        if folder.is_dir() and output.resolve().is_relative_to(folder.resolve()):
            raise ValueError(
                f"output={output} lies in sources.{name}.path={source.path}, and would be read as text the next time: "
                "choose a directory outside of it"
            )


def check_inputs(config: PrepareConfig) -> None:
    """ValueError when a file that is needed hours later is not there or cannot be what it should be."""
    for key, path in example_files(config.scores).items():
        if not path.is_file():
            raise ValueError(f"{key}={path} must be a .jsonl or .txt file of examples: check the path")
    check_sources(config.instructions)


def _fingerprint(config: PrepareConfig, slices: dict[str, list[Slice]]) -> str:
    """Changes when a setting that matters, an input or the output's format does."""
    lines = [f"{FORMAT} {VERSION}", json.dumps(config_as_json(config), sort_keys=True)]
    lines += [line for name, pieces in slices.items() for line in (name, *(i for p in pieces for i in p.identity))]
    lines += [f"{path} {digest}" for path, digest in digests_of(other_inputs(config)).items()]
    if config.tokenizer_from:
        lines.append(load_tokenizer(config.tokenizer_from).hash)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def config_as_json(config: PrepareConfig) -> dict:
    """The settings that decide what is written, with the values of enums."""
    return {key: value for key, value in to_json(config).items() if key not in HARMLESS}


def _bytes_needed(config: PrepareConfig, slices: dict[str, list[Slice]]) -> int:
    """Curated text, ids and shards; data sets of unknown size count nothing."""
    known = sum(piece.num_bytes for pieces in slices.values() for piece in pieces)
    return 2 * (min(known, config.max_bytes) if config.max_bytes else known) + DISK_MARGIN_BYTES
