"""Hydra's corner: YAML and overrides in, one plain checked dataclass out. Nothing below this knows OmegaConf."""

import difflib
import math
import os
import re
from dataclasses import MISSING, is_dataclass
from pathlib import Path
from typing import TypeVar, get_args, get_origin

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

Config = TypeVar("Config")
RESOLVER = re.compile(r"\$\{.*:", re.DOTALL)
"""${oc.env:HOME}, ${now:%Y}: not the same on every rank and day, and secrets in every checkpoint."""
READS_NOTHING = "a configuration reads nothing from outside: write the value itself"


def config_directory() -> Path:
    """The YAML files, beside the code in a checkout and in an installed package alike."""
    return Path(__file__).resolve().parents[1] / "configs"


def compose_config(command: str, schema: type[Config], overrides: list[str]) -> Config:
    """The command's dataclass from configs/COMMAND.yaml and overrides; ValueError with one line for any mistake."""
    ConfigStore.instance().store(name=f"{command}_schema", node=schema)
    if os.environ.get("HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE"):
        raise ValueError(
            "HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE is set: unset it, mai1 instantiates nothing from configs"
        )
    _check_overrides(overrides, command)
    try:
        with initialize_config_dir(str(config_directory()), version_base=None):
            composed = compose(command, [_as_written(override, schema) for override in overrides])
        content = OmegaConf.to_container(composed)
        _refuse_resolvers(content)
        _refuse_unknown_keys(content, schema, command)
        # once more into the schema: a section that was deleted and added again has lost its types
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), composed))
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(_explain(error, command, schema, overrides)) from None
    _refuse_endless_numbers(config)
    return config


def _as_written(override: str, schema: type) -> str:
    """An override as Hydra wants it: a plus before a mapping with names of one's own (`sources={books: ...}`), text in quotes.

    Outside of quotes its grammar knows neither umlauts nor apostrophes; a path or a name is what was typed. A key of an entry
    (`sources.books.path=...`) makes the entry where there is none.
    """
    key, equals, value = override.partition("=")
    kind = _type_of(key.lstrip("+"), schema)
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    if equals and kind is str and value not in ("", "null", "???") and not is_quoted:
        value = _quoted(value)
        override = f"{key}={value}"
    if not _is_of_mapping(key, schema):
        return override
    mapping = _mapping_of(key.lstrip("+"), schema)
    inner = key.lstrip("+")[len(mapping) + 1 :].split(".") if mapping else []
    if equals and value and inner:
        override = f"{mapping}={''.join(f'{{{name}: ' for name in inner)}{value}{'}' * len(inner)}"
    return f"++{override}"


def _mapping_of(key: str, schema: type) -> str:
    """The mapping, with entries that are dataclasses, in whose entries a dotted key lies; empty where it lies in none."""
    names = key.split(".")
    above = (".".join(names[:end]) for end in range(1, len(names)))
    return next((name for name in above if entry_type(_type_of(name, schema))), "")


def _quoted(text: str) -> str:
    """Text in single quotes; backslashes count only in front of one."""
    return "'" + re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), text) + "'"


def _type_of(key: str, schema: type) -> object:
    """What a dotted key is declared as; None for a key that nothing declares."""
    kind: object = schema
    for name in key.split("."):
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            kind = getattr(getattr(kind, "__dataclass_fields__", {}).get(name), "type", None)
    return kind


def _is_of_mapping(key: str, schema: type) -> bool:
    """Whether a dotted key is a mapping with names of one's own, or one of its entries."""
    name, _, rest = key.partition(".")
    kind = getattr(schema.__dataclass_fields__.get(name), "type", None)
    return get_origin(kind) is dict or (hasattr(kind, "__dataclass_fields__") and _is_of_mapping(rest, kind))


def entry_type(kind: object) -> type | None:
    """The dataclass that the entries of a mapping with names of one's own are; None for any other type."""
    entries = get_args(kind)[1] if get_origin(kind) is dict else None
    return entries if hasattr(entries, "__dataclass_fields__") else None


def _check_overrides(overrides: list[str], command: str) -> None:
    """Refuse what Hydra would misread or ignore, and what would bring the environment into every checkpoint."""
    for override in overrides:
        key, equals, value = override.lstrip("+").partition("=")
        if not key or not (equals or override.startswith("~")):
            raise ValueError(f"{override!r} is no key=value: `mai1 {command} --help` lists keys and values")
        if RESOLVER.search(value):
            raise ValueError(f"{override}: {READS_NOTHING}")
        if key.startswith(("hydra.", "hydra/")):
            raise ValueError(f"{override}: Hydra's own settings have no effect here: remove it")
        if "/" in key or (key in _groups() and re.search(r"\.\.|/", value)):
            raise ValueError(f"{override}: options are the files under {config_directory()} alone: name one of them")


def _refuse_resolvers(content: object) -> None:
    """Whatever way a `${oc.env:...}` came in: before it is resolved, so that what it names never gets anywhere."""
    if isinstance(content, str) and RESOLVER.search(content):
        raise ValueError(f"{content}: {READS_NOTHING}")
    for value in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        _refuse_resolvers(value)


def _refuse_endless_numbers(config: object, prefix: str = "") -> None:
    """ValueError for nan, which every comparison lets pass, and for infinity where it is not what the field begins with."""
    for name, entry in config.__dataclass_fields__.items():
        value, key = getattr(config, name), f"{prefix}{name}"
        if isinstance(value, float) and not math.isfinite(value) and value != entry.default:
            raise ValueError(f"{key}={value} must be a finite number")
        if is_dataclass(value):
            _refuse_endless_numbers(value, f"{key}.")
        elif entry_type(entry.type):
            for own, inner in value.items():
                _refuse_endless_numbers(inner, f"{key}.{own}.")


def _refuse_unknown_keys(content: dict, schema: type, command: str, prefix: str = "") -> None:
    """`+key=value` may add what no dataclass has, `_target_` among it."""
    for name, value in content.items():
        entry = schema.__dataclass_fields__.get(name)
        if entry is None:
            near = _did_you_mean(prefix + name, key_names(schema, prefix), command)
            raise ValueError(f"{prefix}{name} is no key of `mai1 {command}`: {near}")
        if hasattr(entry.type, "__dataclass_fields__") and isinstance(value, dict):
            _refuse_unknown_keys(value, entry.type, command, f"{prefix}{name}.")
        elif entries := entry_type(entry.type):
            for own, inner in (value or {}).items():
                if isinstance(inner, dict):
                    _refuse_unknown_keys(inner, entries, command, f"{prefix}{name}.{own}.")


def _explain(error: Exception, command: str, schema: type, overrides: list[str]) -> str:
    """One line: what was given, what is wrong, what would be right."""
    known = key_names(schema)
    for key in map(_key_of, overrides):
        if key not in known and key not in _groups() and not _is_of_mapping(key, schema):
            return f"{key} is no key of `mai1 {command}`: {_did_you_mean(key, known, command)}"
        if (mapping := _mapping_of(key, schema)) and _type_of(key, schema) is None:
            own = key_names(
                entry_type(_type_of(mapping, schema)), f"{mapping}.{key[len(mapping) + 1 :].partition('.')[0]}."
            )
            return f"{key} is no key of `mai1 {command}`: {_did_you_mean(key, own, command)}"
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override.lstrip('+')}: this is no list, mapping or number that can be read: close every bracket, name "
            "entries with letters, digits, - and _, and quote texts that hold more than these and ./, as in "
            "'sources={a: {path: \"b ü.txt\"}}'"
        )
    text = str(getattr(error, "__cause__", None) or error)
    for override in overrides:
        if shape := _shape_that_was_meant(override, schema, text):
            return f"{override}: {shape}"
    first_line = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    full_key = getattr(getattr(error, "__cause__", None), "full_key", None) or getattr(error, "full_key", None)
    given = getattr(error, "override", None) or next(
        (o for o in reversed(overrides) if _key_of(o) == full_key or _key_of(o) in first_line), full_key
    )
    available = " ".join(line.strip() for line in text.splitlines()[1:] if line.startswith("\t") and "=" not in line)
    return f"{given or 'configuration'}: {first_line} {available} (`mai1 {command} --help` lists keys and values)"


def _shape_that_was_meant(override: str, schema: type, said: str) -> str:
    """How a value is written that must be a list or a mapping and is neither; empty for any other mistake."""
    key, _, value = override.lstrip("+").partition("=")
    kind = _type_of(key, schema)
    if get_origin(kind) is list and value and value[0] != "[":
        return f"this is a list: write {key}=[{value}]"
    is_flat = "is not a subclass of" in said and entry_type(kind) is not None
    if get_origin(kind) is dict and value and (value[0] != "{" or is_flat):
        return f"this is a mapping: write '{key}={{NAME: {_example_of(entry_type(kind))}}}'"
    return ""


def _example_of(entries: type | None) -> str:
    """`{path: ...}`: an entry of a mapping with what it must have."""
    fields = () if entries is None else entries.__dataclass_fields__.values()
    needed = [each.name for each in fields if each.default is MISSING and each.default_factory is MISSING]
    return f"{{{', '.join(f'{name}: ...' for name in needed)}}}" if needed else "..."


def _groups() -> list[str]:
    return [path.name for path in config_directory().iterdir() if path.is_dir()]


def _key_of(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _did_you_mean(key: str, known: list[str], command: str) -> str:
    """Known keys that look alike, whole or in their last part."""
    same_name = [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]]
    near = same_name or difflib.get_close_matches(key, known, n=2)
    return f"did you mean {' or '.join(near[:3])}?" if near else f"`mai1 {command} --help` lists them"


def key_names(schema: type, prefix: str = "") -> list[str]:
    """Every dotted key of a command's configuration."""
    names = []
    for name, entry in schema.__dataclass_fields__.items():
        names.append(prefix + name)
        if hasattr(entry.type, "__dataclass_fields__"):
            names += key_names(entry.type, f"{prefix}{name}.")
    return names
