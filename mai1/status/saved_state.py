"""The newest checkpoint of a run, from names and sizes alone: what `latest` points to."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from mai1.status.state import modified_s

CHECKPOINT = re.compile(r"step_(\d{1,12})")
MAX_FILES = 400
"""Of a checkpoint whose sizes are added up; one of thousands of ranks would keep a file system busy."""


@dataclass(frozen=True, slots=True)
class SavedState:
    """The newest checkpoint."""

    step: int
    age_s: float
    num_kept: int
    num_bytes: int | None
    """None where it has too many files to ask."""
    is_saving: bool
    """Another one is being written."""


def saved_state(folder: Path, *, now: float) -> SavedState | None:
    """The newest checkpoint of a run; None before the first."""
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except (OSError, ValueError):
        return None
    steps = sorted(int(found[1]) for name in names if (found := CHECKPOINT.fullmatch(name)))
    try:
        latest = CHECKPOINT.fullmatch(os.readlink(folder / "latest"))
    except OSError:
        latest = None
    if latest is None or not (folder / latest[0]).is_dir():
        return None
    return SavedState(
        step=int(latest[1]),
        age_s=max(0.0, now - modified_s(folder / latest[0] / "manifest.json")),
        num_kept=len(steps),
        num_bytes=_bytes_of(folder / latest[0]),
        is_saving=any(name.startswith(".staging-") for name in names),
    )


def _bytes_of(directory: Path) -> int | None:
    total, count = 0, 0
    for folder, folders, names in os.walk(directory, onerror=None, followlinks=False):
        count += len(names) + len(folders)
        if count > MAX_FILES:
            return None
        try:
            total += sum(os.lstat(os.path.join(folder, name)).st_size for name in names)
        except OSError:
            return None
    return total
