"""The place that a command writes to: asked about before the work, and written by one process at a time."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from errno import EISDIR
from pathlib import Path


def check_output(path: Path, *, key: str, inputs: Iterable[Path] = ()) -> None:
    """ValueError where a file could not be written or is one that is read, said before the work whose result it is to hold."""
    if path.is_file() and any(given.exists() and given.samefile(path) for given in inputs):
        raise ValueError(f"{key}={path} is a file that is read, and would be lost: choose another")
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, "Is a directory")
        probe = path.with_name(f".{path.name}.{os.getpid()}.probe")
        open(probe, "x").close()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"{key}={path} cannot be written ({error.strerror}): choose another place") from None


def check_new_directory(path: Path, *, key: str) -> None:
    """ValueError unless there is nothing yet where a directory is to be written, or an empty one."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() or path.is_symlink():
        what = "holds other things already" if path.is_dir() else "is no directory"
        raise ValueError(f"{key}={path} {what}: choose another directory")


@contextmanager
def sole_writer(output: Path, *, key: str) -> Iterator[None]:
    """Hold a directory that is to be written; ValueError while another process of this machine does. Nothing is left behind."""
    whole = output.absolute()
    path = whole.with_name(f".{whole.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())
        except BlockingIOError:
            is_ours = False
        if not is_ours:
            raise ValueError(
                f"{key}={output} is being written by another process: wait for it or choose another directory"
            )
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # before it is let go: whoever comes next makes a new one
    finally:
        os.close(descriptor)
