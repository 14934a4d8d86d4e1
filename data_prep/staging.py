"""All or nothing: output is built in a hidden sibling directory and renamed when it is complete."""

import fcntl
import json
import os
import shutil
from pathlib import Path
from types import TracebackType

FORMAT = "mai1-corpus"
MANIFEST = "manifest.json"


class Staging:
    """The directory `.NAME.staging` beside the output; only one process may build there at a time.

    What a killed process left in it is removed by the next one.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.directory = output.parent / f".{output.name}.staging"

    def __enter__(self) -> "Staging":
        if self.directory.is_symlink():
            raise ValueError(f"output={self.output}: {self.directory} must be no link: remove it")
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = os.fdopen(os.open(self.directory / "lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o666), "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise ValueError(
                f"output={self.output} is being prepared by another process: wait for it or choose another"
            ) from error
        for path in self.directory.iterdir():
            if path.name != "lock":
                remove(path)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.directory.is_dir():
            shutil.rmtree(self.directory)
        self._lock.close()

    def commit(self) -> None:
        """Flush every file to disk and put the directory in the output's place."""
        for path in sorted(self.directory.rglob("*")):
            _flush(path)
        _flush(self.directory)
        old = self.output.parent / f".{self.output.name}.old"
        if self.output.exists():
            remove(old)
            self.output.rename(old)
        self.directory.rename(self.output)
        (self.output / "lock").unlink()  # held until here: who comes earlier is refused, and can clear nothing away
        _flush(self.output)
        _flush(self.output.parent)
        remove(old)


def read_manifest(output: Path) -> dict:
    """The manifest of a finished output; empty when there is none that we wrote."""
    try:
        manifest = json.loads((output / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) and manifest.get("format") == FORMAT else {}


def check_output(output: Path, *, overwrite: bool) -> None:
    """ValueError unless the output may be written: it is free, empty, or an earlier result that may go."""
    if output.is_dir() and not any(output.iterdir()):
        return
    if blocked := next((folder for folder in output.parents if folder.exists() and not folder.is_dir()), None):
        raise ValueError(f"output={output} cannot lie in {blocked}, which is no directory: choose another")
    if not output.exists():
        return
    if not read_manifest(output):
        raise ValueError(f"output={output} already holds something that is no prepared corpus: choose another")
    if not overwrite:
        raise ValueError(
            f"output={output} already holds a corpus of other settings or inputs: choose another or set overwrite=true"
        )


def check_disk(output: Path, *, num_bytes: int) -> None:
    """ValueError unless the disk has room for this many bytes."""
    place = next(parent for parent in (output, *output.parents) if parent.is_dir())
    free = shutil.disk_usage(place).free
    if free < num_bytes:
        raise ValueError(
            f"output={output} needs about {num_bytes} bytes, but its disk has {free}: "
            "free some, set max_bytes or choose another disk"
        )


def remove(path: Path) -> None:
    """Delete a file or a directory; harmless when there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
