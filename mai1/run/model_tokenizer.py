"""The tokenizer that stands beside a model's weights, and fits them."""

from pathlib import Path

from mai1.checkpoint.inference import read_model_config
from mai1.tokenizer.tokenizer import Tokenizer


def load_tokenizer(directory: Path, *, key: str) -> Tokenizer:
    """The tokenizer of a checkpoint; ValueError, by the key that names it, where the model has no row for some id."""
    tokenizer, rows = Tokenizer.load(directory), read_model_config(directory).vocab_size
    if tokenizer.vocabulary.size > rows:
        raise ValueError(
            f"{key}={directory} has a tokenizer of {tokenizer.vocabulary.size} ids for a model of {rows}: use the files of "
            "one model"
        )
    return tokenizer
