from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.document import Document, Dropped
from data_prep.reading.listing import list_slices
from data_prep.reading.slices import Bad, read_slice
from data_prep.reading.source import SourceConfig

Outcome = Document | Dropped | Bad


@pytest.fixture
def read() -> Callable[..., list[Outcome]]:
    """Everything that a source gives: read(path, slice_bytes=..., text_field=...)."""

    def read_source(path: Path | str, *, slice_bytes: int = 32 << 20, seed: int = 0, **settings) -> list[Outcome]:
        config = SourceConfig(path=str(path), **settings)
        slices = list_slices("mine", config, seed=seed, slice_bytes=slice_bytes)
        return [outcome for piece in slices for outcome in read_slice(piece, config)]

    return read_source


@pytest.fixture
def texts(read) -> Callable[..., list[str]]:
    """The texts of a source; nothing in it may be bad."""

    def read_texts(path: Path | str, **settings) -> list[str]:
        outcomes = read(path, **settings)
        assert all(isinstance(outcome, Document) for outcome in outcomes), outcomes
        return [outcome.text for outcome in outcomes]

    return read_texts


@pytest.fixture
def summary(read) -> Callable[..., list[str]]:
    """Texts of documents and reasons of what is bad or dropped, in their order."""

    def summarise(path: Path | str, **settings) -> list[str]:
        return [outcome.text if isinstance(outcome, Document) else outcome.reason for outcome in read(path, **settings)]

    return summarise
