"""Save and load: a directory that is a Hugging Face model and also resumes training, on any topology.

step_00001000/ config.json generation_config.json model-*.safetensors model.safetensors.index.json tokenizer files
               trainer/optimizer-*.safetensors trainer/state.json     what only training needs
               manifest.json                                          every file's size and SHA-256, every range
"""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from mai1.checkpoint import commit
from mai1.checkpoint.families import to_hf_config
from mai1.checkpoint.names import tensor_names
from mai1.checkpoint.optimizer_state import pieces_table, read_optimizer, write_optimizer
from mai1.checkpoint.weights import plan_model_files, read_weights, write_weights
from mai1.dist import gather_json, sum_over_ranks
from mai1.engine.engine import Engine
from mai1.model.transformer import ModelConfig

MAX_FILE_BYTES = 4 * 2**30


@dataclass(kw_only=True, slots=True)
class CheckpointConfig:
    every_steps: int = 500
    """Steps between checkpoints; one is always written at the end and on a request to stop."""
    keep: int = 3
    """Newest checkpoints to keep; 0 keeps all."""
    init_from: str = ""
    """Checkpoint or Hugging Face directory whose weights a new run starts from; empty: random weights."""

    def __post_init__(self) -> None:
        if self.every_steps < 1:
            raise ValueError(f"checkpoint.every_steps={self.every_steps} must be at least 1")
        if self.keep < 0:
            raise ValueError(f"checkpoint.keep={self.keep} must not be negative: use 0 to keep all")


@dataclass(slots=True)
class TrainerState:
    """What training needs besides weights and moments. Everything random derives from (seed, purpose, step)."""

    step: int
    """Optimizer steps done; the next one has this number, counted from 0."""
    tokens: int
    """Training tokens seen, padding left out."""
    seconds: float
    """Wall-clock time of all launches so far, evaluations and saves included."""
    data_fingerprint: str
    """Identifies the rows and their order."""
    run: dict
    """Resolved configuration, versions and commit, for people."""
    tokens_per_expert: list[list[int]] = field(default_factory=list)
    """Each MoE layer's load over the whole last step, which the next one's global balancing loss needs; empty at first."""


@dataclass(slots=True)
class ModelFiles:
    """What goes beside the weights so that the directory is a Hugging Face model."""

    tokenizer_directory: Path
    """Tokenizer files to copy, ours and Hugging Face's."""
    end_of_text_id: int
    stop_ids: list[int]
    pad_id: int


def save_checkpoint(
    directory: Path, engine: Engine, state: TrainerState, *, files: ModelFiles, expert_parallel: int
) -> None:
    """Write and publish one checkpoint; every rank must call this. ValueError, with nothing published, if disk is short."""
    world, config = engine.world, engine.model.config
    check_disk_space(directory.parent, engine)
    stage = commit.begin(directory, world)
    if world.is_main:
        (stage / "trainer").mkdir()
    commit.barrier(world)
    element = torch.empty((), dtype=engine.dtype).element_size()
    plan = plan_model_files(
        config, expert_parallel=expert_parallel, max_bytes=MAX_FILE_BYTES, bytes_per_element=element
    )
    written = write_weights(stage, engine.model, plan, rank=world.rank)
    optimizer_files, rows = write_optimizer(stage, engine)
    written += optimizer_files
    all_rows = [row for part in gather_json(rows, world) for row in part]
    if world.is_main:
        written += _write_small_files(stage, config, state, files=files, dtype=engine.dtype)
    manifest = {
        "format": "mai1-checkpoint",
        "version": 1,
        "step": state.step,
        "tokens": state.tokens,
        "optimizer_step": engine.optimizer_step(),
        "world_size": world.size,
        "expert_parallel": expert_parallel,
        "dtype": str(engine.dtype).removeprefix("torch."),
        "optimizer": pieces_table(all_rows),
    }
    commit.commit(stage, directory, written=written, manifest=manifest, world=world)


def load_checkpoint(directory: Path, engine: Engine) -> TrainerState:
    """Fill a rank's weights and optimizer state from a verified checkpoint of any topology."""
    manifest = commit.read_manifest(directory)
    read_weights(directory, engine.model)
    read_optimizer(directory, manifest, engine, step=manifest["optimizer_step"])
    return read_state(directory)


def read_state(directory: Path) -> TrainerState:
    """The trainer's state in a checkpoint."""
    path = directory / "trainer" / "state.json"
    try:
        return TrainerState(**json.loads(path.read_bytes()))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f"{path} is no trainer state ({error}): the checkpoint cannot be resumed") from None


def prune(folder: Path, *, keep: int) -> None:
    """Delete the oldest finished checkpoints beyond `keep`, never the newest."""
    for path in commit.checkpoints_in(folder)[max(1, keep) :] if keep else []:
        commit.discard(path)


def _write_small_files(
    stage: Path, config: ModelConfig, state: TrainerState, *, files: ModelFiles, dtype: torch.dtype
) -> list[Path]:
    ids = {"end_of_text_id": files.end_of_text_id, "stop_ids": files.stop_ids, "pad_id": files.pad_id}
    hf_config = to_hf_config(config, dtype=str(dtype).removeprefix("torch."), **ids)
    generation = {key: hf_config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    commit.write_json(stage / "config.json", hf_config)
    commit.write_json(stage / "generation_config.json", generation)
    commit.write_json(stage / "trainer" / "state.json", asdict(state))
    written = [stage / "config.json", stage / "generation_config.json", stage / "trainer" / "state.json"]
    for source in sorted(files.tokenizer_directory.iterdir()):
        commit.write_file(stage / source.name, source.read_bytes())
        written.append(stage / source.name)
    return written


def check_disk_space(folder: Path, engine: Engine) -> None:
    """Refuse before writing rather than fail in the middle: the need is weights and optimizer state of all ranks."""
    fragments = sum(fragment.master.numel() for fragment in engine.fragments())
    element = torch.empty((), dtype=engine.dtype).element_size()
    kinds = 2 if engine.dtype is torch.float32 else 3
    (state_bytes,) = sum_over_ranks([float(fragments * (4 * kinds + element))], engine.world)
    state_bytes += element * sum(tensor.numel for tensor in tensor_names(engine.model.config) if tensor.is_repeated)
    free = shutil.disk_usage(folder).free
    if free < state_bytes * 1.02 + 2**20:
        raise ValueError(
            f"a checkpoint in {folder} needs {state_bytes / 2**20:.0f} MiB but the disk has {free / 2**20:.0f} MiB free: "
            "free some space, lower checkpoint.keep, or set run.directory to another disk, then run the same command"
        )
