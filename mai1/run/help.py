"""`mai1 COMMAND --help`: every key with its default and the line that stands under it in the code."""

import ast
import inspect
import textwrap
from dataclasses import MISSING, Field
from enum import Enum
from pathlib import Path

from mai1.run.compose import compose_config, config_directory, entry_type

MISSING_VALUES = {
    "sft": ["checkpoint.init_from=RUN"],
    "align": ["checkpoint.init_from=RUN", "data.train=PAIRS.jsonl"],
}
"""Stand-ins for what a person must give."""


def print_help(command: str, schema: type, summary: str) -> None:
    """Teach a command, or an action of one: what it does, its option files, and its keys."""
    print(f"{summary}\n\nusage: mai1 {command} [key=value ...]\n")
    command = command.partition(" ")[0]
    for group in sorted(path for path in config_directory().iterdir() if path.is_dir() and path.name[0] != "_"):
        if _uses_group(command, group):
            print(f"  {group.name}= {' | '.join(sorted(file.stem for file in group.glob('*.yaml')))}")
    print("\nkeys and their defaults:")
    _print_keys(schema, compose_config(command, schema, MISSING_VALUES.get(command, [])), indent="")


def _uses_group(command: str, group: Path) -> bool:
    return f"{group.name}:" in (config_directory() / f"{command}.yaml").read_text()


def _print_keys(schema: type, values: object, *, indent: str) -> None:
    """Of `values`, or without any the defaults of the fields; `...` stands for what must be given."""
    notes = field_notes(schema)
    for name, entry in schema.__dataclass_fields__.items():
        value = getattr(values, name) if values is not None else _default_of(entry)
        if hasattr(entry.type, "__dataclass_fields__"):
            print(f"{indent}{name}:  # {notes.get(name, '')}")
            _print_keys(entry.type, value, indent=indent + "  ")
            continue
        shown = _plain(value)
        lines = textwrap.wrap(notes.get(name, ""), 72) or [""]
        print(f"{indent}{name + '=' + str(shown):<{max(36 - len(indent), 1)}} {lines[0]}")
        for line in lines[1:]:
            print(f"{'':<37}{line}")
        if (entries := entry_type(entry.type)) is not None:
            print(f"{indent}  NAME:  # {' '.join((entries.__doc__ or '').split())}")
            _print_keys(entries, None, indent=indent + "    ")


def _plain(value: object) -> object:
    """A value as it is written on the command line."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value.value if isinstance(value, Enum) else value


def _default_of(entry: Field) -> object:
    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return "..." if entry.default is MISSING else entry.default


def field_notes(schema: type) -> dict[str, str]:
    """The string under each field of a dataclass, its parents' included."""
    notes: dict[str, str] = {}
    for cls in reversed(schema.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0].body
        for field_node, note in zip(body, body[1:], strict=False):
            if (
                isinstance(field_node, ast.AnnAssign)
                and isinstance(note, ast.Expr)
                and isinstance(note.value, ast.Constant)
            ):
                notes[field_node.target.id] = " ".join(str(note.value.value).split())
    return notes
