"""Files that are one document each: texts, and web pages whose text extraction makes later."""

from collections.abc import Iterator

from data_prep.document import Document
from data_prep.reading.bad import InputError, Reason
from data_prep.reading.files import SliceFile
from data_prep.reading.records import MAX_TEXT_BYTES, decode_text
from data_prep.reading.source import SourceConfig
from data_prep.reading.streams import open_expanded

MAX_PAGE_BYTES = 32 << 20
"""A web page as it was fetched."""

CHARSET = "charset"
"""The label with the encoding that a page's server, or its source's settings, named; extraction uses it up."""


def read_text(file: SliceFile, config: SourceConfig) -> Iterator[Document]:
    """The document of a text file. InputError when it is none."""
    yield Document(decode_text(_read_whole(file, config, most=MAX_TEXT_BYTES), config.encoding), file.name)


def read_page(file: SliceFile, config: SourceConfig) -> Iterator[Document]:
    """The page of an HTML file, in whatever encoding."""
    markup = _read_whole(file, config, most=MAX_PAGE_BYTES)
    yield Document("", file.name, markup=markup, labels={CHARSET: config.encoding} if config.encoding else {})


def _read_whole(file: SliceFile, config: SourceConfig, *, most: int) -> bytes:
    with open_expanded(file, config) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise InputError(Reason.too_large, f"more than {most} bytes: split it, or use JSON lines")
    return data
