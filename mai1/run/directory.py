"""The directory of a run: made once, recognised on resume, refused to any other run."""

import fcntl
import json
import os
import platform
import subprocess
import sys
from dataclasses import MISSING, asdict, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from importlib.metadata import version
from pathlib import Path

import torch
import yaml

from mai1 import __version__
from mai1.run.config import StageConfig

# Sections and keys that a resumed run may change; all others decide what is learned.
FREE_SECTIONS = ("engine", "alarms", "wandb", "samples", "sampling")
FREE_KEYS = (
    "batch.sequences_per_microbatch",
    "train.steps",
    "train.log_every",
    "train.heldout_every",
    "train.stop_after_steps",
    "train.self_check",
    "routing.max_rows",
    "checkpoint.every_steps",
    "checkpoint.keep",
    "run.directory",
)


def plain(value: object) -> object:
    """A configuration as JSON-able values."""
    if is_dataclass(value):
        return {key: plain(item) for key, item in asdict(value).items()}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def claim_run_directory(config: StageConfig, *, facts: dict) -> object:
    """Make the run's directory, or check that it is this run's; returns a lock to hold while training.

    Call on rank 0. ValueError when another run or another process has it.
    """
    path = config.run.path
    resolved = plain(config)
    known = path / "config.yaml"
    if known.is_file():
        _refuse_other_run(_defaults(config), yaml.safe_load(known.read_text()), resolved, path)
    elif path.exists() and any(path.iterdir()):
        raise ValueError(
            f"run.name={config.run.name} names {path}, which holds something else: choose another run.name"
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
    except OSError as error:
        raise ValueError(f"run.directory={config.run.directory} cannot be written ({error}): choose another") from None
    write_atomically(known, yaml.safe_dump(resolved, sort_keys=False))
    write_atomically(path / "environment.json", json.dumps(environment(), indent=1))
    if not (path / "run.json").is_file():
        started = datetime.now(UTC).isoformat(timespec="seconds")
        write_atomically(path / "run.json", json.dumps(facts | {"started": started}, indent=1))
    return lock


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content in one step."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text + "\n", encoding="utf-8")
    os.replace(fresh, path)


def environment() -> dict:
    """Versions and hardware, for the report; nothing of the process's environment variables."""
    packages = ("torch", "deepspeed", "transformers", "sentencepiece", "numpy")
    return {
        "mai1": __version__,
        "command": " ".join(["mai1", *sys.argv[1:]]),
        "commit": _commit(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
        "ranks": int(os.environ.get("WORLD_SIZE", "1")),
    }


def _defaults(config: StageConfig) -> dict:
    return {f.name: plain(f.default_factory()) for f in fields(config) if f.default_factory is not MISSING}


def _refuse_other_run(defaults: dict, before: dict, now: dict, path: Path) -> None:
    """A key that did not exist when the run began counts as its default, which is what the run did."""
    old, new = _flat(defaults) | _flat(before), _flat(now)
    for key in sorted(old.keys() | new.keys()):
        is_free = key in FREE_KEYS or key.split(".")[0] in FREE_SECTIONS
        if not is_free and old.get(key) != new.get(key):
            raise ValueError(
                f"{key}={new.get(key)} but the run in {path} has {key}={old.get(key)}: give it the old value to resume, "
                "or choose another run.name"
            )


def _flat(tree: dict, prefix: str = "") -> dict:
    flat = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _lock(path: Path) -> object:
    lock = open(path / ".lock", "w")  # noqa: SIM115 - held until the process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(
            f"{path} is being trained by another process: wait for it or choose another run.name"
        ) from None
    return lock


def _commit() -> str:
    """The checkout's commit, and whether it was changed; empty for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        describe = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(describe, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
