"""Rows of token ids for `mai1 grow`: text as the source's tokenizer cuts it."""

import pydoc_data.topics
import sys
from pathlib import Path

from mai1.run.grow import GrowConfig
from mai1.run.text_files import read_samples
from mai1.tokenizer.tokenizer import Tokenizer, holds_tokenizer


def read_rows(config: GrowConfig, directory: Path, text: list[str], *, vocab_size: int) -> list[list[int]]:
    """At most `measured_rows` rows of `row_length` tokens, taken evenly from all of the text; ValueError where it is shorter.

    Without files, Python's help pages. Where the model comes without a tokenizer, its ids are the text's bytes: any ids show
    whether two models compute the same.
    """
    length = config.row_length
    if text:
        documents = [sample.text for sample in read_samples(text, text_field=config.text_field)]
    else:
        documents = [page for _, page in sorted(pydoc_data.topics.topics.items())]
    ids = _encode(documents, directory, vocab_size=vocab_size)
    num_rows = len(ids) // length
    if not num_rows:
        raise ValueError(f"text={text} has {len(ids)} tokens, fewer than row_length={length}: give more text")
    count = min(num_rows, config.measured_rows)
    starts = [row * num_rows // count * length for row in range(count)]
    return [ids[start : start + length] for start in starts]


def _encode(documents: list[str], directory: Path, *, vocab_size: int) -> list[int]:
    if not holds_tokenizer(directory) and not (directory / "tokenizer_config.json").is_file():
        print(f"{directory} has no tokenizer: text is given as bytes", file=sys.stderr)
        return [byte % vocab_size for document in documents for byte in document.encode()]
    tokenizer = Tokenizer.load(directory)
    return [i for document in documents for i in [*tokenizer.encode(document), tokenizer.end_of_text_id]]
