"""The commit protocol: a checkpoint directory is either complete and verified, or it does not exist.

stage directory -> every rank writes and fsyncs its files -> manifest with sizes and SHA-256 -> atomic rename ->
`latest` by os.replace. A kill between any two of these leaves the previous checkpoint as the latest.
"""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from mai1.dist import World, any_rank, barrier, gather_json

MANIFEST = "manifest.json"
STAGE_PREFIX = ".staging-"


def write_file(path: Path, data: bytes) -> None:
    """Write and fsync; a full disk is reported as what it is."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write a safetensors file and fsync, with the permissions any new file gets; OSError when the disk refuses."""
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:  # how safetensors reports a full disk
        raise OSError(errno.ENOSPC, f"cannot write ({error})", str(path)) from None
    with open(path, "rb") as file:
        os.fsync(file.fileno())
    path.chmod(0o666 & ~_umask())


def write_json(path: Path, value: object) -> None:
    """Write JSON and fsync."""
    write_file(path, (json.dumps(value, indent=1) + "\n").encode())


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    current = os.umask(0o077)
    os.umask(current)
    return current


def sync_directory(path: Path) -> None:
    """Make renames and new names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Hex digest of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def begin(directory: Path, world: World) -> Path:
    """A fresh stage directory beside the checkpoint to be; leftovers of killed saves are removed."""
    stage = directory.with_name(STAGE_PREFIX + directory.name)
    if world.is_main:
        for leftover in directory.parent.glob(STAGE_PREFIX + "*"):
            shutil.rmtree(leftover)
        stage.mkdir(parents=True, mode=0o755)
    barrier(world)
    return stage


def commit(stage: Path, directory: Path, *, written: list[Path], manifest: dict, world: World) -> None:
    """Publish the stage as `directory`. `written` are this rank's files, already fsynced; `manifest` is rank 0's."""
    mine = {str(p.relative_to(stage)): {"bytes": p.stat().st_size, "sha256": sha256_of(p)} for p in written}
    files = {name: entry for part in gather_json(mine, world) for name, entry in part.items()}
    if world.is_main:
        write_json(stage / MANIFEST, manifest | {"files": dict(sorted(files.items()))})
        for folder in {stage, *(path.parent for path in stage.rglob("*"))}:
            sync_directory(folder)
        if directory.exists():  # damaged, and passed over when the run went on from the one before
            discard(directory)
        os.rename(stage, directory)
        sync_directory(directory.parent)
        point_latest(directory)
    barrier(world)


def discard(directory: Path) -> None:
    """Delete a checkpoint; renamed first, so that a half-deleted one is never taken for finished."""
    trash = directory.with_name(STAGE_PREFIX + "trash-" + directory.name)
    os.rename(directory, trash)
    shutil.rmtree(trash, ignore_errors=True)


def point_latest(directory: Path) -> None:
    """Make the symbolic link `latest` name this checkpoint, atomically."""
    link = directory.with_name(".latest.new")
    link.unlink(missing_ok=True)
    link.symlink_to(directory.name)
    os.replace(link, directory.with_name("latest"))
    sync_directory(directory.parent)


def read_manifest(directory: Path) -> dict:
    """The manifest of a checkpoint; ValueError where there is none or it is not ours."""
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        if manifest["format"] != "mai1-checkpoint" or manifest["version"] != 1:
            raise ValueError("format")
        files = manifest["files"]
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in files):
            raise ValueError("a file name leaves the directory")
    except FileNotFoundError:
        raise ValueError(f"{directory} has no {MANIFEST}: it is no finished mai1 checkpoint") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no manifest of a mai1 checkpoint ({error}): use another checkpoint") from None
    return manifest


def problems_in(directory: Path, manifest: dict, *, rank: int = 0, num_ranks: int = 1) -> list[str]:
    """What is wrong with the files against the manifest; each rank hashes its share of them."""
    found = []
    by_size = sorted(manifest["files"].items(), key=lambda item: (-item[1]["bytes"], item[0]))
    for name, entry in by_size[rank::num_ranks]:
        path = directory / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif path.stat().st_size != entry["bytes"]:
            found.append(f"{name} has {path.stat().st_size} bytes instead of {entry['bytes']}")
        elif sha256_of(path) != entry["sha256"]:
            found.append(f"{name} has another SHA-256 than when it was saved")
    return found


def verify(directory: Path, world: World) -> list[str]:
    """What is wrong with a checkpoint, the same list on every rank; empty when it is sound."""
    try:
        manifest = read_manifest(directory)
        mine = problems_in(directory, manifest, rank=world.rank, num_ranks=world.size)
    except (ValueError, OSError) as error:
        mine = [str(error)]
    if not any_rank(bool(mine), world):
        return []
    return list(dict.fromkeys(p for part in gather_json(mine, world) for p in part))


def checkpoints_in(folder: Path) -> list[Path]:
    """Finished checkpoints of a run, newest first."""
    found = [path for path in folder.glob("step_*") if (path / MANIFEST).is_file()]
    return sorted(found, reverse=True)


def newest_sound_checkpoint(folder: Path, world: World) -> Path | None:
    """The newest checkpoint whose files are as saved, None before the first; damaged ones are named and passed over.

    ValueError when there are checkpoints and none is sound: starting anew would throw the run away.
    """
    found = checkpoints_in(folder)
    for path in found:
        problems = verify(path, world)
        if not problems:
            return path
        world.say(f"warning: {path} is damaged ({'; '.join(problems[:3])}): trying the one before")
    if found:
        raise ValueError(
            f"{folder} has no sound checkpoint, {len(found)} are damaged: restore one, or choose another run.name"
        )
    return None
