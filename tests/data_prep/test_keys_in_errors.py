"""Errors of `mai1 prepare` name keys that a person can type: none begins with `prepare.`, each is of its configuration."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args, get_origin

import pytest

from data_prep.config import PrepareConfig

SOURCES = [*sorted(Path("data_prep").rglob("*.py")), Path("mai1/run/prepare.py"), Path("mai1/tokenizer/training.py")]
KEY = re.compile(r"(?<![\w.*/-])((?:[a-z_0-9]+|\*)(?:\.(?:[a-z_0-9]+|\*))+)=")
"""A dotted key in front of its value; a star stands for what is filled in."""


def template(node: ast.expr) -> str:
    """The text of a string or f-string, with a star for each value that is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) for part in node.values)
    return "*"


def messages(path: Path) -> Iterator[str]:
    """What the ValueErrors of a file say."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ValueError":
            yield from map(template, node.args)


def can_be_typed(names: list[str], kind: object) -> bool:
    """Whether dotted names lead to a field; a star may be any field, and what stands in a mapping any name."""
    if not names:
        return True
    first, *rest = names
    if get_origin(kind) is dict:
        return can_be_typed(rest, get_args(kind)[1])
    found = [each.type for each in fields(kind) if first in (each.name, "*")] if is_dataclass(kind) else []
    return any(can_be_typed(rest, each) for each in found)


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_key_in_an_error_of_prepare_can_be_typed(path: Path):
    named = [key for message in messages(path) for key in KEY.findall(message) if not key.startswith("*")]
    assert [key for key in named if not can_be_typed(key.split("."), PrepareConfig)] == []
    assert not any("prepare." in message for message in messages(path))


def test_the_search_for_keys_finds_them():
    found = {key for path in SOURCES for message in messages(path) for key in KEY.findall(message)}
    assert {"sources.*.path", "errors.max_fraction", "tokenizer.vocab_size", "scores.scorers.*.keep.min_value"} <= found
    for key in ("prepare.output", "scores.keep.min_value", "sources.*.pth", "output.path"):
        assert not can_be_typed(key.split("."), PrepareConfig)
    assert can_be_typed(["scores", "scorers", "*", "keep", "*"], PrepareConfig)
