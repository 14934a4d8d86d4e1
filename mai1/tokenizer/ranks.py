"""A byte-level BPE as tiktoken has it: every piece's bytes and the rank by which it is merged.

tiktoken merges whichever two neighbours make the piece of the lowest rank; our merges name one division of each piece.
Both give the same ids if that is the division that the merges before it reach by themselves, which is checked here.
"""

import base64
import json
from pathlib import Path

from mai1.tokenizer.byte_bpe import ByteBpeModel
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.words import EXPRESSIONS

RANKS_FILE = "tokenizer.tiktoken"
ENCODING_FILE = "tokenizer.tiktoken.json"


def ranks_of(model: ByteBpeModel) -> dict[bytes, int]:
    """Rank of every piece, which is its id; ValueError for merges that tiktoken would make in another way."""
    ranks = {piece: rank for rank, piece in enumerate(model.bytes_of_id)}
    for left, right in model.merges:
        if _last_division(left + right, ranks) != (left, right):
            raise ValueError(
                f"the merge of {left!r} and {right!r} must be the one that earlier merges lead to, or tiktoken would give "
                "other ids: encode with library=own and export no ranks"
            )
    return ranks


def write_ranks(tokenizer: Tokenizer, directory: Path) -> None:
    """A rank file as `tiktoken.load.load_tiktoken_bpe` reads it, and what else `tiktoken.Encoding` is to be given."""
    assert isinstance(tokenizer.model, ByteBpeModel)
    ranks, vocabulary = ranks_of(tokenizer.model), tokenizer.vocabulary
    rest = {
        "pat_str": EXPRESSIONS[tokenizer.model.digits],
        "special_tokens": {name: vocabulary.control_id(name) for name in vocabulary.control},
    }
    lines = (f"{base64.b64encode(piece).decode()} {rank}\n" for piece, rank in ranks.items())
    directory.mkdir(parents=True, exist_ok=True)
    (directory / RANKS_FILE).write_text("".join(lines), encoding="ascii", newline="\n")
    (directory / ENCODING_FILE).write_text(json.dumps(rest, indent=1) + "\n", encoding="utf-8", newline="\n")


def _last_division(piece: bytes, ranks: dict[bytes, int]) -> tuple[bytes, ...]:
    """The two parts that a piece is made of when the piece of the lowest rank is merged first, leftmost first."""
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while len(parts) > 2:
        joined = [ranks.get(left + right, len(ranks)) for left, right in zip(parts, parts[1:], strict=False)]
        place = min(range(len(joined)), key=joined.__getitem__)
        if joined[place] == len(ranks):
            break
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return tuple(parts)
