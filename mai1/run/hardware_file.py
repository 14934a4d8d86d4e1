"""A device of one's own: a YAML file of figures, for the planner."""

from dataclasses import fields
from pathlib import Path
from reprlib import repr as shortened

import yaml

from mai1.plan.hardware import Hardware

MOST_BYTES = 65536


def read_hardware(path: Path) -> Hardware:
    """The figures in the file; ValueError names what is missing, unknown or no number."""
    kinds = {entry.name: entry.type for entry in fields(Hardware)}
    values = _read_mapping(path)
    if unknown := [key for key in values if key not in kinds]:
        raise ValueError(f"hardware_file={path}: {unknown[0]!r} is no key: use {', '.join(kinds)}")
    if not isinstance(values.get("name"), str) or not values["name"]:
        raise ValueError(f"hardware_file={path}: name is missing: say what the device is called")
    peaks = values.get("peak_flops")
    if not isinstance(peaks, dict) or not peaks:
        raise ValueError(f"hardware_file={path}: peak_flops must name a format, e.g. {{bf16: 989e12}}")
    values["peak_flops"] = {str(key): _number(path, f"peak_flops.{key}", value) for key, value in peaks.items()}
    for key, kind in kinds.items():
        if kind in (int, float) and key in values:
            values[key] = kind(_number(path, key, values[key]))
    try:
        return Hardware(**values)
    except ValueError as error:
        raise ValueError(f"hardware_file={path}: {error}") from None


def _read_mapping(path: Path) -> dict:
    if not path.is_file():
        raise ValueError(f"hardware_file={path} is no file: check the path")
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"hardware_file={path} has {path.stat().st_size:,} bytes: a device takes a few hundred")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"hardware_file={path} cannot be read as YAML: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"hardware_file={path} must hold key: value lines, e.g. memory_bytes: 80e9")
    return values


def _number(path: Path, key: str, value: object) -> float:
    """YAML 1.1 reads 80e9 as text, which is a number for everybody else."""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e30:
        raise ValueError(f"hardware_file={path}: {key}={shortened(value):.60} must be a number that is not negative")
    return number
