"""Learn a tokenizer from text: SentencePiece BPE for models, single characters for small experiments.

SentencePiece silently skips what it cannot use (long sentences, NUL, tabs, U+2585), so text is cut into sentences here.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import sentencepiece

from mai1.tokenizer.tokenizer import SPACE, Tokenizer
from mai1.tokenizer.vocabulary import DEFAULT_CONTROL, Vocabulary

SENTENCE_CHARACTERS = 2048
NUM_FIXED_PIECES = 257
"""The unknown piece and 256 bytes."""

UNUSABLE = re.compile("[\x00\t\u2581\u2585]+")
"""Characters that SentencePiece keeps for itself: they never join a piece and are encoded as bytes."""

RUN = re.compile(r"\S*\s*")


class TokenizerKind(Enum):
    """How text is cut."""

    bpe = "bpe"
    char = "char"


@dataclass(kw_only=True, slots=True)
class TokenizerConfig:
    """How the tokenizer is learned."""

    kind: TokenizerKind = TokenizerKind.bpe
    """bpe: byte-pair pieces; char: one token a character."""

    vocab_size: int = 8000
    """Text pieces, the 256 bytes and the unknown piece included; for char the largest number."""

    reserved_size: int = 64
    """Ids kept free for later tokens; not pieces of text."""

    sample_bytes: int = 20_000_000
    """UTF-8 bytes of text that the pieces are learned from, spread evenly over the training documents; 0: all of it."""

    character_coverage: float = 0.9995
    """Share of all characters in the sample that get a piece of their own; the rest is written as bytes. Char: 1."""

    max_piece_characters: int = 16
    """Longest piece, in characters."""

    def __post_init__(self) -> None:
        if not NUM_FIXED_PIECES < self.vocab_size <= 1_000_000:
            raise ValueError(
                f"prepare.tokenizer.vocab_size={self.vocab_size} must be from {NUM_FIXED_PIECES + 1} to 1000000: "
                f"{NUM_FIXED_PIECES} pieces are bytes and the unknown piece, the rest is learned"
            )
        if not 0 <= self.reserved_size <= 1_000_000:
            raise ValueError(f"prepare.tokenizer.reserved_size={self.reserved_size} must be from 0 to 1000000")
        if self.sample_bytes < 0:
            raise ValueError(f"prepare.tokenizer.sample_bytes={self.sample_bytes} must be at least 0: use 0 for all")
        if not 0.9 <= self.character_coverage <= 1.0:
            raise ValueError(f"prepare.tokenizer.character_coverage={self.character_coverage} must be from 0.9 to 1")
        if not 1 <= self.max_piece_characters <= 256:
            raise ValueError(f"prepare.tokenizer.max_piece_characters={self.max_piece_characters} must be 1 to 256")


def train_tokenizer(texts: Iterator[str], config: TokenizerConfig) -> Tokenizer:
    """Learn pieces from up to `sample_bytes` of the texts; the same texts and config give the same tokenizer."""
    bounded = texts if config.sample_bytes == 0 else _take_bytes(texts, config.sample_bytes)
    is_char = config.kind is TokenizerKind.char
    output = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(sentence for text in bounded for sentence in split_sentences(text)),
            model_writer=output,
            model_type=config.kind.value,
            vocab_size=config.vocab_size,
            hard_vocab_limit=not is_char,
            required_chars=f"{SPACE}\n",  # without a piece for the space, a text without spaces would lose all later ones
            character_coverage=1.0 if is_char else config.character_coverage,
            max_sentencepiece_length=config.max_piece_characters,
            max_sentence_length=16 * SENTENCE_CHARACTERS,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            split_digits=True,
            byte_fallback=True,
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(_explain(error, config)) from error
    model = output.getvalue()
    num_pieces = sentencepiece.SentencePieceProcessor(model_proto=model).vocab_size()
    return Tokenizer(model, Vocabulary(num_pieces, DEFAULT_CONTROL, config.reserved_size))


def split_sentences(text: str) -> Iterator[str]:
    """Cut text at characters SentencePiece cannot use, then into pieces of bounded length between words."""
    for part in UNUSABLE.split(text):
        start = 0
        while start < len(part):
            end = start + SENTENCE_CHARACTERS
            if end < len(part):
                space = max(part.rfind(" ", start + 1, end), part.rfind("\n", start + 1, end))
                end = end if space < 0 else space
            sentence = part[start:end]
            start = end
            if sentence.endswith(("\n", "\r")):
                sentence += " "  # SentencePiece strips line ends at the end of a sentence
            yield sentence


def _take_bytes(texts: Iterator[str], max_bytes: int) -> Iterator[str]:
    left = max_bytes
    for text in texts:
        if left <= 0:
            return
        size = len(text.encode())
        yield text if size <= left else text[: max(1, left * len(text) // size)]
        left -= size


def _explain(error: RuntimeError, config: TokenizerConfig) -> str:
    """SentencePiece's complaint as key, value, rule and mend."""
    text = " ".join(str(error).split())
    key = f"prepare.tokenizer.vocab_size={config.vocab_size}"
    too_high = re.search(r"[Vv]ocabulary size too high \((\d+)\).*?<= ?(\d+)", text)
    if too_high:
        return f"{key} is more than this text supports: use at most {too_high.group(2)}, or more text"
    too_small = re.search(r"smaller than required_chars. (\d+) vs (\d+)", text)
    if too_small:
        return f"{key} is less than the {too_small.group(2)} characters and bytes of this text: use at least that"
    if "sentences_.empty" in text or "Insufficient" in text or "vocab_size()" in text:
        return f"{key} cannot be learned from so little text ({text}): add text or use a smaller vocab_size"
    return f"{key} could not be learned ({text}): check the text and the tokenizer settings"
