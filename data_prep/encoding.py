"""The task `encode`: the chosen documents of one slice to ids; and the shards that the slices' ids are joined to."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow
import pyarrow.parquet

from data_prep.dedup.passages import PassageConfig, PassageUnit
from data_prep.repeats import selected_documents, shortened
from data_prep.selection import Fate
from data_prep.splitting import HeldoutKind, split_tail
from data_prep.store import DESCRIPTION, Stored
from mai1.data.shards import ShardWriter
from mai1.tokenizer.bulk import BulkEncoder, Library
from mai1.tokenizer.tokenizer import Tokenizer, holds_tokenizer

SPLITS = ("train", "heldout")
BATCH_CHARACTERS = 1 << 20
IDS_READ_AT_ONCE = 1 << 24
CARDS = pyarrow.schema(
    [*DESCRIPTION, ("scores", pyarrow.string()), ("bytes", pyarrow.int64()), ("tokens", pyarrow.int64())]
)
"""NAME.docs.parquet: a row for each document of NAME.bin, in its order."""


@dataclass(frozen=True, slots=True)
class EncodeTask:
    """What one slice is encoded with; everything that its result depends on."""

    documents: str
    """The folder of the curated slice."""

    selected: str
    """The folder of the slice's `fate.npy` and `scores.npz`, and of `roles.npy` where passages are cut."""

    passages: PassageConfig
    heldout: HeldoutKind
    heldout_fraction: float
    tokenizer: str = ""
    """The folder of the tokenizer, named by its content."""

    library: Library = Library.auto


@dataclass(frozen=True, slots=True)
class Part:
    """A text on its way into a split, and what is known of its document."""

    split: str
    text: str
    document: Stored
    scores: dict[str, float] = field(default_factory=dict)
    num_cut: int = 0
    """Characters of the document that were cut because they stood in others before."""


def encode(task: EncodeTask, folder: Path) -> dict:
    """Write the ids, lengths and cards of the slice's documents for each split; returns their sums."""
    encoder = _encoder(task.tokenizer, task.library)
    end_of_text_id = encoder.tokenizer.end_of_text_id
    sums = {split: {"documents": 0, "bytes": 0, "tokens": 0} for split in SPLITS}
    cut = {"documents": 0, "characters": 0, "emptied": 0}
    with ExitStack() as stack:
        writers = {split: stack.enter_context(_SplitWriter(folder, split)) for split in SPLITS}
        for batch in _batches(parts_of(task)):
            for part, ids in zip(batch, encoder.encode([part.text for part in batch]), strict=True):
                cut["documents"] += part.num_cut > 0
                cut["characters"] += part.num_cut
                if not part.text.strip():
                    cut["emptied"] += 1
                    continue
                ids = np.append(ids, end_of_text_id).astype("<i4")
                num_bytes = len(part.text.encode())
                writers[part.split].add(part, ids, num_bytes)
                for key, number in (("documents", 1), ("bytes", num_bytes), ("tokens", len(ids))):
                    sums[part.split][key] += number
    return sums | {"cut": cut, "library": encoder.library.value}


@lru_cache(maxsize=1)
def _encoder(tokenizer: str, library: Library) -> BulkEncoder:
    """Made once in a process: it takes as long as the ids of several megabytes, and the folder's name is its content's."""
    return BulkEncoder(Tokenizer.load(Path(tokenizer)), library)


def parts_of(task: EncodeTask) -> Iterator[Part]:
    """The texts of a slice that were chosen, with the split of each; without what stood in other documents before."""
    selected = Path(task.selected)
    fate_N = np.load(selected / "fate.npy", allow_pickle=False)
    kept_K = np.flatnonzero(fate_N)
    documents = selected_documents(Path(task.documents), selected)
    texts = ((document, document.text) for document in documents)
    if task.passages.unit is not PassageUnit.off:
        texts = shortened(documents, np.load(selected / "roles.npy", allow_pickle=False), task.passages)
    with np.load(selected / "scores.npz", allow_pickle=False) as columns:
        scores_N = {name: columns[name] for name in columns.files}
    for number, (document, text) in zip(kept_K.tolist(), texts, strict=True):
        scores = {
            name: round(float(values[number]), 6) for name, values in scores_N.items() if np.isfinite(values[number])
        }
        if task.heldout is HeldoutKind.tail and task.heldout_fraction:
            train, heldout = split_tail(text, fraction=task.heldout_fraction)
            yield Part("train", train, document, scores, num_cut=len(document.text) - len(text))
            if heldout:
                yield Part("heldout", heldout, document, scores)
        else:
            split = Fate(fate_N[number]).name
            yield Part(split, text, document, scores, num_cut=len(document.text) - len(text))


def load_tokenizer(directory: str) -> Tokenizer:
    """The tokenizer of a tokenizer, corpus or checkpoint directory."""
    path = Path(directory).expanduser()
    inside = path / "tokenizer"
    try:
        return Tokenizer.load(inside if holds_tokenizer(inside) else path)
    except ValueError as error:
        raise ValueError(f"tokenizer_from={directory} must hold a tokenizer: {error}") from error


class _SplitWriter:
    """The files of one split of a slice: SPLIT.bin (int32 ids), SPLIT.lengths.npy, SPLIT.parquet."""

    def __init__(self, folder: Path, split: str) -> None:
        self.folder, self.split = folder, split
        self._ids = open(folder / f"{split}.bin", "wb")  # noqa: SIM115 (closed in __exit__)
        self._cards = pyarrow.parquet.ParquetWriter(folder / f"{split}.parquet", CARDS, compression="zstd")
        self._lengths: list[int] = []
        self._rows: list[dict] = []

    def __enter__(self) -> "_SplitWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._cards.write_table(pyarrow.Table.from_pylist(self._rows, schema=CARDS))
        self._cards.close()
        self._ids.close()
        np.save(self.folder / f"{self.split}.lengths.npy", np.array(self._lengths, dtype=np.int64), allow_pickle=False)

    def add(self, part: Part, ids: np.ndarray, num_bytes: int) -> None:
        self._ids.write(ids.tobytes())
        self._lengths.append(len(ids))
        document = part.document
        self._rows.append(
            {
                "name": document.name,
                "url": document.url,
                "language": document.language,
                "language_score": document.language_score,
                "labels": json.dumps(document.labels, sort_keys=True),
                "edits": json.dumps(document.edits, sort_keys=True),
                "scores": json.dumps(part.scores, sort_keys=True),
                "bytes": num_bytes,
                "tokens": len(ids),
            }
        )


def join_shards(
    folders: list[Path], directory: Path, name: str, *, vocab_size: int, manifests: dict[str, dict]
) -> None:
    """The slices' ids one after the other as SPLIT/NAME, with the documents' cards; a split without documents has none."""
    for split, manifest in manifests.items():
        if not manifest["documents"]:
            continue
        with ShardWriter(directory / split / name, vocab_size=vocab_size) as writer:
            for folder in folders:
                _append(writer, folder, split)
            facts = {key: value for key, value in manifest.items() if key not in ("documents", "tokens")}
            writer.close({**facts, "split": split})
        with pyarrow.parquet.ParquetWriter(
            directory / split / f"{name}.docs.parquet", CARDS, compression="zstd"
        ) as cards:
            for folder in folders:
                cards.write_table(pyarrow.parquet.read_table(folder / f"{split}.parquet", schema=CARDS))


def _append(writer: ShardWriter, folder: Path, split: str) -> None:
    """Whole documents, as many at a time as a bounded number of ids holds, at least one."""
    lengths = np.load(folder / f"{split}.lengths.npy", allow_pickle=False)
    ends = np.cumsum(lengths)
    first = 0
    with open(folder / f"{split}.bin", "rb") as file:
        while first < len(lengths):
            done = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, done + IDS_READ_AT_ONCE, side="right")))
            count = int(ends[last - 1]) - done
            writer.add_all(np.frombuffer(file.read(4 * count), dtype="<i4"), lengths[first:last].tolist())
            first = last


def _batches(parts: Iterator[Part]) -> Iterator[list[Part]]:
    batch: list[Part] = []
    characters = 0
    for part in parts:
        batch.append(part)
        characters += len(part.text)
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
