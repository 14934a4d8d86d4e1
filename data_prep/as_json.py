"""Configs as plain JSON values and back: what a task's arguments are made of."""

import dataclasses
import math
import types
import typing
from enum import Enum
from typing import Any, TypeVar

Config = TypeVar("Config")


def to_json(value: Any) -> Any:
    """Dataclasses as dicts, enums by their values, everything else as it is."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {entry.name: to_json(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no infinity
    if isinstance(value, dict):
        return {str(key): to_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(entry) for entry in value]
    return value


def changed_settings(config: Any, default: Any = None, *, prefix: str = "") -> dict[str, Any]:
    """The settings that differ from their defaults, by dotted key, as JSON; of an entry of a dict those of its own kind."""
    changed: dict[str, Any] = {}
    for entry in dataclasses.fields(config):
        value, key = getattr(config, entry.name), f"{prefix}{entry.name}"
        usual = _default_of(entry) if default is None else getattr(default, entry.name)
        if dataclasses.is_dataclass(value):
            changed |= changed_settings(value, usual, prefix=f"{key}.")
        elif isinstance(value, dict) and value and all(map(dataclasses.is_dataclass, value.values())):
            for name, each in value.items():
                changed |= changed_settings(each, prefix=f"{key}.{name}.")
        elif value != usual:
            changed[key] = to_json(value)
    return changed


def _default_of(entry: dataclasses.Field) -> Any:
    return entry.default_factory() if entry.default_factory is not dataclasses.MISSING else entry.default


def from_json(kind: type[Config], value: Any) -> Config:
    """An instance of a dataclass from what `to_json` made of it."""
    hints = typing.get_type_hints(kind)
    return kind(**{name: _as(hints[name], entry) for name, entry in value.items()})


def _as(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return [_as(arguments[0], entry) for entry in value]
    if origin is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_as(kind, entry) for kind, entry in zip(kinds, value, strict=True))
    if origin is dict:
        return {key: _as(arguments[1], entry) for key, entry in value.items()}
    if origin in (typing.Union, types.UnionType):
        return _as(next(each for each in arguments if each is not type(None)), value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if hint is float:
        return float(value)
    return from_json(hint, value) if dataclasses.is_dataclass(hint) else value
