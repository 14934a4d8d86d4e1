"""A tiny checkpoint as a run writes it, with a tokenizer of real English."""

import json
import pydoc_data.topics
from pathlib import Path

import pytest

from mai1.checkpoint.families import to_hf_config
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from mai1.tokenizer.huggingface import write_huggingface_files
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import TokenizerConfig, TokenizerKind, train_tokenizer
from tests.support.model_files import write_model
from tests.support.tiny import tiny_model_config


def write_checkpoint(folder: Path, kind: TokenizerKind) -> Path:
    """A model of random weights, large enough that what it prefers is no chance, and all files beside it."""
    texts = [text[:4000] for _, text in sorted(pydoc_data.topics.topics.items())[:40]]
    tokenizer = train_tokenizer(iter(texts), TokenizerConfig(kind=kind, vocab_size=600, reserved_size=8))
    tokenizer.save(folder)
    write_huggingface_files(tokenizer, folder)
    model = MoETransformer(tiny_model_config(vocab_size=tokenizer.vocabulary.size, init_std=0.1, max_positions=96))
    initialize(model, seed=4)
    pieces = [name for name, _ in tokenizer.pieces()]  # of bytes that are no text, the libraries make different texts
    model.unembedding.weight.data[[i for i, name in enumerate(pieces) if name.startswith("<0x")]] = 0.0
    write_model(folder, model)
    ids = {
        "end_of_text_id": tokenizer.end_of_text_id,
        "stop_ids": [tokenizer.end_of_text_id, tokenizer.vocabulary.control_id("<|end|>")],
        "pad_id": tokenizer.pad_id,
    }
    (folder / "config.json").write_text(json.dumps(to_hf_config(model.config, dtype="float32", **ids)))
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"), TokenizerKind.byte_bpe)


@pytest.fixture(scope="session")
def sentencepiece_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("sentencepiece"), TokenizerKind.bpe)


@pytest.fixture(scope="session")
def tokenizer(checkpoint: Path) -> Tokenizer:
    return Tokenizer.load(checkpoint)
