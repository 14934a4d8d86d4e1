import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.config import DedupConfig, PrepareConfig
from data_prep.dedup.minhash import MinHashConfig
from data_prep.prepare import prepare
from data_prep.reading.source import SourceConfig
from mai1.tokenizer.training import TokenizerConfig

SENTENCE = (
    "the river runs past old houses where people trade bread salt and iron for stories about distant islands while "
    "careful builders measure wood and draw new plans because winter storms come early and every roof needs repair"
)
EXACT_ONLY = DedupConfig(minhash=MinHashConfig(is_on=False))
"""Texts made of the same few words are near duplicates of each other."""

WORDS = SENTENCE.split()


def text_of_number(number: int, *, num_words: int = 60) -> str:
    """A document of real words that no other number gives."""
    step = 1 + number % 7
    words = [WORDS[(number * 3 + i * step + i * i // 5) % len(WORDS)] for i in range(num_words)]
    return f"Chapter {number}. " + " ".join(words) + ".\n"


@pytest.fixture
def make_text() -> Callable[..., str]:
    return text_of_number


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A JSON lines file of 60 documents."""
    path = tmp_path / "books.jsonl"
    path.write_text("".join(json.dumps({"text": text_of_number(i), "id": i}) + "\n" for i in range(60)))
    return path


@pytest.fixture
def run(tmp_path: Path):
    """Prepare with small settings: run(path) or run({name: path}), other keys as in the config."""

    def prepare_small(paths: Path | str | dict, **changes) -> dict:
        paths = paths if isinstance(paths, dict) else {"books": paths}
        sources = {n: p if isinstance(p, SourceConfig) else SourceConfig(path=str(p)) for n, p in paths.items()}
        settings = {"output": str(tmp_path / "out"), "heldout_fraction": 0.2, "workers": 1}
        settings |= {} if "tokenizer_from" in changes else {"tokenizer": TokenizerConfig(vocab_size=320)}
        settings |= {"sources": sources, "dedup": EXACT_ONLY} | changes
        return prepare(PrepareConfig(**settings), progress=False)

    return prepare_small
