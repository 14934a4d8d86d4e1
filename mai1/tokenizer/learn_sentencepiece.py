"""Learn a SentencePiece model: BPE over characters, or single characters.

SentencePiece silently skips what it cannot use (long sentences, NUL, tabs, U+2585), so text is cut into sentences here.
"""

import io
import re
from collections.abc import Iterable, Iterator

import sentencepiece

from mai1.tokenizer.sentencepiece_model import SPACE, SentencePieceModel

SENTENCE_CHARACTERS = 2048
NUM_FIXED_PIECES = 257
"""The unknown piece and 256 bytes."""

UNUSABLE = re.compile("[\x00\t\u2581\u2585]+")
"""Characters that SentencePiece keeps for itself: they never join a piece and are encoded as bytes."""


def learn_sentencepiece(
    texts: Iterable[str], *, is_char: bool, vocab_size: int, character_coverage: float, max_piece_characters: int
) -> SentencePieceModel:
    """A model of the texts; ValueError where they do not support so many pieces, or need more."""
    output = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(sentence for text in texts for sentence in split_sentences(text)),
            model_writer=output,
            model_type="char" if is_char else "bpe",
            vocab_size=vocab_size,
            hard_vocab_limit=not is_char,
            required_chars=f"{SPACE}\n",  # without a piece for the space, a text without spaces would lose all later ones
            character_coverage=1.0 if is_char else character_coverage,
            max_sentencepiece_length=max_piece_characters,
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
        raise ValueError(_explain(error, vocab_size)) from error
    return SentencePieceModel(output.getvalue())


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


def _explain(error: RuntimeError, vocab_size: int) -> str:
    """SentencePiece's complaint as key, value, rule and mend."""
    text = " ".join(str(error).split())
    key = f"tokenizer.vocab_size={vocab_size}"
    too_high = re.search(r"[Vv]ocabulary size too high \((\d+)\).*?<= ?(\d+)", text)
    if too_high:
        return f"{key} is more than this text supports: use at most {too_high.group(2)}, or more text"
    too_small = re.search(r"smaller than required_chars. (\d+) vs (\d+)", text)
    if too_small:
        return f"{key} is less than the {too_small.group(2)} characters and bytes of this text: use at least that"
    if "sentences_.empty" in text or "Insufficient" in text or "vocab_size()" in text:
        return f"{key} cannot be learned from so little text ({text}): add text or use a smaller vocab_size"
    return f"{key} could not be learned ({text}): check the text and the tokenizer settings"
