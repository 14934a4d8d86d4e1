"""Room on the disk, asked before anything is written."""

import shutil
from pathlib import Path

import torch

from mai1.checkpoint.names import tensor_names
from mai1.dist import gather_json, sum_over_ranks
from mai1.engine.engine import Engine


def check_disk_space(folder: Path, engine: Engine) -> None:
    """Refuse before writing rather than fail in the middle: the need is weights and optimizer state of all ranks.

    ValueError on every rank alike. Every rank must call this.
    """
    element = torch.empty((), dtype=engine.dtype).element_size()
    num_masters = 0 if engine.dtype is torch.float32 else 1
    if engine.model.lora is not None:
        num_masters = 2  # of the adapters, and once more for PEFT
    mine = 0
    for fragment in engine.fragments():
        num_moments = len(fragment.moments) or 2  # before the first update: as AdamW will have
        mine += fragment.master.numel() * 4 * (num_moments + num_masters)
    (need,) = sum_over_ranks([float(mine)], engine.world)
    need += element * sum(tensor.numel for tensor in tensor_names(engine.model.config))
    free = min(gather_json(shutil.disk_usage(folder).free, engine.world))
    check_room(
        with_spare(need),
        free,
        what=f"a checkpoint in {folder}",
        mend="free some space, lower checkpoint.keep, or set run.directory to another disk, then run the same command",
    )


def with_spare(num_bytes: float) -> float:
    """What tensors of so many bytes need on a disk: a little for headers, indexes and small files too."""
    return num_bytes * 1.02 + 2**20


def check_room(need: float, free: float, *, what: str, mend: str) -> None:
    """ValueError where `what` needs more bytes than are free."""
    if free < need:
        raise ValueError(f"{what} needs {need / 2**20:,.1f} MiB but the disk has {free / 2**20:,.1f} MiB free: {mend}")
