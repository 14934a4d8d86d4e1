"""Checkpoints without a model: a directory published by the protocol, for tests of what happens around it."""

from pathlib import Path

import torch

from mai1.checkpoint import commit
from mai1.checkpoint.tensor_file import write_json
from mai1.dist import World

ALONE = World(0, 1, 0, torch.device("cpu"))
HEAD = {
    "format": "mai1-checkpoint",
    "version": 2,
    "tokens": 0,
    "optimizer_step": 0,
    "world_size": 1,
    "expert_parallel": 1,
}


def publish(folder: Path, step: int, *, heldout_loss: float | None = None) -> Path:
    """A finished checkpoint that holds nothing but a config.json."""
    directory = folder / f"step_{step:08d}"
    stage = commit.begin(directory, say=print)
    (stage / "trainer").rmdir()
    files = {"config.json": write_json(stage / "config.json", {"step": step})}
    manifest = HEAD | {"step": step, "heldout_loss": heldout_loss, "files": files, "optimizer": {}}
    commit.publish(stage, directory, manifest=manifest)
    commit.point_latest(directory)
    return directory
