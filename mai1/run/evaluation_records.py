"""Where evaluations are kept, and what is said of the model in them."""

import hashlib
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from mai1 import __version__
from mai1.checkpoint.manifest import MANIFEST
from mai1.run.directory import write_atomically
from mai1.tokenizer.tokenizer import Tokenizer

FOLDER = "evaluation"
"""In a run's directory: STEP.json and STEP.html."""


def about_checkpoint(directory: Path, tokenizer: Tokenizer) -> dict:
    """What was evaluated, and by what."""
    return {
        "checkpoint": str(directory),
        "step": step_of(directory),
        "model_sha256": model_sha256(directory),
        "tokenizer_hash": tokenizer.hash,
        **versions(),
    }


def versions() -> dict:
    """Of what computes scores."""
    return {
        "versions": {
            "mai1": __version__,
            "torch": torch.__version__,
            "lm_eval": _version("lm_eval"),
            "python": platform.python_version(),
        },
        "device": torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"{os.cpu_count()}-core CPU",
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def model_sha256(directory: Path) -> str:
    """Of the manifest, which has the hash of every file; without one, of all weights in the order of their names."""
    if (directory / MANIFEST).is_file():
        return hashlib.sha256((directory / MANIFEST).read_bytes()).hexdigest()
    digest = hashlib.sha256((directory / "config.json").read_bytes())
    for path in sorted(directory.glob("*.safetensors")):
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def step_of(directory: Path) -> int | None:
    """The step of a checkpoint of ours."""
    path = directory / MANIFEST
    return json.loads(path.read_bytes())["step"] if path.is_file() else None


def data_of_run(checkpoint: Path) -> str:
    """The prepared data that the checkpoint's run names, if it is still there."""
    facts = checkpoint.parent.parent / "run.json"
    named = json.loads(facts.read_text())["data"] if facts.is_file() else ""
    return named if named and (Path(named) / "manifest.json").is_file() else ""


def results_folder(checkpoint: Path) -> Path | None:
    """Where evaluations of a run's checkpoint are kept; None for a checkpoint that belongs to no run."""
    run = checkpoint.parent.parent
    return run / FOLDER if (run / "run.json").is_file() else None


def write_record(record: dict, checkpoint: Path, *, output: str) -> list[Path]:
    """Write `evaluation/STEP.json` in the checkpoint's run, and `output` where asked; returns what has a page to be made.

    Tasks that were evaluated before on the same weights stay, unless they are evaluated again.
    """
    if output:
        write_atomically(Path(output), json.dumps(record, indent=1))
    folder = results_folder(checkpoint)
    if folder is None or "tasks" not in record:
        return []
    folder.mkdir(exist_ok=True)
    path = folder / f"{record['step'] or 0:08d}.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    kept = known.get("tasks", {}) if known.get("model_sha256") == record["model_sha256"] else {}
    write_atomically(path, json.dumps(record | {"tasks": kept | record["tasks"]}, indent=1))
    return [path]
