"""Text that comes with Python and its packages, file by file; see data_prep/embedded.py."""

from collections.abc import Iterator
from pathlib import Path

from data_prep.document import Document
from data_prep.embedded import KINDS, PREFIX, SHARE_OF_TEXT, EmbeddedFile, documents_of_file, find_files
from data_prep.reading.files import SliceFile
from data_prep.reading.source import SourceConfig


def embedded_sources() -> dict[str, SourceConfig]:
    """The text that comes with Python and its packages: what is prepared when no source is named."""
    return {kind: SourceConfig(path=PREFIX + kind) for kind in KINDS}


def find_embedded_files(name: str, config: SourceConfig, *, seed: int) -> list[SliceFile]:
    """The files of `embedded:KIND` in a hashed order, with about the bytes of text that each holds."""
    kind = config.path.removeprefix(PREFIX)
    found = find_files(name, kind, seed=seed)
    return [SliceFile(str(file.path), file.name, int(file.size * SHARE_OF_TEXT[kind])) for file in found]


def read_embedded(file: SliceFile, config: SourceConfig) -> Iterator[Document]:
    """The documents of one file; none when it holds too little, or cannot be parsed."""
    kind = config.path.removeprefix(PREFIX)
    yield from documents_of_file(EmbeddedFile(file.name, Path(file.path), file.size), kind=kind)
