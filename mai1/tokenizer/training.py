"""Learn a tokenizer from text: SentencePiece or byte-level BPE for models, single characters for small experiments."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from mai1.tokenizer.learn_byte_bpe import learn_byte_bpe
from mai1.tokenizer.learn_sentencepiece import NUM_FIXED_PIECES, learn_sentencepiece
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.vocabulary import DEFAULT_CONTROL, Vocabulary
from mai1.tokenizer.words import Digits

SLICE_CHARACTERS = 1 << 14


class TokenizerKind(Enum):
    """How text is cut."""

    bpe = "bpe"
    byte_bpe = "byte_bpe"
    char = "char"


@dataclass(kw_only=True, slots=True)
class TokenizerConfig:
    """How the tokenizer is learned."""

    kind: TokenizerKind = TokenizerKind.bpe
    """bpe: pairs of characters, by SentencePiece; byte_bpe: pairs of bytes within words, as GPT-4 does; char: one token a
    character."""

    vocab_size: int = 8000
    """Text pieces, the 256 bytes and the unknown piece included; for char the largest number."""

    reserved_size: int = 64
    """Ids kept free for later tokens; not pieces of text."""

    sample_bytes: int = 20_000_000
    """UTF-8 bytes of text that the pieces are learned from, spread evenly over the training documents; 0: all of it."""

    character_coverage: float = 0.9995
    """Share of all characters in the sample that get a piece of their own; the rest is written as bytes. For bpe alone."""

    max_piece_characters: int = 16
    """Longest piece, in characters; for byte_bpe in bytes."""

    digits: Digits = Digits.up_to_three
    """Digits in one piece of byte_bpe: up_to_three, as GPT-4 and Llama 3, or single, as Qwen; bpe and char have single."""

    def __post_init__(self) -> None:
        if not NUM_FIXED_PIECES < self.vocab_size <= 1_000_000:
            raise ValueError(
                f"tokenizer.vocab_size={self.vocab_size} must be from {NUM_FIXED_PIECES + 1} to 1000000: "
                f"{NUM_FIXED_PIECES} pieces are bytes and the unknown piece, the rest is learned"
            )
        if not 0 <= self.reserved_size <= 1_000_000:
            raise ValueError(f"tokenizer.reserved_size={self.reserved_size} must be from 0 to 1000000")
        if self.sample_bytes < 0:
            raise ValueError(f"tokenizer.sample_bytes={self.sample_bytes} must be at least 0: use 0 for all")
        if not 0.9 <= self.character_coverage <= 1.0:
            raise ValueError(f"tokenizer.character_coverage={self.character_coverage} must be from 0.9 to 1")
        if not 1 <= self.max_piece_characters <= 256:
            raise ValueError(f"tokenizer.max_piece_characters={self.max_piece_characters} must be 1 to 256")


def train_tokenizer(
    texts: Iterator[str], config: TokenizerConfig, *, advance: Callable[[int], object] = lambda num_bytes: None
) -> Tokenizer:
    """Learn pieces from up to `sample_bytes` of the texts, which are read once and not kept.

    The same texts and config give the same tokenizer, on any number of threads. Tells `advance` the UTF-8 bytes taken.
    """
    sample = _take_bytes(texts, config.sample_bytes, advance)
    if config.kind is TokenizerKind.byte_bpe:
        model = learn_byte_bpe(
            sample, vocab_size=config.vocab_size, max_piece_bytes=config.max_piece_characters, digits=config.digits
        )
    else:
        model = learn_sentencepiece(
            sample,
            is_char=config.kind is TokenizerKind.char,
            vocab_size=config.vocab_size,
            character_coverage=config.character_coverage,
            max_piece_characters=config.max_piece_characters,
        )
    return Tokenizer(model, Vocabulary(model.num_ids, DEFAULT_CONTROL, config.reserved_size))


def even_sample(texts: Iterable[str], *, share: float) -> Iterator[str]:
    """About this share of the texts' characters, in slices spread evenly over all of them."""
    number = 0
    for text in texts:
        for start in range(0, len(text), SLICE_CHARACTERS):
            number += 1
            if int(number * share) > int((number - 1) * share):
                yield text[start : start + SLICE_CHARACTERS]


def _take_bytes(texts: Iterator[str], max_bytes: int, advance: Callable[[int], object]) -> Iterator[str]:
    """The first so many bytes of the texts, the last text cut; 0: all."""
    left = max_bytes
    for text in texts:
        size = len(text.encode())
        if max_bytes and size > left:
            text = text[: max(1, left * len(text) // size)]
            size = left
        yield text
        advance(size)
        left -= size
        if max_bytes and left <= 0:
            return
