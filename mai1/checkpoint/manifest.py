"""The manifest: every file's size and SHA-256, where each range of the optimizer state lies, and what wrote it all.

It is read before anything else of a checkpoint and believed in nothing: names, counts and ranges are checked here once.
"""

import json
from pathlib import Path, PurePosixPath

from mai1.checkpoint.pieces import check_table, table_of_single_pieces

MANIFEST = "manifest.json"
FORMAT, VERSION = "mai1-checkpoint", 2
SINGLE_PIECES = 1
"""The version before, which has a row for every piece of the optimizer state; read as if it were of today."""
MAX_BYTES = 2**30
COUNTS = ("step", "tokens", "optimizer_step", "world_size", "expert_parallel")


def read_manifest(directory: Path) -> dict:
    """The manifest of a checkpoint, as today's version has it; ValueError where there is none or it says what cannot be."""
    path = directory / MANIFEST
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        manifest = json.loads(path.read_bytes())
        _check(manifest)
    except FileNotFoundError:
        raise ValueError(f"{directory} has no {MANIFEST}: it is no finished mai1 checkpoint") from None
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path} is no manifest of a mai1 checkpoint ({reason}): use another checkpoint") from None
    return manifest


def is_average(manifest: dict) -> bool:
    """Whether the weights are a mean over checkpoints, with no optimizer state that belongs to them."""
    return "averaged_from" in manifest


def lineage_of(directory: Path) -> list[dict]:
    """What a checkpoint grew from, oldest first; empty where it did not, and for plain Hugging Face directories."""
    found = read_manifest(directory).get("lineage", []) if (directory / MANIFEST).is_file() else []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError(f"{directory / MANIFEST}: lineage must be a list of objects: use another checkpoint")
    return found


def _check(manifest: dict) -> None:
    if manifest["format"] != FORMAT or manifest["version"] not in (SINGLE_PIECES, VERSION):
        raise ValueError(f"format {manifest['format']!r} version {manifest['version']!r}")
    for key in COUNTS:
        _check_count(manifest[key], key)
    for name, entry in manifest["files"].items():
        _check_file_name(name)
        _check_count(entry["bytes"], f"the size of {name}")
        _check_count(entry.get("rank", 0), f"the rank that wrote {name}")
        if len(entry["sha256"]) != 64 or set(entry["sha256"]) - set("0123456789abcdef"):
            raise ValueError(f"the SHA-256 of {name} is none")
    _check_lora(manifest.get("lora"))
    if manifest["version"] == SINGLE_PIECES:
        table = table_of_single_pieces(manifest["optimizer"], num_ranks=manifest["world_size"])
        manifest |= {"version": VERSION, "optimizer": table}
    check_table(manifest["optimizer"], manifest["files"], num_ranks=manifest["world_size"])


def _check_count(value: object, what: str) -> None:
    if type(value) is not int or not 0 <= value < 2**62:
        raise ValueError(f"{what} is {str(value)[:40]}, which is no count")


def _check_lora(lora: object) -> None:
    if lora is None:
        return
    for key, kind in (("rank", int), ("alpha", float), ("base", str), ("targets", list), ("trained_whole", list)):
        if type(lora[key]) is not kind:
            raise ValueError(f"lora.{key} is {str(lora[key])[:40]}")
    if not all(type(entry) is str for key in ("targets", "trained_whole") for entry in lora[key]):
        raise ValueError("lora.targets and lora.trained_whole are no names")


def _check_file_name(name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or str(path) != name or "\0" in name:
        raise ValueError(f"the file name {name[:80]!r} leaves the directory or is not plain")
