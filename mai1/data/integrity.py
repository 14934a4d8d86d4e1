"""Before training: every file of every shard against its manifest's SHA-256, in parallel, and once while it is unchanged.

What was found sound is remembered with size, time of change and inode, so that resuming a run does not read terabytes
again. Ranks that see the same files share the work; ranks with copies of their own check their own.
"""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tqdm import tqdm

from mai1.data.shards import RESTORE, Shard
from mai1.dist import World, gather_json

CHUNK_BYTES = 8 << 20
MAX_THREADS = 16
MAX_MEMORY_BYTES = 64 << 20


class OnDamagedShard(Enum):
    """What becomes of a run whose data is not as it was prepared."""

    stop = "stop"
    quarantine = "quarantine"


@dataclass(frozen=True, slots=True)
class Damage:
    """A shard that is not as it was written."""

    shard: str
    """Path without ending."""
    reason: str
    """File, what is wrong with it, mend."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    shard: str
    sha256: str
    identity: str
    """Path, size, time of change and inode: while it stays the same, so does the content."""
    num_bytes: int


def damaged_shards(shards: list[Shard], *, memory: Path, world: World) -> list[Damage]:
    """Shards whose files are missing or have another content than their manifest says; the same list on every rank.

    Every rank takes part. Rank 0 keeps in `memory` what was found sound.
    """
    damages, files = _describe_all(shards)
    known = _recall(memory)
    unknown = sorted((f for f in files if known.get(f.identity) != f.sha256), key=lambda f: (-f.num_bytes, f.identity))
    mine = _share(unknown, world)
    reasons = _hash_all(mine, is_silent=not world.is_main)
    damages += [Damage(file.shard, reason) for file, reason in zip(mine, reasons, strict=True) if reason]
    sound = {file.identity: file.sha256 for file, reason in zip(mine, reasons, strict=True) if not reason}
    told = gather_json([[[damage.shard, damage.reason] for damage in damages], sound], world)
    if world.is_main and any(fresh for _, fresh in told):
        for _, fresh in told:
            known |= fresh
        _remember(memory, known)
    found = {Damage(*pair) for pairs, _ in told for pair in pairs}
    return sorted(found, key=lambda damage: (damage.shard, damage.reason))


def _describe_all(shards: list[Shard]) -> tuple[list[Damage], list[_File]]:
    """What cannot even be looked at, and what there is to verify."""
    damages, files = [], []
    for shard in shards:
        for path, digest in shard.sha256.items():
            try:
                files.append(_describe(path, shard, digest))
            except OSError as error:
                damages.append(Damage(str(shard.stem), f"{path} cannot be read ({error.strerror}): {RESTORE}"))
    return damages, files


def _describe(path: Path, shard: Shard, digest: str) -> _File:
    state = path.stat()
    identity = f"{path.absolute()} {state.st_size} {state.st_mtime_ns} {state.st_ino}"
    return _File(path, str(shard.stem), digest, identity, state.st_size)


def _share(files: list[_File], world: World) -> list[_File]:
    """This rank's part of what it and the ranks that see the very same files have to read."""
    view = hashlib.sha256("\n".join(file.identity for file in files).encode()).hexdigest()
    views = gather_json(view, world)
    peers = [rank for rank, other in enumerate(views) if other == view]
    return files[peers.index(world.rank) :: len(peers)]


def _hash_all(files: list[_File], *, is_silent: bool) -> list[str]:
    """Why each file is damaged; empty for a sound one."""
    total, num_threads = sum(file.num_bytes for file in files), min(MAX_THREADS, len(os.sched_getaffinity(0)))
    bar = tqdm(desc="verify shards", total=total, unit="B", unit_scale=True, disable=is_silent, leave=False, delay=2)
    with bar, ThreadPoolExecutor(num_threads) as pool:
        return list(pool.map(lambda file: _reason(file, bar), files))


def _reason(file: _File, bar: tqdm) -> str:
    digest, buffer = hashlib.sha256(), bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    try:
        with open(file.path, "rb", buffering=0) as opened:
            while count := opened.readinto(buffer):
                digest.update(view[:count])
                bar.update(count)
    except OSError as error:
        return f"{file.path} cannot be read ({error.strerror}): {RESTORE}"
    if digest.hexdigest() == file.sha256:
        return ""
    return f"{file.path} has another SHA-256 than its manifest states: {RESTORE}"


def _recall(memory: Path) -> dict[str, str]:
    """What was remembered; nothing where that cannot be read, so everything is read again."""
    try:
        known = json.loads(memory.read_bytes()) if memory.stat().st_size <= MAX_MEMORY_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(memory: Path, sound: dict[str, str]) -> None:
    fresh = memory.with_name(memory.name + ".new")
    fresh.write_text(json.dumps(sound, indent=1) + "\n", encoding="utf-8")
    os.replace(fresh, memory)
