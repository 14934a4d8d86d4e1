"""A run's directory as the trainer leaves it, written in a millisecond: for what only reads runs."""

import json
import math
import os
from pathlib import Path

CONFIG = "run:\n  name: {name}\ntrain:\n  steps: {steps}\n  log_every: 10\nwatch:\n  pause_after_s: 1800.0\n"


def train_record(step: int, *, seconds_per_step: float = 2.0, loss: float | None = None, **more: object) -> dict:
    """A record of a logged step of two MoE layers of four experts."""
    layer = {"load": [0.4, 0.3, 0.2, 0.1], "entropy": 0.9 * math.log(4), "max_violation": 0.6, "dead_experts": 0}
    worse = layer | {"max_violation": 1.4, "dead_experts": 1}
    return {
        "kind": "train",
        "step": step,
        "tokens": step * 1000,
        "loss": 1.0 + 100 / (step + 20) if loss is None else loss,
        "tokens_per_s": 500.0,
        "mfu": 0.25,
        "seconds": step * seconds_per_step,
        "layers": {"1": layer, "2": worse},
        "alarms": [],
        "stragglers": [],
    } | more


def make_run(
    directory: Path, *, step: int = 100, steps: int = 1000, saved: int = 0, written_s: float = 0.0, **more: object
) -> Path:
    """A run of so many steps, recorded every ten, of which `step` are done; all of its files are `written_s` old in 1970."""
    directory.mkdir(parents=True)
    (directory / "config.yaml").write_text(CONFIG.format(name=directory.name, steps=steps))
    (directory / "run.json").write_text(json.dumps({"name": directory.name, "stage": "pretrain"}))
    records = [train_record(at, **more) for at in range(10, step + 1, 10)]
    heldout = {"kind": "heldout", "step": 0, "loss": 6.5, "bits_per_byte": 3.0}
    lines = [heldout, *records] if step else []
    (directory / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in lines))
    (directory / ".lock").touch()
    (directory / "logs").mkdir()
    (directory / "checkpoints").mkdir()
    if saved:
        checkpoint = directory / "checkpoints" / f"step_{saved:08d}"
        checkpoint.mkdir()
        (checkpoint / "manifest.json").write_text("{}")
        (checkpoint / "model.safetensors").write_bytes(b"\0" * 5000)
        (directory / "checkpoints" / "latest").symlink_to(checkpoint.name)
    age(directory, written_s)
    return directory


def age(path: Path, at_s: float) -> None:
    """Let everything below a path, itself too, be written at a moment, in seconds since 1970."""
    for each in [path, *path.rglob("*")]:
        os.utime(each, (at_s, at_s), follow_symlinks=False)
