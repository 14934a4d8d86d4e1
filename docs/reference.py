"""The reference pages of the site, made from the code: every command, every key with its default, and the option files."""

import contextlib
import html
import importlib
import io
import re
from enum import Enum
from functools import cache
from types import UnionType
from typing import Union, get_args, get_origin

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from mai1.run.cli import COMMANDS, MODULES
from mai1.run.compose import config_directory
from mai1.run.help import Key, defaults_of, keys_of, option_files

PLAIN_KINDS = {bool: "`true`, `false`", int: "whole number", float: "number", str: "text"}
ACTION_WITH_KEYS = {"tokenizer": ["train"]}
"""Commands of several actions of which one takes a configuration."""
CODE_SPAN = re.compile(r"(`[^`]*`)")


def reference_pages() -> dict[str, str]:
    """Markdown by file name, the index first."""
    pages = {"index.md": _index_page()}
    pages |= {f"{command}.md": command_page(command) for command in COMMANDS}
    return pages | {"options.md": _options_page()}


@cache
def schema_of(command: str) -> type:
    """The dataclass whose keys `mai1 COMMAND --help` prints: composing leaves it in Hydra's store."""
    _printed_by(command, [*ACTION_WITH_KEYS.get(command, []), "--help"])
    return OmegaConf.get_type(ConfigStore.instance().load(f"{command}_schema.yaml").node)


def has_keys(command: str) -> bool:
    """Whether a command takes a configuration, and no more than a few words."""
    return (config_directory() / f"{command}.yaml").is_file()


def command_page(command: str) -> str:
    """What a command is for, how it is called, and all of its keys."""
    lines = [f"# mai1 {command}", "", _summary_of(command), "", "```text", _example_of(command), "```", ""]
    if not has_keys(command) or hasattr(_module_of(command), "USAGE"):
        lines += ["```text", _usage_of(command), "```", ""]
    if has_keys(command):
        for group, names in option_files(command).items():
            lines += [
                f"`{group}=` takes one of the [option files](options.md): {', '.join(f'`{n}`' for n in names)}.",
                "",
            ]
        schema = schema_of(command)
        lines += keys_as_markdown(list(keys_of(schema, defaults_of(command, schema))))
    return "\n".join(lines) + "\n"


def keys_as_markdown(keys: list[Key]) -> list[str]:
    """A table for each section, its keys in the order of the code."""
    sections = {"": ""} | {key.name: key.note for key in keys if key.is_section}
    lines = []
    for section, note in sections.items():
        own = [key for key in keys if not key.is_section and key.name.rpartition(".")[0] == section]
        if own or section:
            lines += ["", f"## {section}" if section else "## Keys", "", as_markdown(note), ""]
        if own:
            lines += ["| key | default | values | meaning |", "|---|---|---|---|", *map(_row_of, own)]
    return lines


def _row_of(key: Key) -> str:
    cells = [f'<code id="{key.name}">{key.name}</code>', default_in_words(key.default), kind_in_words(key.kind)]
    cells.append(as_markdown(key.note))
    return "| " + " | ".join(cell.replace("|", "&#124;") for cell in cells) + " |"


def default_in_words(value: object) -> str:
    """What a key is where nobody sets it."""
    if value is None:
        return "null"
    return f"<code>{html.escape(str(value))}</code>" if value != "" else "empty"


def kind_in_words(kind: object) -> str:
    """The values that a key may have."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{member.value}`" for member in kind)
    if get_origin(kind) in (Union, UnionType):
        return " or ".join("null" if part is type(None) else kind_in_words(part) for part in get_args(kind))
    if get_origin(kind) is list:
        return f"list of {kind_in_words(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return f"names of your own, each with {kind_in_words(get_args(kind)[1])}"
    if hasattr(kind, "__dataclass_fields__"):
        return "keys: " + ", ".join(f"`{name}`" for name in kind.__dataclass_fields__)
    return PLAIN_KINDS.get(kind, html.escape(str(kind)))


def as_markdown(note: str) -> str:
    """A docstring's line as text: nothing in it is markup but code in backquotes."""
    parts = CODE_SPAN.split(note)
    return "".join(
        part if part.startswith("`") else re.sub(r"([*_\[\]])", r"\\\1", html.escape(part)) for part in parts
    )


def _index_page() -> str:
    rows = [f"| [`mai1 {command}`]({command}.md) | {as_markdown(_short(command))} |" for command in COMMANDS]
    lines = [
        "# Commands and keys",
        "",
        "Made from the code of this version; `mai1 COMMAND --help` prints the same.",
        "",
    ]
    lines += ["| command | what it does |", "|---|---|", *rows]
    lines += ["", "Shapes, curations and whole recipes to choose by name: [option files](options.md)."]
    return "\n".join(lines) + "\n"


def _options_page() -> str:
    lines = ["# Option files", "", "What `group=name` stands for; files under `configs/`.", ""]
    for folder in sorted(path for path in config_directory().iterdir() if path.is_dir() and path.name[0] != "_"):
        for file in sorted(folder.glob("*.yaml")):
            content = file.read_text(encoding="utf-8").rstrip()
            lines += [f"## {folder.name}={file.stem}", "", "```yaml", content, "```", ""]
    return "\n".join(lines) + "\n"


def _module_of(command: str) -> object:
    return importlib.import_module(f"mai1.run.{MODULES.get(command, command)}")


def _summary_of(command: str) -> str:
    paragraph = (_module_of(command).__doc__ or "").strip().partition("\n\n")[0]
    return " ".join(paragraph.split())


def _usage_of(command: str) -> str:
    return _printed_by(command, ["--help"])


def _printed_by(command: str, arguments: list[str]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        _module_of(command).main(arguments)
    return printed.getvalue().strip()


def _short(command: str) -> str:
    return COMMANDS[command].partition("  ")[0].rstrip(": ")


def _example_of(command: str) -> str:
    return COMMANDS[command].rpartition("  ")[2].strip()
