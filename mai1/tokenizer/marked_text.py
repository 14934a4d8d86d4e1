"""Rendered conversations to tokens, where control tokens that a person wrote stay text, however they read.

Before a conversation is rendered, marks are put around what reads as a control token in its messages; a template moves them
with the text. What stands between marks is then encoded by the model alone, which knows no added tokens, and everything
else, the template's own control tokens among it, as ever. transformers does the same for
`apply_chat_template(sanitize_control_tokens=True)`, and the ids are equal.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from mai1.tokenizer.foreign import ForeignModel, library_mistakes

MARK_START, MARK_END = "\U000f0000", "\U000f0001"
"""Characters of private use; those that stand in a message are taken out of it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One token, and from and to which character of the rendered text it stands."""

    token_id: int
    start: int
    end: int


def mark(value: object, names: frozenset[str]) -> object:
    """A message, or whatever JSON, with marks around these tokens wherever its strings hold them; keys stay as they are."""
    if isinstance(value, str):
        value = value.replace(MARK_START, "").replace(MARK_END, "")
        return _any_of(names).sub(f"{MARK_START}\\g<0>{MARK_END}", value)
    if isinstance(value, dict):
        return {key: mark(item, names) for key, item in value.items()}
    return [mark(item, names) for item in value] if isinstance(value, list) else value


def encode_marked(model: ForeignModel, text: str) -> list[Piece]:
    """The tokens of a rendered text. ValueError where the tokenizer knows no other way to write a marked token."""
    if MARK_START not in text and MARK_END not in text:
        return _pieces(model, text, 0)
    pieces, start = [], 0
    for number, part in enumerate(_marked(frozenset(model.added)).split(text)):
        is_marked = number % 2 == 1
        if part is None:  # a mark alone, for the template has cut off the other
            start += 1
            continue
        start += is_marked
        if is_marked:
            ids = _behind_break(model, part)
            if model.added[part] in ids:
                raise ValueError(f"{part!r} in a message cannot be written as text with this tokenizer: take it out")
            pieces += [Piece(token_id, start, start + len(part)) for token_id in ids]
        elif part:
            pieces += _pieces(model, part, start) if number == 0 else _pieces_behind_break(model, part, start)
        start += len(part) + is_marked
    return pieces


def _pieces(model: ForeignModel, text: str, start: int) -> list[Piece]:
    with library_mistakes(model.where):
        found = model.library.encode(text, add_special_tokens=False)
    return [Piece(i, start + a, start + b) for i, (a, b) in zip(found.ids, found.offsets, strict=True)]


def _pieces_behind_break(model: ForeignModel, text: str, start: int) -> list[Piece]:
    """As `_pieces` in the middle of a text: behind a line break no tokenizer puts a space in front."""
    found, lead = _pieces(model, "\n" + text, start - 1), model.encode("\n")
    is_apart = [piece.token_id for piece in found[: len(lead)]] == lead
    return found[len(lead) :] if is_apart else _pieces(model, text, start)


def _behind_break(model: ForeignModel, text: str) -> list[int]:
    found, lead = _encode_unadded(model, "\n" + text), model.encode("\n")
    return found[len(lead) :] if found[: len(lead)] == lead else _encode_unadded(model, text)


def _encode_unadded(model: ForeignModel, text: str) -> list[int]:
    """Ids by the model alone, so that no added token is found."""
    library = model.library
    with library_mistakes(model.where):
        text = library.normalizer.normalize_str(text) if library.normalizer is not None else text
        words = [text]
        if library.pre_tokenizer is not None:
            words = [word for word, _ in library.pre_tokenizer.pre_tokenize_str(text)]
        tokenize: Callable = library.model.tokenize
        return [token.id for word in words for token in tokenize(word)]


@lru_cache(maxsize=16)
def _any_of(names: frozenset[str]) -> re.Pattern:
    """The longest of these wherever one stands; nothing where there are none."""
    return re.compile("|".join(map(re.escape, sorted(names, key=lambda name: (-len(name), name)))) or "(?!)")


@lru_cache(maxsize=16)
def _marked(names: frozenset[str]) -> re.Pattern:
    return re.compile(f"{MARK_START}({_any_of(names).pattern}){MARK_END}|[{MARK_START}{MARK_END}]")
