"""The tokenizer in a GGUF file: pieces, types, merges or scores, special ids and the chat template.

SentencePiece is llama.cpp's `llama` tokenizer: it merges the pair that scores best, as we do. A byte-level BPE is `gpt2` with
the name of the model whose expression cuts words as ours does: `qwen2` with single digits, `dbrx` with up to three, which is
Llama 3's expression without that model's short cut for whole words.
"""

import re

import gguf

from mai1.tokenizer.byte_bpe import ByteBpeModel, as_visible
from mai1.tokenizer.chat import CHAT_TEMPLATE
from mai1.tokenizer.sentencepiece_model import SentencePieceModel
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.vocabulary import END_OF_MESSAGE
from mai1.tokenizer.words import Digits

PRE_TOKENIZERS = {Digits.single: "qwen2", Digits.up_to_three: "dbrx"}
"""llama.cpp's name for each of our expressions (src/llama-vocab.cpp)."""

GENERATION_TAGS = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
NEVER = -1000.0
"""Score of what no text is merged to."""


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer, *, num_ids: int) -> None:
    """All that llama.cpp needs to give the same ids; `num_ids` is the embedding's. ValueError for what it has no name for."""
    if isinstance(tokenizer.model, ByteBpeModel):
        _add_byte_bpe(writer, tokenizer, num_ids)
    elif isinstance(tokenizer.model, SentencePieceModel):
        _add_sentencepiece(writer, tokenizer, num_ids)
    else:
        raise ValueError(
            f"formats=gguf has no form for a tokenizer of {type(tokenizer.model).__name__}: leave gguf out"
        )
    writer.add_bos_token_id(tokenizer.end_of_text_id)
    writer.add_eos_token_id(tokenizer.end_of_text_id)
    writer.add_eot_token_id(tokenizer.vocabulary.control_id(END_OF_MESSAGE))
    writer.add_pad_token_id(tokenizer.pad_id)
    writer.add_add_bos_token(True)  # every text of training begins with it; a chat's own is not doubled
    writer.add_add_eos_token(False)
    writer.add_chat_template(GENERATION_TAGS.sub("", CHAT_TEMPLATE))


def _add_sentencepiece(writer: gguf.GGUFWriter, tokenizer: Tokenizer, num_ids: int) -> None:
    pieces = tokenizer.pieces()
    kinds = [_kind_of(piece) for piece, _ in pieces]
    names, upper_kinds = _above_text(tokenizer, num_ids)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(_distinct([piece for piece, _ in pieces] + names))
    writer.add_token_scores([score for _, score in pieces] + [NEVER] * len(names))
    writer.add_token_types(kinds + upper_kinds)
    writer.add_unk_token_id(kinds.index(gguf.TokenType.UNKNOWN))
    writer.add_add_space_prefix(False)
    writer.add_remove_extra_whitespaces(False)


def _add_byte_bpe(writer: gguf.GGUFWriter, tokenizer: Tokenizer, num_ids: int) -> None:
    model = tokenizer.model
    pieces = [as_visible(piece) for piece in model.bytes_of_id]
    names, upper_kinds = _above_text(tokenizer, num_ids)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZERS[model.digits])
    writer.add_token_list(_distinct(pieces + names))
    writer.add_token_types([gguf.TokenType.NORMAL] * len(pieces) + upper_kinds)
    writer.add_token_merges([f"{as_visible(left)} {as_visible(right)}" for left, right in model.merges])


def _kind_of(piece: str) -> gguf.TokenType:
    if piece == "<unk>":
        return gguf.TokenType.UNKNOWN
    return gguf.TokenType.BYTE if re.fullmatch("<0x[0-9A-F]{2}>", piece) else gguf.TokenType.NORMAL


def _above_text(tokenizer: Tokenizer, num_ids: int) -> tuple[list[str], list[gguf.TokenType]]:
    """Names and types of the ids above the text up to the embedding's last: control tokens, then what is kept free."""
    vocabulary = tokenizer.vocabulary
    ids = range(vocabulary.text_size, vocabulary.size)
    names = [vocabulary.name_of(i) for i in ids] + [f"<|beyond_{i}|>" for i in range(vocabulary.size, num_ids)]
    num_control = len(vocabulary.control)
    num_unused = len(names) - num_control
    return names, [gguf.TokenType.CONTROL] * num_control + [gguf.TokenType.UNUSED] * num_unused


def _distinct(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"formats=gguf needs names that differ but {double!r} stands for two tokens: leave gguf out")
    return names
