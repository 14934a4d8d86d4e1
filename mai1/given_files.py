"""Files of a directory that somebody else may have made: plain ones of a bounded size, and no link that leads out of it.

What a checkpoint, a release or an import takes over unread goes through here: a download may name any file of this machine by
a link, and what is made from it is published.
"""

from pathlib import Path

MOST_ENTRIES = 2**23
"""Of a JSON text, in lists and objects: Python takes about a hundred bytes for each, whatever it is."""


def check_entries(content: bytes) -> None:
    """ValueError for a JSON text of which a few bytes each would become an object each; not a byte of it is read as JSON."""
    if (found := sum(map(content.count, (b",", b"[", b"{")))) > MOST_ENTRIES:
        raise ValueError(f"it has {found} entries, but may have at most {MOST_ENTRIES}")


def read_given(path: Path, *, max_bytes: int) -> bytes:
    """The content of a file. ValueError for a link to elsewhere, what is no file, and more than `max_bytes`.

    The cache of Hugging Face's hub links from snapshots/REVISION to blobs beside it, which belong to the same download.
    """
    try:
        directory, place = path.parent.resolve(), path.resolve(strict=True)
    except (OSError, RuntimeError):  # absent, or a link to itself
        raise ValueError(f"{path} must be a file: restore it") from None
    blobs = directory.parents[1] / "blobs" if directory.parent.name == "snapshots" else directory
    if not (place.is_relative_to(directory) or place.is_relative_to(blobs)):
        raise ValueError(f"{path} is a link to {place}, outside of its directory: put a copy of the file in its place")
    if not place.is_file():
        raise ValueError(f"{path} must be a file: restore it")
    if (size := place.stat().st_size) > max_bytes:
        raise ValueError(f"{path} has {size} bytes, but may have at most {max_bytes}: restore the file")
    return place.read_bytes()
