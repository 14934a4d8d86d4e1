"""Folders and files known by what is in them: a task that is told such a name or digest changes with the content."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path


def keep_folder(parent: Path, save: Callable[[Path], object]) -> Path:
    """Let `save` write files into a new folder, and name it by their hash; one that is there already is left as it is."""
    parent.mkdir(parents=True, exist_ok=True)
    staged = parent / f".{uuid.uuid4().hex}"
    staged.mkdir()
    try:
        save(staged)
        total = hashlib.sha256()
        for path in sorted(path for path in staged.rglob("*") if path.is_file()):
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                total.update(f"{path.relative_to(staged).as_posix()} {digest}\n".encode())
                os.fsync(file.fileno())
        kept = parent / total.hexdigest()
        if not kept.exists():
            try:
                staged.rename(kept)
            except OSError:
                if not kept.exists():
                    raise
        return kept
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def digests_of(paths: list[str]) -> dict[str, str]:
    """SHA-256 of each file; one that cannot be read has the error instead, and is refused by who needs it."""
    digests = {}
    for name in paths:
        try:
            with open(Path(name).expanduser(), "rb") as file:
                digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            digests[name] = str(error)
    return digests
