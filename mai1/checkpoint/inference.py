"""Open a checkpoint to use it: ours or a Hugging Face directory of a family we know, without the training engine."""

import json
from dataclasses import replace
from pathlib import Path

import torch.distributed as dist

from mai1.checkpoint.described import check_described
from mai1.checkpoint.read_config import from_hf_config
from mai1.checkpoint.saved_tensors import SavedTensors, without_missing_prediction
from mai1.checkpoint.verify import checkpoints_in
from mai1.checkpoint.weights import read_weights
from mai1.given_files import read_given
from mai1.model.layout import lay_out
from mai1.model.transformer import ModelConfig, MoETransformer

MAX_CONFIG_BYTES = 2**22
"""Of a config.json; those that are known have some thousands."""


def load_model(directory: Path, *, expert_group: dist.ProcessGroup | None = None) -> MoETransformer:
    """The whole model of a checkpoint, ours or a Hugging Face directory of a family we know: fp32, on the CPU.

    With an `expert_group`, this rank's share of the experts. Multi-token prediction is left out: only training uses it.
    """
    config = replace(read_model_config(directory), num_mtp_layers=0)
    model = MoETransformer(config, expert_group=expert_group)
    lay_out(model)
    read_weights(directory, model)
    return model.eval()


def read_model_config(directory: Path) -> ModelConfig:
    """The model a checkpoint or Hugging Face directory holds; ValueError where it describes more than its files hold."""
    path = directory / "config.json"
    if not path.is_file():
        raise ValueError(f"{directory} has no config.json: it is no checkpoint")
    content = read_given(path, max_bytes=MAX_CONFIG_BYTES)
    try:
        hf = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error}): use another checkpoint") from None
    config = from_hf_config(hf, where=str(path))
    check_described(config, directory)
    return config


def read_stored_config(directory: Path) -> ModelConfig:
    """The model whose weights a checkpoint or Hugging Face directory holds, to train it further."""
    return without_missing_prediction(read_model_config(directory), SavedTensors(directory))


def resolve_checkpoint(path: Path, *, key: str) -> Path:
    """The checkpoint a person means by a checkpoint, a run directory or its `checkpoints`."""
    newest = [*checkpoints_in(path), *checkpoints_in(path / "checkpoints")]  # where `latest` is lost
    for candidate in (path, path / "latest", path / "checkpoints" / "latest", *newest):
        if (candidate / "config.json").is_file():
            return candidate.resolve()
    raise ValueError(
        f"{key}={path} holds no checkpoint (no config.json there): use runs/NAME or runs/NAME/checkpoints/STEP"
    )
