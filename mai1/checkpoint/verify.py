"""Which checkpoint to resume from: the newest whose every file has the SHA-256 it was saved with.

Each rank hashes a share of the bytes, in several threads. What is read here stays in the system's file cache, and a rank's
share is what it wrote itself where the topology is the same, so that loading reads the disk no second time.
"""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mai1.checkpoint.manifest import MANIFEST, read_manifest
from mai1.dist import World, gather_json

NUM_THREADS = max(4, min(8, os.cpu_count() or 1))
"""Of a rank; some of them wait for the disk."""
BLOCK_BYTES = 2**20
"""Hashed while it is still in the processor's cache."""
LAST_STEP = 99_999_999


def checkpoints_in(folder: Path) -> list[Path]:
    """Finished checkpoints of a run, newest first."""
    found = [path for path in folder.glob("step_*") if (path / MANIFEST).is_file()]
    return sorted(found, reverse=True)


def newest_sound_checkpoint(folder: Path, world: World, *, up_to_step: int = LAST_STEP) -> Path | None:
    """The newest checkpoint whose files are as saved, None before the first; damaged ones are named and passed over.

    Of those with at most `up_to_step` steps done; the same on every rank. ValueError when there are such checkpoints and
    none is sound: starting anew would throw the run away.
    """
    known = checkpoints_in(folder) if world.is_main else []
    names = gather_json([path.name for path in known if path.name <= f"step_{up_to_step:08d}"], world)[0]
    for name in names:
        problems = verify(folder / name, world)
        if not problems:
            return folder / name
        world.say(f"warning: {folder / name} is damaged ({'; '.join(problems[:3])}): trying the one before")
    if names:
        raise ValueError(
            f"{folder} has no sound checkpoint, {len(names)} are damaged: restore one, or choose another run.name"
        )
    return None


def verify(directory: Path, world: World) -> list[str]:
    """What is wrong with a checkpoint, the same list on every rank; empty when it is sound."""
    try:
        manifest = read_manifest(directory)
        mine = problems_in(directory, manifest, rank=world.rank, num_ranks=world.size)
    except (ValueError, OSError) as error:
        mine = [str(error)]
    return list(dict.fromkeys(problem for part in gather_json(mine, world) for problem in part))


def problems_in(
    directory: Path,
    manifest: dict,
    *,
    rank: int = 0,
    num_ranks: int = 1,
    on_bytes: Callable[[int], object] | None = None,
) -> list[str]:
    """What is wrong with a rank's share of the files against the manifest; `on_bytes` hears how many were hashed."""
    names = share_of_rank(manifest["files"], rank=rank, num_ranks=num_ranks)
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        problems = pool.map(lambda name: _problem(directory / name, name, manifest["files"][name], on_bytes), names)
        return [problem for problem in problems if problem]


def share_of_rank(files: dict[str, dict], *, rank: int, num_ranks: int) -> list[str]:
    """A rank's files: runs of about equal bytes in the order of who wrote them, the largest first."""
    in_order = sorted(files, key=lambda name: (files[name].get("rank", 0), name))
    total, passed, mine = sum(entry["bytes"] for entry in files.values()) or 1, 0, []
    for name in in_order:
        middle = passed + files[name]["bytes"] // 2
        if min(middle * num_ranks // total, num_ranks - 1) == rank:
            mine.append(name)
        passed += files[name]["bytes"]
    return sorted(mine, key=lambda name: -files[name]["bytes"])


def _problem(path: Path, name: str, entry: dict, on_bytes: Callable[[int], object] | None) -> str | None:
    try:
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != entry["bytes"]:
            return f"{name} has {path.stat().st_size} bytes instead of {entry['bytes']}"
        if sha256_of(path, on_bytes) != entry["sha256"]:
            return f"{name} has another SHA-256 than when it was saved"
    except OSError as error:
        return f"{name} cannot be read ({error})"
    return None


def sha256_of(path: Path, on_bytes: Callable[[int], object] | None = None) -> str:
    """The hash of a file; `on_bytes` hears how many bytes were read."""
    found, block = hashlib.sha256(), memoryview(bytearray(BLOCK_BYTES))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(block):
            found.update(block[:count])
            if on_bytes is not None:
                on_bytes(count)
    return found.hexdigest()
