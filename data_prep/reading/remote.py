"""Files behind fsspec URLs: object stores, memory, archives (`zip://*.html::pages.zip`), whatever the installed packages know."""

import glob
import hashlib
import io
import zipfile

import fsspec

from data_prep.reading.files import SliceFile

VERSION_KEYS = (
    "ETag",
    "etag",
    "checksum",
    "md5Hash",
    "crc32c",
    "CRC",
    "version_id",
    "generation",
    "mtime",
    "LastModified",
)
VERSION_KEYS += ("last_modified", "created", "updated", "date_time")
"""What file systems call the entries by which a changed file is known."""


def is_url(path: str) -> bool:
    """Whether a path is for fsspec."""
    return "://" in path


def find_remote_files(key: str, url: str) -> list[SliceFile]:
    """All files that a URL names (one, a directory or a glob), in the order of their paths. ValueError when there are none."""
    try:
        system, path = fsspec.core.url_to_fs(url)
        if glob.has_magic(path):
            found, root = system.glob(path, detail=True), ""
        else:
            found, root = system.find(path, detail=True), path.rstrip("/")
    except (ImportError, OSError, ValueError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{key} must be a URL that fsspec can list ({reason}): check it and install what it needs"
        ) from error
    chain = url.partition("::")[2]
    files = [
        SliceFile(
            path, system.unstrip_protocol(path) + ("::" + chain if chain else ""), info["size"] or 0, _version(info)
        )
        for path, info in found.items()
        if info["type"] == "file" and "/." not in "/" + path.removeprefix(root).lstrip("/")
    ]
    if not files:
        raise ValueError(f"{key} must name at least one file: check the URL")
    return sorted(files, key=lambda file: file.path.split("/"))


def open_remote(file: SliceFile, *, url: str) -> io.BufferedReader:
    """Open a file that `find_remote_files` found for the URL; it can seek."""
    return _RemoteFile(fsspec.core.url_to_fs(url)[0], file.path)


class _RemoteFile(io.BufferedReader):
    """Knows its file system, because one that nobody knows closes what it has open."""

    def __init__(self, system: fsspec.AbstractFileSystem, path: str) -> None:
        super().__init__(system.open(path, "rb"), buffer_size=1 << 18)
        self._system = system


def _version(info: dict) -> str:
    """A digest of what tells one content of a file from another."""
    known = [f"{key}={info[key]}" for key in VERSION_KEYS if info.get(key) is not None]
    return hashlib.blake2b(" ".join(known).encode(), digest_size=8).hexdigest() if known else ""
