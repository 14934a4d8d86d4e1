"""Documents from the `datasets` library: a local directory, a builder with files, or (with a network) a hub name.

A directory that `save_to_disk` wrote is cut by rows; anything else is streamed, and cut by the shards it is stored in.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.document import Document
from data_prep.reading.bad import Bad, Reason
from data_prep.reading.files import find_local_files
from data_prep.reading.records import document_of_record
from data_prep.reading.source import SourceConfig

PREFIX = "datasets:"
DATA_SET_ERRORS = (OSError, KeyError, RuntimeError, ValueError)
"""What the library raises for a name, split or file that is not there, or not as it should be."""

SAVED = ("state.json", "dataset_dict.json")


@dataclass(frozen=True, slots=True)
class DataSetParts:
    """How a data set can be cut."""

    number: int
    """Rows of a saved data set, shards of a streamed one."""

    num_bytes: int
    """What they hold together; 0: not known."""

    are_rows: bool
    settings: str
    """Settings, and a digest of the local files; what a hub serves under a name may change without notice."""


def find_data_set(key: str, config: SourceConfig) -> DataSetParts:
    """Open a data set to see its parts. ValueError when that fails."""
    try:
        rows = _load(config)
        is_saved = _is_saved(config)
        number, num_bytes = (
            (len(rows), rows.data.nbytes) if is_saved else (rows.num_shards, rows.info.dataset_size or 0)
        )
    except DATA_SET_ERRORS as error:
        rule = f"must be a data set with split {config.split!r}"
        raise ValueError(f"{key} {rule} ({' '.join(str(error).split())}): check both") from error
    settings = f"{config.path} {config.subset} {config.split} {config.data_files} {_digest(config)}".strip()
    return DataSetParts(number, num_bytes, is_saved, settings)


def read_data_set(config: SourceConfig, *, start: int, stop: int) -> Iterator[Document | Bad]:
    """The documents of some rows, or of one shard, in their order."""
    name, first = config.path, start
    try:
        rows = _load(config)
        if _is_saved(config):
            rows = rows.select(range(start, stop))
        elif rows.num_shards > 1:
            name, first = f"{name} shard {start}", 0
            rows = rows.shard(num_shards=rows.num_shards, index=start)
        for number, record in enumerate(rows, start=first):
            yield document_of_record(record, config, name=f"{name} row {number}")
    except DATA_SET_ERRORS as error:
        yield Bad(name, Reason.broken_data_set, " ".join(str(error).split()))


def _load(config: SourceConfig) -> Any:
    """A `Dataset` of a saved directory, else an `IterableDataset`."""
    import datasets  # heavy: only for sources that ask for it

    where = config.path.removeprefix(PREFIX)
    if _is_saved(config):
        loaded = datasets.load_from_disk(where)
        return loaded[config.split] if isinstance(loaded, dict) else loaded
    files = {config.split: config.data_files} if config.data_files else None
    return datasets.load_dataset(where, config.subset or None, split=config.split, data_files=files, streaming=True)


def _is_saved(config: SourceConfig) -> bool:
    return any((Path(config.path.removeprefix(PREFIX)) / name).is_file() for name in SAVED)


def _digest(config: SourceConfig) -> str:
    """A digest of sizes and times of change of the files that are on this machine; empty when there are none."""
    files = []
    for place in (config.path.removeprefix(PREFIX), config.data_files):
        with contextlib.suppress(ValueError):
            files += find_local_files("", place) if place else []
    known = "\n".join(f"{file.path} {file.size} {file.version}" for file in files)
    return hashlib.blake2b(known.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest() if files else ""
