"""Curated documents on disk: one folder a slice, with the texts in Parquet and what selection needs in plain arrays.

documents.parquet   text, name, url, language, language_score, labels and edits (JSON), a row a document
keys.npy            uint64 [N, 2], equal for exact duplicates
families.npy        uint64 [N, 2], equal for documents that are held out together
bands.npy           uint64 [N, bands], the MinHash keys
bytes.npy           int64 [N], UTF-8 bytes of the text
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow
import pyarrow.parquet

from data_prep.document import Document

DESCRIPTION = (
    ("name", pyarrow.string()),
    ("url", pyarrow.string()),
    ("language", pyarrow.string()),
    ("language_score", pyarrow.float32()),
    ("labels", pyarrow.string()),
    ("edits", pyarrow.string()),
)
"""What is known of a document besides its text, in every table of documents."""
SCHEMA = pyarrow.schema([("text", pyarrow.large_string()), *DESCRIPTION])
DOCUMENTS = "documents.parquet"
ROW_GROUP_CHARACTERS = 8 << 20
ROWS_READ_AT_ONCE = 256


@dataclass(slots=True)
class Columns:
    """What selection knows of the documents of one or more slices; an entry a document, in their order."""

    keys_N2: np.ndarray
    families_N2: np.ndarray
    bands_NB: np.ndarray
    num_bytes_N: np.ndarray


class StoreWriter:
    """Writes the curated documents of one slice; memory is bounded by a row group."""

    def __init__(self, folder: Path, *, num_bands: int) -> None:
        self.folder, self.num_bands = folder, num_bands
        self._parquet = pyarrow.parquet.ParquetWriter(folder / DOCUMENTS, SCHEMA, compression="zstd")
        self._rows: list[dict] = []
        self._characters = 0
        self._columns: dict[str, list[np.ndarray]] = {"keys": [], "families": [], "bands": [], "bytes": []}

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._parquet.close()

    def add(self, documents: list[Document], *, keys: list[bytes], bands_NB: np.ndarray) -> None:
        """Append a batch with its 16-byte content keys and MinHash band keys."""
        families = [_family_key(document.family) or key for document, key in zip(documents, keys, strict=True)]
        self._columns["keys"].append(as_pairs(keys))
        self._columns["families"].append(as_pairs(families))
        self._columns["bands"].append(bands_NB)
        self._columns["bytes"].append(np.array([len(d.text.encode()) for d in documents], dtype=np.int64))
        for document in documents:
            self._rows.append(_row_of(document))
            self._characters += len(document.text)
            if self._characters >= ROW_GROUP_CHARACTERS:
                self._flush()

    def close(self) -> None:
        """Write what is left and the arrays."""
        self._flush()
        empty = {
            "keys": np.empty((0, 2), np.uint64),
            "families": np.empty((0, 2), np.uint64),
            "bands": np.empty((0, self.num_bands), np.uint64),
            "bytes": np.empty(0, np.int64),
        }
        for name, parts in self._columns.items():
            np.save(self.folder / f"{name}.npy", np.concatenate([empty[name], *parts]), allow_pickle=False)

    def _flush(self) -> None:
        if self._rows:
            self._parquet.write_table(pyarrow.Table.from_pylist(self._rows, schema=SCHEMA))
        self._rows, self._characters = [], 0


@dataclass(frozen=True, slots=True)
class Stored:
    """A curated document as it was stored."""

    name: str
    url: str
    language: str
    language_score: float
    text: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    edits: dict[str, int] = field(default_factory=dict)


def read_columns(folders: list[Path], *, num_bands: int) -> Columns:
    """The arrays of several slices, one after the other: 40 bytes and 8 a band of memory a document."""

    def load(name: str, empty: np.ndarray) -> np.ndarray:
        return np.concatenate([empty, *(np.load(folder / f"{name}.npy", allow_pickle=False) for folder in folders)])

    pairs = np.empty((0, 2), np.uint64)
    return Columns(
        keys_N2=load("keys", pairs),
        families_N2=load("families", pairs),
        bands_NB=load("bands", np.empty((0, num_bands), np.uint64)),
        num_bytes_N=load("bytes", np.empty(0, np.int64)),
    )


def read_documents(folder: Path, *, with_text: bool = True) -> Iterator[Stored]:
    """The documents of a slice in order, a few hundred in memory at a time; without their texts much faster."""
    columns = SCHEMA.names if with_text else [name for name in SCHEMA.names if name != "text"]
    with pyarrow.parquet.ParquetFile(folder / DOCUMENTS) as file:
        for batch in file.iter_batches(batch_size=ROWS_READ_AT_ONCE, columns=columns):
            for row in batch.to_pylist():
                labels, edits = json.loads(row.pop("labels")), json.loads(row.pop("edits"))
                yield Stored(**row, labels=labels, edits=edits)


def read_sizes(folder: Path) -> np.ndarray:
    """The UTF-8 bytes of every document of a slice, int64."""
    return np.load(folder / "bytes.npy", allow_pickle=False)


def as_pairs(keys: list[bytes]) -> np.ndarray:
    """16-byte keys as uint64 `[N, 2]`."""
    return np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2).astype(np.uint64)


def _family_key(family: str) -> bytes:
    return hashlib.blake2b(family.encode(), digest_size=16, person=b"family").digest() if family else b""


def _row_of(document: Document) -> dict:
    return {
        "text": document.text,
        "name": document.name,
        "url": document.url,
        "language": document.language,
        "language_score": document.language_score,
        "labels": json.dumps(document.labels, sort_keys=True),
        "edits": json.dumps(document.edits, sort_keys=True),
    }
