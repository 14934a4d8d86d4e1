"""`mai1 COMMAND --help`: every key with its default and the line that stands under it in the code."""

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, Field, dataclass
from enum import Enum

from mai1.run.compose import Config, compose_config, config_directory, entry_type

MISSING_VALUES = {
    "sft": ["checkpoint.init_from=RUN"],
    "align": ["checkpoint.init_from=RUN", "data.train=PAIRS.jsonl"],
    "import": ["checkpoint=HF_DIR", "output=DIR"],
}
"""Stand-ins for what a person must give."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a command, or a section of keys."""

    name: str
    """Dotted, `train.steps`."""
    kind: object
    """The field's type."""
    default: object
    """As written on the command line; None of a section."""
    note: str
    """What stands under it in the code."""
    is_section: bool
    """Whether keys stand below it, and it has no value of its own."""


def print_help(command: str, schema: type, summary: str) -> None:
    """Teach a command, or an action of one: what it does, its option files, and its keys."""
    print(f"{summary}\n\nusage: mai1 {command} [key=value ...]\n")
    command = command.partition(" ")[0]
    for group, names in option_files(command).items():
        print(f"  {group}= {' | '.join(names)}")
    print("\nkeys and their defaults:")
    _print_keys(keys_of(schema, defaults_of(command, schema)))


def option_files(command: str) -> dict[str, list[str]]:
    """The groups of files under configs/ that a command takes one of, and their names: `model=tiny`."""
    content = (config_directory() / f"{command}.yaml").read_text()
    folders = sorted(path for path in config_directory().iterdir() if path.is_dir() and path.name[0] != "_")
    return {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in folders
        if f"{folder.name}:" in content
    }


def defaults_of(command: str, schema: type[Config]) -> Config:
    """A command's configuration where nothing is given but what must be."""
    return compose_config(command, schema, MISSING_VALUES.get(command, []))


def _print_keys(keys: Iterable[Key]) -> None:
    """A line or more each, indented by how deep a key stands."""
    for key in keys:
        *above, name = key.name.split(".")
        indent = "  " * len(above)
        if key.is_section:
            print(f"{indent}{name}:  # {key.note}")
            continue
        lines = textwrap.wrap(key.note, 72) or [""]
        print(f"{indent}{f'{name}={key.default}':<{max(36 - len(indent), 1)}} {lines[0]}")
        for line in lines[1:]:
            print(f"{'':<37}{line}")


def keys_of(schema: type, values: object = None, *, prefix: str = "") -> Iterator[Key]:
    """Every key of a dataclass and of those in it, as they stand in the code; `NAME` is a name of one's own.

    Defaults are those of `values`, or without any of the fields; `...` stands for what must be given.
    """
    notes = field_notes(schema)
    for name, entry in schema.__dataclass_fields__.items():
        value = getattr(values, name) if values is not None else _default_of(entry)
        dotted, is_section = prefix + name, hasattr(entry.type, "__dataclass_fields__")
        yield Key(dotted, entry.type, None if is_section else _plain(value), notes.get(name, ""), is_section)
        if is_section:
            yield from keys_of(entry.type, value, prefix=f"{dotted}.")
        if (entries := entry_type(entry.type)) is not None:
            yield Key(f"{dotted}.NAME", entries, None, " ".join((entries.__doc__ or "").split()), is_section=True)
            yield from keys_of(entries, prefix=f"{dotted}.NAME.")


def _plain(value: object) -> object:
    """A value as it is written on the command line."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, str):
        return value.replace("\n", "\\n")
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
