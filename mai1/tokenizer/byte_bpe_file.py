"""The file of a byte-level BPE: a `tokenizer.json` as `tokenizers` and AutoTokenizer read it, and nothing else in it.

Reading takes the merges, the kind of digits and the control names out of the file, writes the file anew from them, and
refuses it when that is another one: no setting that we do not know of can hide in it.
"""

import json

from mai1.tokenizer.byte_bpe import BYTE_OF, ByteBpeModel, as_visible
from mai1.tokenizer.words import EXPRESSIONS

BYTE_BPE_FILE = "tokenizer.json"
MAX_MERGES = 1 << 21


def to_json(model: ByteBpeModel, control: tuple[str, ...], *, indent: int | None = 1) -> str:
    """One stable text for one tokenizer; the control tokens' ids follow those of the pieces. Unindented it is made sooner."""
    return json.dumps(_content(model, control), ensure_ascii=False, indent=indent) + "\n"


def from_json(text: str | bytes, control: tuple[str, ...]) -> ByteBpeModel:
    """The model of `to_json`, with any white space and order of keys; ValueError for anything else."""
    try:
        content = json.loads(text)
        merges, expression = (
            content["model"]["merges"],
            content["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"],
        )
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"this must be a byte-level BPE tokenizer written by mai1 ({reason}): restore the file"
        ) from None
    digits = next((kind for kind, known in EXPRESSIONS.items() if known == expression), None)
    if digits is None:
        raise ValueError("pre_tokenizer must cut words by an expression that mai1 writes: restore the file")
    model = ByteBpeModel(_merges(merges), digits)
    if _content(model, control) != content:
        raise ValueError(
            "this must be a byte-level BPE tokenizer with no other ids, settings or control tokens than mai1 writes and "
            "vocabulary.json names: restore both files"
        )
    return model


def _merges(value: object) -> list[tuple[bytes, bytes]]:
    if not isinstance(value, list) or len(value) > MAX_MERGES:
        raise ValueError(f"model.merges must be a list of at most {MAX_MERGES} pairs: restore the file")
    pairs = []
    for place, pair in enumerate(value):
        try:
            left, right = (bytes(BYTE_OF[character] for character in part) for part in pair)
        except (LookupError, TypeError, ValueError):
            raise ValueError(f"model.merges[{place}] must be two pieces of visible bytes: restore the file") from None
        pairs.append((left, right))
    return pairs


def _content(model: ByteBpeModel, control: tuple[str, ...]) -> dict:
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added_token(model.num_ids + place, name) for place, name in enumerate(control)],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": EXPRESSIONS[model.digits]},
                    "behavior": "Isolated",
                    "invert": False,
                },
                _byte_level(),
            ],
        },
        "post_processor": None,
        "decoder": _byte_level(),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {as_visible(piece): token_id for token_id, piece in enumerate(model.bytes_of_id)},
            "merges": [[as_visible(left), as_visible(right)] for left, right in model.merges],
        },
    }


def _byte_level() -> dict:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def added_token(token_id: int, content: str) -> dict:
    """How `tokenizer.json` lists a control token."""
    return {
        "id": token_id,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
