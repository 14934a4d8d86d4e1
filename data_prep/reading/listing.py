"""From a source to its slices: what there is to read, in parts of about equal size, always in the same order."""

import importlib.util
import itertools
from collections.abc import Iterator

from data_prep.embedded import PREFIX as EMBEDDED_PREFIX
from data_prep.reading.cutting import KindAndFile, grouped, slices_of_files
from data_prep.reading.data_sets import PREFIX as DATA_SET_PREFIX
from data_prep.reading.data_sets import find_data_set
from data_prep.reading.embedded_text import find_embedded_files
from data_prep.reading.files import SliceFile, find_local_files
from data_prep.reading.formats import KINDS, ONE_DOCUMENT_A_FILE, SliceKind, kind_of_file
from data_prep.reading.remote import find_remote_files, is_url
from data_prep.reading.slices import Slice
from data_prep.reading.source import SourceConfig, SourceFormat
from data_prep.splitting import uniform

SLICE_BYTES = 32 << 20
EMBEDDED_SLICE_BYTES = 2 << 20
"""Embedded text is parsed, which takes longer than reading."""

NEEDED_PACKAGES = {"fastwarc": (SliceKind.warc,), "resiliparse": (SliceKind.html, SliceKind.warc)}


def list_slices(name: str, config: SourceConfig, *, seed: int, slice_bytes: int = SLICE_BYTES) -> list[Slice]:
    """The slices of source `name`, each of about `slice_bytes` before compression. ValueError when there is nothing to read.

    Sources of one document a file come in a hashed order that depends on `seed` and the files' names alone, others in the order
    of their paths. Of what files hold only Parquet's tables of contents are read: what is broken is said when a slice is read.
    """
    assert slice_bytes > 0
    key = f"sources.{name}.path={config.path}"
    if config.path.startswith(EMBEDDED_PREFIX):
        files = [(SliceKind.embedded, file) for file in find_embedded_files(name, config, seed=seed)]
        return list(grouped(files, slice_bytes=min(slice_bytes, EMBEDDED_SLICE_BYTES), is_shuffled=True))
    if config.path.startswith(DATA_SET_PREFIX):
        return list(_data_set_slices(key, config, slice_bytes))
    found = find_remote_files(key, config.path) if is_url(config.path) else find_local_files(key, config.path)
    files = _with_kinds(key, found, config)
    is_shuffled = len(files) > 1 and all(kind in ONE_DOCUMENT_A_FILE for kind, _ in files)
    if is_shuffled:
        files.sort(key=lambda entry: uniform(_base_name(entry[1]), seed=seed, purpose="order"))
    return list(slices_of_files(files, config, slice_bytes=slice_bytes, is_shuffled=is_shuffled))


def _with_kinds(key: str, files: list[SliceFile], config: SourceConfig) -> list[KindAndFile]:
    """The files that can be read, each with what reads it."""
    if config.format is SourceFormat.auto:
        known = [(kind, file) for file in files if (kind := kind_of_file(file.path))]
    else:
        known = [(SliceKind(config.format.value), file) for file in files]
    if not any(not file.refusal for _, file in known):
        raise ValueError(
            f"{key} must name at least one file ending in {' '.join(KINDS)}, or set format: check the path"
        )
    if any(kind is SliceKind.jsonl for kind, _ in known) and not _keeps_line_ends(config.encoding or "utf-8"):
        raise ValueError(
            f"{key}: encoding={config.encoding} has other line ends than JSON lines: convert them to UTF-8"
        )
    for package, kinds in NEEDED_PACKAGES.items():
        if any(kind in kinds for kind, _ in known) and importlib.util.find_spec(package) is None:
            raise ValueError(f"{key} has web pages, which need {package}: pip install 'mai1[web]'")
    return known


def _data_set_slices(key: str, config: SourceConfig, slice_bytes: int) -> Iterator[Slice]:
    parts = find_data_set(key, config)
    number = max(min(-(-parts.num_bytes // slice_bytes), parts.number) if parts.are_rows else parts.number, 1)
    cuts = [parts.number * place // number for place in range(number + 1)]
    for start, stop in itertools.pairwise(cuts):
        num_bytes = parts.num_bytes // number or slice_bytes
        yield Slice(kind=SliceKind.data_set, start=start, stop=stop, num_bytes=num_bytes, settings=parts.settings)


def _base_name(file: SliceFile) -> bytes:
    return file.path.rsplit("/", 1)[-1].encode("utf-8", "surrogateescape")


def _keeps_line_ends(encoding: str) -> bool:
    return '{"\n'.encode(encoding) == b'{"\n'
