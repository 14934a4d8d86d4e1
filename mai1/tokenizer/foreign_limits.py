"""What somebody's tokenizer.json may ask for: judged before the library reads the file, for that believes every size.

A normalizer that doubles each letter forty times, an expression that tries every way to cut a word, a table that says it has
4 GB: all are a few bytes of JSON. Of expressions, Oniguruma itself gives a match up after ten million steps.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator

from mai1.given_files import check_entries

SECTIONS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
MOST_GROWTH = 1000
"""How many times as long a text may become by replacements; of all tokenizers that are known, twice."""
MOST_WORD_CHARACTERS = 1000
"""WordPiece's time grows with the square of a word."""
MOST_OPEN_REPEATS = 3
"""Repeats without an end, one behind the other in one way through an expression; GPT-2's, Llama's and Qwen's have two."""
OPEN_COUNT = 100
"""So many times and more are taken for any number of times."""

_GROUP = re.compile(r"\?(?:#[^)]*\)|<[=!]|<\w+>|[=!>~]|[A-Za-z-]*[:)])")
_CLASS_ESCAPE = re.compile(r"\\[pPxu]\{[^}]*\}|\\.", re.DOTALL)
_REPEAT = re.compile(r"([*+?]|\{(\d*)(,?)(\d*)\})[?+]?")


def check_limits(content: bytes, *, where: str) -> None:
    """ValueError for a tokenizer.json whose reading or use could take memory or time without bound, or that is ambiguous."""
    try:
        check_entries(content)
        found = json.loads(content, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} cannot be read ({error}): restore the file") from None
    if not isinstance(found, dict):
        raise ValueError(f"{where} cannot be read (it holds no object): restore the file")
    try:
        for section in SECTIONS:
            _check_section(list(_objects_in(found.get(section))))
        model = found.get("model")
        _check_section(
            [{k: v for k, v in model.items() if k not in ("vocab", "merges")}] if isinstance(model, dict) else []
        )
    except ValueError as error:
        raise ValueError(f"{where} cannot be used ({error}): use another tokenizer") from None


def _without_repetition(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) != len(pairs):  # of two, readers take different ones
        raise ValueError("an object says one key twice")
    return found


def _objects_in(value: object) -> Iterator[dict]:
    """Every object at any depth."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _check_section(parts: list[dict]) -> None:
    growth = 1
    for part in parts:
        growth *= _growth_of(part)
        if growth > MOST_GROWTH:
            raise ValueError(f"its replacements could make a text more than {MOST_GROWTH} times as long")
        if isinstance(expression := part.get("Regex"), str):
            _check_expression(expression)
        characters = part.get("max_input_chars_per_word", 0)
        if not isinstance(characters, int) or characters > MOST_WORD_CHARACTERS:
            raise ValueError(f"max_input_chars_per_word={characters} is more than {MOST_WORD_CHARACTERS}")
        if isinstance(table := part.get("precompiled_charsmap"), str):
            _check_charsmap(table)


def _growth_of(part: dict) -> int:
    """The most characters that a replacement makes of one."""
    pattern, content = part.get("pattern"), part.get("content")
    if pattern is None or not isinstance(content, str):
        return 1
    text = pattern.get("String") if isinstance(pattern, dict) else pattern
    if isinstance(text, str) and text:
        return max(1, -(-len(content) // len(text)))
    return 1 + len(content)  # behind each letter, where an expression finds nothing


def _check_charsmap(table: str) -> None:
    """SentencePiece's: the bytes of a trie as a number of 32 bits, the trie, and texts."""
    try:
        content = base64.b64decode(table)
    except binascii.Error as error:
        raise ValueError(f"precompiled_charsmap: {error}") from None
    if int.from_bytes(content[:4], "little") > len(content) - 4:
        raise ValueError("precompiled_charsmap says that it is longer than it is")


def _check_expression(expression: str) -> None:
    """Refuse what takes exponential time, or a high power of a text's length, and what calls itself.

    A group that repeats without an end may not hold a repeat without an end.
    """
    place, outer, branches, is_open = 0, [], [0], False
    while place < len(expression):
        character, total, holds_open = expression[place], 0, False
        if character == "(":
            found = _GROUP.match(expression, place + 1)
            place = found.end() if found else place + 1
            if not (found and found.group().endswith(")")):
                outer.append((branches, is_open))
                branches, is_open = [0], False
            continue
        if character == "|":
            branches.append(0)
        elif character == ")" and outer:
            total, holds_open = max(branches), is_open
            branches, is_open = outer.pop()
        elif character == "\\" and expression[place + 1 : place + 2] == "g":
            raise ValueError("an expression that calls itself is not run")
        place = _end_of_atom(expression, place)
        while repeat := _REPEAT.match(expression, place):
            place, times = repeat.end(), _times(repeat)
            if times >= OPEN_COUNT and holds_open:
                raise ValueError(f"{expression[:60]!r} repeats what repeats, which can take exponential time")
            total, holds_open = (total * times, holds_open) if times < OPEN_COUNT else (total + 1, True)
        branches[-1] += total
        is_open |= holds_open
        if branches[-1] > MOST_OPEN_REPEATS:
            raise ValueError(f"{expression[:60]!r} has more than {MOST_OPEN_REPEATS} repeats without an end in a row")


def _times(repeat: re.Match) -> int:
    """How often at most."""
    sign, least, comma, most = repeat.groups()
    if sign in "*+" or (comma and not most):
        return OPEN_COUNT
    return 1 if sign == "?" else min(int(most or least or 1), OPEN_COUNT)


def _end_of_atom(expression: str, place: int) -> int:
    """Behind a character, an escape or a class in brackets, which may hold others."""
    if expression[place] == "\\":
        found = _CLASS_ESCAPE.match(expression, place)
        return found.end() if found else place + 1
    if expression[place] != "[":
        return place + 1
    depth = 0
    while place < len(expression):
        character = expression[place]
        if character == "\\":
            found = _CLASS_ESCAPE.match(expression, place)
            place = found.end() if found else place + 1
            continue
        depth += (character == "[") - (character == "]")
        place += 1
        if character == "[" and expression[place : place + 1] == "^":
            place += 1
        if depth == 0:
            return place
    return place
