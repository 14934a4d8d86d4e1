"""The commit protocol: a checkpoint directory is either complete and verified, or it does not exist.

stage directory -> every rank writes and fsyncs its files, then a report of them -> rank 0 waits for all reports -> manifest
with sizes and SHA-256 -> one rename or exchange -> `latest` by os.replace. A kill between any two of these leaves the previous
checkpoint as the latest. Ranks meet through files alone, so that all this can happen beside the training's collectives.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mai1.checkpoint.exchange import exchange
from mai1.checkpoint.manifest import MANIFEST, MAX_BYTES
from mai1.checkpoint.tensor_file import as_json, write_bytes

STAGE_PREFIX = ".staging-"
REPORTS = ".reports"
POLL_S, RANKS_A_POLL = 0.02, 100
"""How long to wait for reports before looking again: so long for so many ranks, and longer for more."""


class GivenUpError(Exception):
    """Another rank failed, so this one stopped writing."""


def begin(directory: Path, *, say: Callable[[str], None]) -> Path:
    """A fresh stage for a run's next checkpoint, on rank 0; leftovers of killed saves are removed."""
    for leftover in directory.parent.glob(STAGE_PREFIX + "*"):
        try:
            remove(leftover)
        except OSError as error:
            say(f"warning: {leftover} of an earlier save could not be deleted ({error})")
    return make_stage(directory)


def make_stage(directory: Path) -> Path:
    """An empty stage directory beside the checkpoint to be."""
    stage = stage_of(directory)
    remove(stage)
    for folder in (stage, stage / REPORTS, stage / "trainer"):
        folder.mkdir(parents=folder is stage, mode=0o755)
    return stage


def stage_of(directory: Path) -> Path:
    """Where the files of a checkpoint to be are written."""
    return directory.with_name(STAGE_PREFIX + directory.name)


def report(stage: Path, *, rank: int, files: dict[str, dict], rows: list[list]) -> None:
    """Say, in a file, that this rank's files are written and fsynced, and what the manifest needs to know of them."""
    path = stage / REPORTS / _report_name(rank)
    write_bytes(path.with_suffix(".new"), as_json({"files": files, "rows": rows}))
    os.replace(path.with_suffix(".new"), path)


def wait_for_reports(stage: Path, *, num_ranks: int, timeout_s: float, is_aborted: Callable[[], bool]) -> list[dict]:
    """Every rank's report, in rank order; TimeoutError names the ranks that never wrote one."""
    deadline = time.monotonic() + timeout_s
    names = [_report_name(rank) for rank in range(num_ranks)]
    # one listing, not a question for each rank: those take a shared file system minutes where there are thousands
    while missing := set(names).difference(os.listdir(stage / REPORTS)):
        if is_aborted():
            raise GivenUpError
        if time.monotonic() > deadline:
            ranks = [rank for rank, name in enumerate(names) if name in missing]
            raise TimeoutError(f"ranks {ranks[:8]} had not written their files after {timeout_s:.0f} s")
        time.sleep(POLL_S * max(1.0, num_ranks / RANKS_A_POLL))
    return [json.loads((stage / REPORTS / name).read_bytes()) for name in names]


def _report_name(rank: int) -> str:
    return f"rank-{rank:05d}.json"


def publish(stage: Path, directory: Path, *, manifest: dict) -> None:
    """Turn a stage whose files are all written into the checkpoint `directory`; OSError when one is not as reported."""
    shutil.rmtree(stage / REPORTS, ignore_errors=True)
    for name, entry in manifest["files"].items():
        if (stage / name).stat().st_size != entry["bytes"]:
            raise OSError(f"{stage / name} changed after it was written")
    content = as_json(manifest)
    if len(content) > MAX_BYTES:
        raise OSError(f"the manifest has {len(content)} bytes, more than the {MAX_BYTES} that are read")
    write_bytes(stage / MANIFEST, content)
    for folder in {stage, *(path.parent for path in stage.rglob("*"))}:
        sync_directory(folder)
    if os.path.lexists(directory):  # a release to replace, or a damaged checkpoint that a run passed over
        _replace(stage, directory)
    else:
        os.rename(stage, directory)
        sync_directory(directory.parent)


def _replace(stage: Path, directory: Path) -> None:
    """Put a stage in the place of what is there, and delete that.

    Where the file system can exchange two names, one of both is whole at the place in every instant. Elsewhere it is two
    renames, and a kill between them leaves nothing at the place, the old one in `.staging-trash-NAME` and the new one in its
    stage, both whole.
    """
    old = stage
    if not exchange(stage, directory):
        old = _trash_of(directory)
        remove(old)
        os.rename(directory, old)
        try:
            os.rename(stage, directory)
        except OSError:
            os.rename(old, directory)
            raise
    sync_directory(directory.parent)
    try:
        remove(old)
    except OSError as error:  # what is published is there
        print(f"warning: {old}, which was {directory}, could not be deleted ({error})", file=sys.stderr, flush=True)


def point_latest(directory: Path) -> None:
    """Make the symbolic link `latest` name this checkpoint, atomically."""
    link = directory.with_name(".latest.new")
    link.unlink(missing_ok=True)
    link.symlink_to(directory.name)
    os.replace(link, directory.with_name("latest"))
    sync_directory(directory.parent)


def discard(directory: Path) -> None:
    """Delete a checkpoint; renamed first, so that a half-deleted one is never taken for finished. OSError if it stays."""
    trash = _trash_of(directory)
    remove(trash)
    os.rename(directory, trash)
    remove(trash)


def _trash_of(directory: Path) -> Path:
    return directory.with_name(STAGE_PREFIX + "trash-" + directory.name)


def remove(path: Path) -> None:
    """Delete a directory and all in it, or a link to one but nothing behind it; a missing one is fine."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def sync_directory(path: Path) -> None:
    """Make renames and new names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
