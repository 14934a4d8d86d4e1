"""Reference losses: what another model's loss on each id of a shard is, in a file beside the shard.

    NAME.ref        uint8 per id of NAME.bin, in its order: the loss in sixteenths of a nat, 255 for all from 15.9 on
    NAME.ref.json   of which model and which shard, what was spent on it, the digest of NAME.ref

The loss of an id is that of the text before it in its document, the first one's after end-of-text. It is wrong by at most
1/32 nat where it is below 15.9. Nothing the files claim is believed before it is checked against the shard.
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

FORMAT, VERSION = "mai1-reference", 1
MAX_MANIFEST_BYTES = 1 << 20
STEPS_PER_NAT, LARGEST = 16, 255
"""Of a loss as it is kept."""
SCORE_AGAIN = "run `mai1 score` again, or remove the file"
_FLOPS = re.compile("[0-9]{1,40}")


@dataclass(slots=True, eq=False)
class ReferenceLosses:
    """The reference losses of one shard, open for reading."""

    path: Path
    """NAME.ref."""
    manifest: dict
    """NAME.ref.json."""
    is_learned_from: bool
    """Whether what is learned depends on them: then a run that resumes must find the same ones."""
    _file: BinaryIO

    @classmethod
    def open(
        cls, stem: Path, *, num_tokens: int, bin_sha256: str, tokenizer_hash: str, is_learned_from: bool
    ) -> "ReferenceLosses | None":
        """Those of the shard with this path, size, digest and tokenizer; None where it was never scored.

        ValueError for files that are damaged or belong to another shard; their digest is left to the integrity check.
        """
        path, described = reference_paths(stem)
        if not described.is_file():
            return None
        manifest = _read_manifest(described)
        expected = {"shard_sha256": bin_sha256, "tokenizer_hash": tokenizer_hash, "tokens": num_tokens}
        for key, value in expected.items():
            if manifest[key] != value:
                raise ValueError(
                    f"{described} states {key}={str(manifest[key])[:12]}, but {stem}.bin has {str(value)[:12]}: these are "
                    f"the reference losses of another shard: {SCORE_AGAIN}"
                )
        size = path.stat().st_size if path.is_file() else "no"
        if size != num_tokens:
            raise ValueError(f"{path} has {size} bytes, but {stem}.bin holds {num_tokens} ids: {SCORE_AGAIN}")
        return cls(path, manifest, is_learned_from, open(path, "rb", buffering=0))  # noqa: SIM115 (held with the shard)

    @property
    def sha256(self) -> dict[Path, str]:
        """The file and the digest that is claimed for it."""
        return {self.path: self.manifest["sha256"]}

    @property
    def model(self) -> str:
        """SHA-256 of the manifest of the checkpoint that scored."""
        return self.manifest["model"]

    @property
    def flops(self) -> int:
        """What scoring has cost."""
        return int(self.manifest["flops"])

    def read(self, start: int, count: int) -> np.ndarray:
        """The losses of `count` ids from `start` on, uint8 in sixteenths of a nat."""
        steps = np.empty(count, dtype=np.uint8)
        unread, place = steps, start
        while len(unread):
            num_bytes = os.preadv(self._file.fileno(), [unread], place)
            if not num_bytes:
                raise ValueError(f"{self.path} ends before byte {place}: {SCORE_AGAIN}")
            unread, place = unread[num_bytes:], place + num_bytes
        return steps


def quantize(nats: np.ndarray) -> np.ndarray:
    """Losses in nats as they are kept; a loss that is not a number becomes the largest."""
    steps = np.rint(np.nan_to_num(nats, nan=LARGEST, posinf=LARGEST) * STEPS_PER_NAT)
    return np.clip(steps, 0, LARGEST).astype(np.uint8)


def reference_paths(stem: Path) -> tuple[Path, Path]:
    """NAME.ref and NAME.ref.json of a shard."""
    return stem.parent / f"{stem.name}.ref", stem.parent / f"{stem.name}.ref.json"


def write_reference(stem: Path, parts: list[Path], facts: dict) -> dict:
    """Put the parts together as the shard's reference losses; returns the manifest. The description becomes visible last."""
    path, described = reference_paths(stem)
    staged, digest = path.with_name(f".{path.name}.{os.getpid()}.staged"), hashlib.sha256()
    with open(staged, "wb") as file:
        for part in parts:
            data = part.read_bytes()
            file.write(data)
            digest.update(data)
        file.flush()
        os.fsync(file.fileno())
    manifest = {"format": FORMAT, "version": VERSION, **facts, "sha256": digest.hexdigest()}
    described.unlink(missing_ok=True)
    os.replace(staged, path)
    staged.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    os.replace(staged, described)
    return manifest


def _read_manifest(path: Path) -> dict:
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise ValueError(f"{path} must have at most {MAX_MANIFEST_BYTES} bytes: {SCORE_AGAIN}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must be JSON ({error}): {SCORE_AGAIN}") from error
    if not isinstance(manifest, dict) or (manifest.get("format"), manifest.get("version")) != (FORMAT, VERSION):
        raise ValueError(f"{path} must hold a JSON object of format {FORMAT} and version {VERSION}: {SCORE_AGAIN}")
    for key in ("sha256", "shard_sha256", "model"):
        if not isinstance(manifest.get(key), str) or not re.fullmatch("[0-9a-f]{64}", manifest[key]):
            raise ValueError(f"{path} must state {key} as a SHA-256: {SCORE_AGAIN}")
    if type(manifest.get("tokens")) is not int or not isinstance(manifest.get("tokenizer_hash"), str):
        raise ValueError(f"{path} must state tokens and tokenizer_hash: {SCORE_AGAIN}")
    if type(manifest.get("flops")) is not int or not _FLOPS.fullmatch(str(manifest["flops"])):
        raise ValueError(f"{path} must state flops as a whole number that is not negative: {SCORE_AGAIN}")
    return manifest
