"""Token shards: the Megatron indexed dataset (NAME.bin and NAME.idx) with a manifest beside it (NAME.json).

    NAME.idx   magic, version u64, dtype code u8, sequences u64, document marks u64,
               lengths int32[sequences], byte offsets int64[sequences], document marks int64[documents + 1]
    NAME.bin   the ids of all sequences, one after the other, little endian

We write one sequence a document; shards of other programs may hold several. Nothing a file claims is believed before it
is checked against the file's size.
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from mai1.data.reference import ReferenceLosses
from mai1.data.shard_index import DTYPES, HEADER, MAGIC, RESTORE, ShardIndex

FORMAT = "mai1-shard"
VERSION = 1
MAX_MANIFEST_BYTES = 64 << 20


class ShardWriter:
    """Writes one shard under temporary names; `close` makes it visible, anything else leaves nothing."""

    def __init__(self, path_stem: Path, *, vocab_size: int) -> None:
        self.stem, self.vocab_size = Path(path_stem), vocab_size
        self.code = 8 if vocab_size < 65_500 else 4  # the rule Megatron readers expect
        self._lengths: list[int] = []
        self._hash = hashlib.sha256()
        self.stem.parent.mkdir(parents=True, exist_ok=True)
        self._bin = open(self._staged(".bin"), "wb")  # noqa: SIM115 (closed in close and abandon)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.abandon()

    @property
    def num_documents(self) -> int:
        """Documents added so far."""
        return len(self._lengths)

    @property
    def num_tokens(self) -> int:
        """Tokens added so far."""
        return sum(self._lengths)

    def add(self, ids: np.ndarray) -> None:
        """Append one document."""
        ids = np.asarray(ids)
        if ids.ndim != 1 or not len(ids) or len(ids) >= 1 << 31:
            raise ValueError(f"{self.stem}: a document must be a row of 1 to 2147483647 ids, but has shape {ids.shape}")
        self.add_all(ids, [len(ids)])

    def add_all(self, ids: np.ndarray, lengths: list[int]) -> None:
        """Append documents whose ids stand one after the other."""
        assert len(ids) == sum(lengths) and min(lengths, default=1) > 0
        if len(ids) and (int(ids.min()) < 0 or int(ids.max()) >= self.vocab_size):
            raise ValueError(f"{self.stem}: ids must be from 0 to {self.vocab_size - 1}: use the shard's own tokenizer")
        data = ids.astype(DTYPES[self.code]).tobytes()
        self._bin.write(data)
        self._hash.update(data)
        self._lengths += lengths

    def close(self, manifest: dict) -> dict:
        """Write index and manifest, flush all to disk and rename; returns the manifest as written."""
        index = self._index()
        full = {
            "format": FORMAT,
            "version": VERSION,
            "vocab_size": self.vocab_size,
            **manifest,
            "documents": self.num_documents,
            "tokens": self.num_tokens,
            "sha256": {"bin": self._hash.hexdigest(), "idx": hashlib.sha256(index).hexdigest()},
        }
        _flush(self._bin)
        self._bin.close()
        for ending, data in ((".idx", index), (".json", (json.dumps(full, indent=2) + "\n").encode())):
            with open(self._staged(ending), "wb") as file:
                file.write(data)
                _flush(file)
        for ending in (".bin", ".json", ".idx"):  # the index last: a shard without it is no shard
            os.replace(self._staged(ending), with_ending(self.stem, ending))
        return full

    def abandon(self) -> None:
        """Remove what is staged; harmless after `close`."""
        self._bin.close()
        for ending in (".bin", ".idx", ".json"):
            self._staged(ending).unlink(missing_ok=True)

    def _index(self) -> bytes:
        lengths = np.array(self._lengths, dtype="<i4")
        marks = np.arange(len(lengths) + 1, dtype="<i8")
        offsets = _starts(lengths) * np.dtype(DTYPES[self.code]).itemsize
        header = HEADER.pack(MAGIC, 1, self.code, len(lengths), len(marks))
        return header + lengths.tobytes() + offsets.astype("<i8").tobytes() + marks.tobytes()

    def _staged(self, ending: str) -> Path:
        return self.stem.parent / f".{self.stem.name}{ending}.{os.getpid()}.staged"


@dataclass(slots=True, eq=False)
class Shard:
    """A shard open for reading; the same ids as were added, document by document.

    Files are read and not mapped: a file that shrinks or a disk that fails is then an error with a name, where a map would
    end the process by a signal.
    """

    stem: Path
    """Path without ending."""

    index: ShardIndex
    """NAME.idx."""

    manifest: dict
    """NAME.json; empty for a shard of another program that has none."""

    _file: BinaryIO
    """NAME.bin."""

    reference: ReferenceLosses | None = None
    """Another model's loss on each id, where that is asked for and was scored."""

    _documents: tuple[np.ndarray, np.ndarray] | None = None
    """Starts and lengths, once they were asked for."""

    @classmethod
    def open(cls, path_stem: Path) -> "Shard":
        """Open a shard; ValueError names the file, the broken rule and the mend."""
        stem = Path(path_stem)
        index, manifest = ShardIndex.open(with_ending(stem, ".idx")), _read_manifest(with_ending(stem, ".json"))
        for key, value in (("documents", index.num_documents), ("tokens", index.num_tokens)):
            if manifest and manifest[key] != value:
                path = with_ending(stem, ".json")
                raise ValueError(f"{path} states {key}={manifest[key]!r}, but the shard has {value}: {RESTORE}")
        file = _open_tokens(with_ending(stem, ".bin"), num_bytes=index.num_tokens * index.dtype.itemsize)
        return cls(stem, index, manifest, file)

    @property
    def num_documents(self) -> int:
        """Documents in the shard."""
        return self.index.num_documents

    @property
    def num_tokens(self) -> int:
        """Ids in the shard."""
        return self.index.num_tokens

    @property
    def dtype(self) -> np.dtype:
        """What an id is on disk."""
        return self.index.dtype

    @property
    def starts(self) -> np.ndarray:
        """Where each document begins among all ids, int64; kept from the first time on, 16 bytes a document with `lengths`."""
        return self._kept_documents()[0]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each document, int64."""
        return self._kept_documents()[1]

    @property
    def tokens(self) -> np.ndarray:
        """All ids in document order, read into memory."""
        return self.read(0, self.num_tokens)

    @property
    def sha256(self) -> dict[Path, str]:
        """Each file and the digest its manifest claims; nothing for a shard without a manifest."""
        files = {with_ending(self.stem, f".{name}"): digest for name, digest in self.manifest.get("sha256", {}).items()}
        return files if self.reference is None else files | self.reference.sha256

    @property
    def identity(self) -> list[tuple[str, str]]:
        """Digests of what is learned from it, by the kind of file."""
        files = sorted(self.manifest["sha256"].items())
        is_learned_from = self.reference is not None and self.reference.is_learned_from
        return [*files, *(("ref", digest) for digest in self.reference.sha256.values())] if is_learned_from else files

    def document(self, number: int) -> np.ndarray:
        """The ids of one document."""
        if not 0 <= number < self.num_documents:
            raise IndexError(f"document {number} of {self.stem} must be from 0 to {self.num_documents - 1}")
        return self.read(int(self.starts[number]), int(self.lengths[number]))

    def read(self, start: int, count: int) -> np.ndarray:
        """`count` ids from `start` on; ValueError names the file when it does not hold them any more."""
        ids = np.empty(count, dtype=self.dtype)
        unread, place = ids.view(np.uint8), start * self.dtype.itemsize
        while len(unread):
            try:
                num_bytes = os.preadv(self._file.fileno(), [unread], place)
            except OSError as error:
                raise ValueError(f"{self._file.name} cannot be read at byte {place} ({error}): {RESTORE}") from error
            if not num_bytes:
                raise ValueError(
                    f"{self._file.name} ends before byte {place}, earlier than when it was opened: {RESTORE}"
                )
            unread, place = unread[num_bytes:], place + num_bytes
        self._check_ids(ids, start)
        return ids

    def open_reference(self, *, is_learned_from: bool) -> None:
        """Read its reference losses from now on, if it was scored; ValueError where they are damaged or another's."""
        self.reference = ReferenceLosses.open(
            self.stem,
            num_tokens=self.num_tokens,
            bin_sha256=self.manifest["sha256"]["bin"],
            tokenizer_hash=str(self.manifest.get("tokenizer_hash", "")),
            is_learned_from=is_learned_from,
        )

    def verify(self) -> None:
        """Compare all files with the hashes in the manifest (reads them whole); ValueError when they differ."""
        for path, expected in self.sha256.items():
            with open(path, "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                    raise ValueError(f"{path} must have the SHA-256 of its manifest: {RESTORE}")

    def _kept_documents(self) -> tuple[np.ndarray, np.ndarray]:
        if self._documents is None:
            bounds = self.index.bounds()
            self._documents = bounds[:-1], np.diff(bounds)
        return self._documents

    def _check_ids(self, ids: np.ndarray, start: int) -> None:
        """An id outside the vocabulary would end training inside the embedding, where nobody knows the file."""
        vocab_size = self.manifest.get("vocab_size", np.iinfo(self.dtype).max + 1)
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < vocab_size:
            place = start + int(np.flatnonzero((ids < 0) | (ids >= vocab_size))[0])
            raise ValueError(f"{self._file.name} holds id {ids[place - start]} at {place}, of {vocab_size}: {RESTORE}")


def _open_tokens(path: Path, *, num_bytes: int) -> BinaryIO:
    size = path.stat().st_size if path.is_file() else "no"
    if size != num_bytes:
        raise ValueError(f"{path} has {size} bytes, but its index claims {num_bytes}: {RESTORE}")
    return open(path, "rb", buffering=0)  # noqa: SIM115 (held for as long as the shard is read)


def _read_manifest(path: Path) -> dict:
    if not path.is_file():
        return {}
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise ValueError(f"{path} must have at most {MAX_MANIFEST_BYTES} bytes: {RESTORE}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must be JSON ({error}): {RESTORE}") from error
    if not isinstance(manifest, dict) or (manifest.get("format"), manifest.get("version")) != (FORMAT, VERSION):
        raise ValueError(f"{path} must hold a JSON object of format {FORMAT} and version {VERSION}: {RESTORE}")
    for key in ("vocab_size", "documents", "tokens"):
        if type(manifest.get(key)) is not int:
            raise ValueError(f"{path} must state {key} as an integer, but has {str(manifest.get(key))[:40]}: {RESTORE}")
    digests = manifest.get("sha256")
    if not isinstance(digests, dict) or {"bin", "idx"} != digests.keys() or not all(map(_is_digest, digests.values())):
        raise ValueError(f"{path} must state the sha256 of bin and idx: {RESTORE}")
    return manifest


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.cumsum(lengths, dtype=np.int64) - lengths


def with_ending(stem: Path, ending: str) -> Path:
    """A file of a shard."""
    return stem.parent / (stem.name + ending)  # not with_suffix: a stem may hold dots


def _flush(file) -> None:
    file.flush()
    os.fsync(file.fileno())
