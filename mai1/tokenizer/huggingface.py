"""The tokenizer as Hugging Face files: plain JSON, loaded by AutoTokenizer without custom code, with the same ids.

A byte-level BPE is written as it is saved: its own file is a Hugging Face file already. Of a SentencePiece model:

Why the ids are equal. SentencePiece repeatedly merges the adjacent pair whose joined piece scores best, leftmost first,
and does not care how the piece is divided between the two. Hugging Face ranks each (left, right) pair on its own, so
listing every division of a piece would rank some above others and give other ids on runs such as `=======`. But
SentencePiece can reach only one division of a piece: up to the moment the piece is made, no merge crossed its borders,
so the merges inside were those of the piece standing alone, and those are deterministic. We replay them and list just
this division. Pieces are written with real spaces, so a U+2581 in the text stays a different character here, too.

What differs: Hugging Face reads control tokens out of raw text unless it is called with split_special_tokens=True, and
inside chat messages unless apply_chat_template is called with sanitize_control_tokens=True; ours never does.
"""

import json
from pathlib import Path

from mai1.tokenizer.byte_bpe import ByteBpeModel
from mai1.tokenizer.byte_bpe_file import BYTE_BPE_FILE, added_token, to_json
from mai1.tokenizer.chat import CHAT_TEMPLATE
from mai1.tokenizer.sentencepiece_model import SPACE
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.vocabulary import END_OF_MESSAGE, END_OF_TEXT, PAD

UNKNOWN = "<unk>"


def write_huggingface_files(tokenizer: Tokenizer, directory: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json, special_tokens_map.json and chat_template.jinja.

    A foreign tokenizer is these files already, and they stay as they are.
    """
    Path(directory).mkdir(parents=True, exist_ok=True)
    if tokenizer.is_foreign:
        tokenizer.save(directory)
        return
    is_byte_bpe = isinstance(tokenizer.model, ByteBpeModel)
    special = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "pad_token": PAD}
    special |= {} if is_byte_bpe else {"unk_token": UNKNOWN}
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special,
        "additional_special_tokens": [name for name in tokenizer.vocabulary.control if name not in special.values()],
        "clean_up_tokenization_spaces": False,
        "add_bos_token": False,
        "add_eos_token": False,
        "model_max_length": 1 << 30,
    }
    assert END_OF_MESSAGE in tokenizer.vocabulary.control
    text = (
        to_json(tokenizer.model, tokenizer.vocabulary.control)
        if is_byte_bpe
        else _as_text(_sentencepiece_json(tokenizer))
    )
    _write(Path(directory) / BYTE_BPE_FILE, text)
    _write(Path(directory) / "tokenizer_config.json", _as_text(settings))
    _write(Path(directory) / "special_tokens_map.json", _as_text(special))
    _write(Path(directory) / "chat_template.jinja", CHAT_TEMPLATE)


def _sentencepiece_json(tokenizer: Tokenizer) -> dict:
    pieces = [(piece.replace(SPACE, " "), score) for piece, score in tokenizer.pieces()]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added_token(0, UNKNOWN)]
        + [added_token(tokenizer.vocabulary.control_id(name), name) for name in tokenizer.vocabulary.control],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": UNKNOWN,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece: token_id for token_id, (piece, _) in enumerate(pieces)},
            "merges": merges_of(pieces),
        },
    }


def merges_of(pieces: list[tuple[str, float]]) -> list[tuple[str, str]]:
    """For each piece of several characters the one pair that SentencePiece makes it from, best piece first."""
    scores = {piece: score for piece, score in pieces if not _is_fixed(piece)}
    merges = []
    for piece in sorted((p for p in scores if len(p) > 1), key=lambda p: -scores[p]):
        parts = list(piece)
        while len(parts) > 2:
            best = _best_pair(parts, scores)
            if best is None:
                break
            parts[best : best + 2] = [parts[best] + parts[best + 1]]
        if len(parts) == 2 and all(part in scores for part in parts):
            merges.append((parts[0], parts[1]))
    return merges


def _best_pair(parts: list[str], scores: dict[str, float]) -> int | None:
    """Where the adjacent pair with the best joined score stands, leftmost on ties; None when no pair joins."""
    places = [i for i in range(len(parts) - 1) if parts[i] + parts[i + 1] in scores]
    return max(places, key=lambda i: (scores[parts[i] + parts[i + 1]], -i), default=None)


def _is_fixed(piece: str) -> bool:
    """The unknown piece and the byte pieces: never merged."""
    return piece == UNKNOWN or (len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"))


def _as_text(value: dict) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
