"""Markdown building blocks of the data card; here, and only here, text from files becomes safe Markdown."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

MAX_TEXT = 300
SPECIAL = re.compile(r"([\\`*_\[\]<>|&$])")
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")


class Safe(str):
    """Text that is already Markdown: everything else is escaped on its way into a table."""

    __slots__ = ()


def markdown(value: object) -> Safe:
    """`value` as plain words of one line: nothing in it is read as Markdown or HTML."""
    return value if isinstance(value, Safe) else Safe(SPECIAL.sub(r"\\\1", _one_line(value)))


def code_span(value: object) -> Safe:
    """`value` as code; empty stays empty. Backticks become quotes, since nothing escapes them within a span."""
    text = _one_line(value).replace("`", "'").replace("|", "\\|")
    return Safe(f"`{text}`" if text else "")


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> Safe:
    """A table; cells are escaped unless they are Markdown already."""
    lines = [headers, ["---"] * len(headers), *([markdown(cell) for cell in row] for row in rows)]
    return Safe("\n".join(f"| {' | '.join(line)} |" for line in lines))


def bullet_list(items: Iterable[str]) -> Safe:
    """A line for each item, escaped."""
    return Safe("\n".join(f"- {markdown(item)}" for item in items))


def front_matter(facts: dict[str, Any]) -> Safe:
    """YAML between two lines of dashes; values are JSON, which is YAML, so that no text can become a key."""
    lines = (f"{key}: {json.dumps(value)}" for key, value in facts.items() if value or value == 0)
    return Safe("\n".join(["---", *lines, "---"]))


def _one_line(value: object) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
    text = UNPRINTABLE.sub(" ", text).strip()
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
