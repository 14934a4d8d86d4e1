"""Payloads that would leave a mark if anything ran them, and what they are put into."""

import json
import os
import pydoc_data.topics
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mai1.data.shards import ShardWriter
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import TokenizerConfig, train_tokenizer
from tests.run.conftest import TINY_RUN
from tests.support.commands import run_command

TEXT = "For Name in names:\n    print(name)  # all of them, don't skip any\n" * 3


class Payload:
    """Unpickling it makes the file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.marker}",)


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """What every payload makes when it runs; none may."""
    path = tmp_path / "EXECUTED"
    yield path
    assert not path.exists(), "a payload ran"


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return train_tokenizer(iter([TEXT * 20]), TokenizerConfig(vocab_size=300, reserved_size=8))


@pytest.fixture(scope="session")
def sound_checkpoint(sound_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain Hugging Face directory, as one from somebody else: no manifest, nothing of the trainer."""
    folder = tmp_path_factory.mktemp("sound")
    for path in (sound_run / "checkpoints" / "latest").resolve().iterdir():
        if path.is_file() and path.name != "manifest.json":
            shutil.copy(path, folder)
    return folder


@pytest.fixture
def checkpoint(sound_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy to plant something in."""
    return Path(shutil.copytree(sound_checkpoint, tmp_path / "checkpoint"))


@pytest.fixture(scope="session")
def corpus(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared data of one source."""
    folder = tmp_path_factory.mktemp("corpus")
    tokenizer.save(folder / "tokenizer")
    texts = [text[:2000] for _, text in sorted(pydoc_data.topics.topics.items())[:12]]
    documents = [[*tokenizer.encode(text), tokenizer.end_of_text_id] for text in texts]
    for split, part in (("train", documents[:10]), ("heldout", documents[10:])):
        with ShardWriter(folder / split / "topics", vocab_size=tokenizer.vocabulary.size) as writer:
            for ids in part:
                writer.add(ids)
            writer.close({"tokenizer_hash": tokenizer.hash, "bytes": 2000 * len(part)})
    sources = {"topics": {"train": {"documents": 10}, "heldout": {"documents": 2}}}
    (folder / "manifest.json").write_text(json.dumps({"format": "mai1-corpus", "sources": sources}))
    return folder


@pytest.fixture(scope="session")
def sound_run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that stopped after two of six steps."""
    runs = tmp_path_factory.mktemp("runs")
    done = run_command(*pretraining(corpus, runs), "train.stop_after_steps=2")
    assert done.code == 0, done.err
    return runs / "r"


def pretraining(corpus: Path, runs: Path) -> list[str]:
    """The command of `sound_run`."""
    places = [f"data.path={corpus}", f"run.directory={runs}", "run.name=r"]
    return ["pretrain", *TINY_RUN, *places, "train.self_check=false", "data.sequence_length=32"]


@pytest.fixture
def run(sound_run: Path, tmp_path: Path) -> Path:
    """A copy to plant something in."""
    return Path(shutil.copytree(sound_run, tmp_path / "runs" / "r", symlinks=True))
