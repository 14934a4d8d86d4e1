"""Files of this machine: which of them a path names, and opening one without ever waiting for a pipe or a device.

A path is a file, a directory or a glob (`*`, `?`, `[...]`, and `**` for any directories). In directories and globs, hidden files
are left out, links to directories are not entered, and a link to a file is followed only to a place inside the directory that was
named; so no link leads out, and none round in circles. A path that is itself a link is followed.
"""

import contextlib
import glob
import io
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from data_prep.reading.bad import InputError, Reason

UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line ends, and what turns the direction of writing round."""


@dataclass(frozen=True, slots=True)
class SliceFile:
    """A file of a slice, as it was when it was found."""

    path: str
    """The absolute path, for tasks that run in any directory; or a URL."""

    name: str
    """The path as it is shown: what is no Unicode in it is replaced."""

    size: int = 0
    """Bytes as stored."""

    version: str = ""
    """Changes when the content does: the time of change in nanoseconds, or what a remote file system says of a file."""

    refusal: str = ""
    """Why it is not read; empty: it is."""


def find_local_files(key: str, path: str) -> list[SliceFile]:
    """All files that a path names, in the order of their paths' parts. ValueError when there is nothing to read at all."""
    path = str(Path(path).expanduser())
    if os.path.isdir(path):
        found = _match(path.removeprefix("."), ["**", "*"], root=os.path.realpath(path))
    elif os.path.lexists(path):
        return [_named_file(key, path)]
    elif glob.has_magic(path):
        directory, parts = _split_pattern(path)
        found = _match(directory, parts, root=os.path.realpath(directory or "."))
    else:
        raise ValueError(f"{key} must be an existing file, directory or glob: check the path")
    return sorted(found, key=lambda file: file.path.split("/"))


def open_local(file: SliceFile) -> io.BufferedReader:
    """Open a regular file for reading. InputError when it is another one than was found."""
    descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    stream = os.fdopen(descriptor, "rb", buffering=1 << 18)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or (status.st_size, str(status.st_mtime_ns)) != (file.size, file.version):
        stream.close()
        raise InputError(
            Reason.changed, f"it has {status.st_size} bytes, or another time of change, than when it was found"
        )
    return stream


def printable(path: str) -> str:
    """A path with a replacement character for each byte that is no UTF-8 and each character that moves a terminal's cursor."""
    return UNPRINTABLE.sub("\ufffd", path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _named_file(key: str, path: str) -> SliceFile:
    if not os.path.isfile(path):
        raise ValueError(
            f"{key} must be a file, directory or glob, but is a pipe, device or broken link: check the path"
        )
    status = os.stat(path)
    if status.st_size == 0:
        raise ValueError(f"{key} must not be empty: name a file with text")
    return SliceFile(_absolute(path), printable(path), status.st_size, str(status.st_mtime_ns))


def _absolute(path: str) -> str:
    """Without taking out `..`, which may follow a link."""
    return os.path.join(os.getcwd(), path)


def _split_pattern(pattern: str) -> tuple[str, list[str]]:
    """The directory before the first part with a wildcard, and the parts from there on."""
    parts = Path(pattern).parts
    first = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    rest = list(parts[first:])
    return os.path.join("", *parts[:first]), rest + ["*"] if rest[-1] == "**" else rest


def _match(directory: str, parts: list[str], *, root: str) -> Iterator[SliceFile]:
    """Files below a directory whose path has these parts. `**` stands for any number of directories, also none."""
    if parts[0] == "**":
        rest = parts[next(place for place, part in enumerate(parts) if part != "**") :]
        for below in _directories(directory):
            yield from _match(below, rest, root=root)
        return
    try:
        entries = list(os.scandir(directory or "."))
    except OSError:
        yield SliceFile(_absolute(directory), printable(directory), refusal=Reason.unreadable)
        return
    for entry in entries:
        if fnmatchcase(entry.name, parts[0]) and (parts[0].startswith(".") or not entry.name.startswith(".")):
            path, is_directory = os.path.join(directory, entry.name), entry.is_dir(follow_symlinks=False)
            if parts[1:] and is_directory:
                yield from _match(path, parts[1:], root=root)
            elif not parts[1:] and not is_directory:
                yield from _file_at(path, root=root)


def _directories(directory: str) -> Iterator[str]:
    """A directory and all those below it that are not hidden."""
    pending = [directory]
    while pending:
        current = pending.pop()
        yield current
        with contextlib.suppress(OSError):  # whoever lists it next notices
            for entry in os.scandir(current or "."):
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    pending.append(os.path.join(current, entry.name))


def _file_at(path: str, *, root: str) -> Iterator[SliceFile]:
    """The file at a path that is no directory; none for a link to a directory inside the root, which is visited anyway."""
    refusal = ""
    try:
        target = os.path.realpath(path, strict=True)
        status = os.stat(target)
        if os.path.islink(path) and not (target + "/").startswith(root.rstrip("/") + "/"):
            refusal = Reason.outside_link
        elif stat.S_ISDIR(status.st_mode):
            return
        elif not stat.S_ISREG(status.st_mode):
            refusal = Reason.unreadable
    except FileNotFoundError:
        refusal = Reason.vanished
    except OSError:
        refusal = Reason.unreadable
    if refusal:
        yield SliceFile(_absolute(path), printable(path), refusal=refusal)
    else:
        yield SliceFile(_absolute(path), printable(path), status.st_size, str(status.st_mtime_ns))
