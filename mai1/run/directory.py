"""The directory of a run: made once, recognised on resume, refused to any other run."""

import fcntl
import json
import os
import platform
import subprocess
import sys
from contextlib import suppress
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
FREE_SECTIONS = (
    *("engine", "alarms", "guard", "ledger", "wandb", "samples", "sampling"),
    *("watch", "launch", "preflight", "evaluation"),
)
FREE_KEYS = (
    "batch.sequences_per_microbatch",
    "train.steps",
    "train.log_every",
    "train.heldout_every",
    "train.stop_after_steps",
    "train.self_check",
    "routing.max_rows",
    "router.probe_tokens",
    "checkpoint.every_steps",
    "checkpoint.keep",
    "checkpoint.keep_every",
    "checkpoint.keep_best",
    "checkpoint.asynchronous",
    "checkpoint.on_error",
    "run.directory",
    "data.on_damaged_shard",
    "data.accept_changes",
)
MAX_CONFIG_BYTES = 1 << 16
DATA_KEYS = ("data.path", "data.train", "data.heldout")
"""Free as well where changed data was accepted, and so is data.mixture: what was trained on is known by its fingerprint."""

SUPERVISOR_FILES = {"logs", "launch", "restarts.jsonl", "preflight.json", "excluded_nodes.txt"}
"""What may be in a run's directory before its first rank has claimed it: what launchers keep there."""


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
        _refuse_other_run(_defaults(config), read_config(known), resolved, path)
    elif path.exists() and {entry.name for entry in path.iterdir()} - SUPERVISOR_FILES:
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
    """Replace a file's content in one step. OSError, which names the file, where that fails: it stays as it was."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    try:
        with open(fresh, "x", encoding="utf-8") as file:  # never through a link that somebody put there
            file.write(text + "\n")
        os.replace(fresh, path)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from None


def note_event(run_directory: Path, event: dict) -> None:
    """Append to events.jsonl, the run's list of what went another way than planned; once where it happens again."""
    path = run_directory / "events.jsonl"
    line = json.dumps(event) + "\n"
    known = path.read_text(encoding="utf-8") if path.is_file() else ""
    if line not in known:
        with open(path, "a", encoding="utf-8") as file:
            file.write(line)


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


def read_config(path: Path) -> dict:
    """config.yaml of an earlier launch: plain values alone, without tags and without aliases that multiply."""
    restore = "restore the file or choose another run.name"
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise ValueError(f"{path} has more than {MAX_CONFIG_BYTES} bytes: {restore}")
    try:
        text = path.read_text(encoding="utf-8")
        if text.count("[") + text.count("{") > 100:  # safe_dump writes none but for what is empty
            raise ValueError("it nests too deep")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise ValueError("it has aliases")
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no configuration of a run ({error}): {restore}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no configuration of a run: {restore}")
    return content


def _refuse_other_run(defaults: dict, before: dict, now: dict, path: Path) -> None:
    """A key that did not exist when the run began counts as its default, which is what the run did."""
    old, new = flat(defaults) | flat(before), flat(now)
    free = FREE_KEYS + (DATA_KEYS if new.get("data.accept_changes") else ())
    for key in sorted(old.keys() | new.keys()):
        is_free = key in free or key.split(".")[0] in FREE_SECTIONS
        is_free |= key.startswith("data.mixture.") and bool(new.get("data.accept_changes"))
        is_free |= key == "checkpoint.init_from" and bool(new.get("lora.rank"))  # known by its digest
        if not is_free and old.get(key) != new.get(key):
            raise ValueError(
                f"{key}={new.get(key)} but the run in {path} has {key}={old.get(key)}: give it the old value to resume, "
                "or choose another run.name"
            )


def flat(tree: dict, prefix: str = "") -> dict:
    """Nested mappings as one with dotted keys."""
    found = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def _lock(path: Path) -> object:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
    lock = open(path / ".lock", "w", opener=lambda name, _: os.open(name, flags, 0o666))  # noqa: SIM115 - held until the end
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
