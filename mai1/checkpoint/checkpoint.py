"""What a checkpoint is, and how it fills an engine of any topology; `saver.py` writes it.

step_00001000/ config.json generation_config.json model-*.safetensors model.safetensors.index.json tokenizer files
               trainer/optimizer-*.safetensors trainer/state.json     what only training needs
               manifest.json                                          every file's size and SHA-256, every range
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import torch

from mai1.checkpoint.adapters import check_same_adapters
from mai1.checkpoint.agreement import together
from mai1.checkpoint.manifest import is_average, read_manifest
from mai1.checkpoint.names import LocalTensor, local_tensors
from mai1.checkpoint.optimizer_state import MASTER, StateReader, fill_fragments, method_of
from mai1.checkpoint.retention import Retention
from mai1.checkpoint.weights import read_tensors
from mai1.engine.engine import Engine
from mai1.model.lora import is_factor


class OnError(Enum):
    """What a run does when a checkpoint cannot be written."""

    stop = "stop"
    go_on = "go_on"


@dataclass(kw_only=True, slots=True)
class CheckpointConfig:
    every_steps: int = 500
    """Steps between checkpoints; one is always written at the end and on a request to stop."""
    keep: int = 3
    """Newest checkpoints to keep; 0 keeps all."""
    keep_every: int = 0
    """Keep also, for ever, the checkpoints of every n-th step; 0 is off."""
    keep_best: int = 0
    """Keep also the n checkpoints of lowest held-out loss, measured at their own step; 0 is off."""
    asynchronous: bool = True
    """Write in the background while training goes on, from a copy in the host's memory."""
    on_error: OnError = OnError.stop
    """stop | go_on: what training does when a checkpoint cannot be written; those before it are kept in any case."""
    init_from: str = ""
    """Checkpoint or Hugging Face directory whose weights a new run starts from; empty: random weights."""

    def __post_init__(self) -> None:
        if self.every_steps < 1:
            raise ValueError(f"checkpoint.every_steps={self.every_steps} must be at least 1")
        if self.keep < 0:
            raise ValueError(f"checkpoint.keep={self.keep} must not be negative: use 0 to keep all")
        for key in ("keep_every", "keep_best"):
            if getattr(self, key) < 0:
                raise ValueError(f"checkpoint.{key}={getattr(self, key)} must not be negative: use 0 to turn it off")

    @property
    def retention(self) -> Retention:
        return Retention(self.keep, self.keep_every, self.keep_best)


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
    heldout_loss: float | None = None
    """Held-out loss of these very weights in nats per token; None where this step had no evaluation."""
    data_offset: int = 0
    """Step s trains on the rows of step s + data_offset: going back to a checkpoint leaves data out."""
    recent_losses: list[float] = field(default_factory=list)
    """Of the last steps that were applied, oldest first: what the guard measures a spike against."""
    recent_norms: list[float] = field(default_factory=list)
    """Their gradient norms."""
    skips_in_a_row: int = 0
    """Steps skipped since the last one that was applied."""
    num_skipped: int = 0
    """Steps skipped in all, those that were undone later included."""
    num_rollbacks: int = 0
    """Times the run went back to a checkpoint."""
    spent: dict[str, int] = field(default_factory=dict)
    """Positions of all steps so far, by what they went into: see train/ledger.py."""
    mixing: dict = field(default_factory=dict)
    """Of online mixing: the shares of every interval so far, and what decides the next ones."""
    lineage: list[dict] = field(default_factory=list)
    """What made the model another one than the run began with, oldest first: see growth/."""
    base: str = ""
    """Digest of the frozen weights that adapters are trained for, which are read again to go on; empty without adapters."""


@dataclass(slots=True)
class ModelFiles:
    """What goes beside the weights so that the directory is a Hugging Face model."""

    tokenizer_directory: Path
    """Tokenizer files to copy, ours and Hugging Face's."""
    end_of_text_id: int
    stop_ids: list[int]
    pad_id: int


def load_checkpoint(directory: Path, engine: Engine) -> TrainerState:
    """Fill a rank's weights and optimizer state from a verified checkpoint of any topology; every rank must call this.

    ValueError, on every rank, when the checkpoint cannot be resumed by this run.
    """
    manifest = together(lambda: read_manifest(directory), engine.world)
    state = together(lambda: read_state(directory), engine.world)
    together(lambda: _fill(directory, manifest, engine), engine.world)
    return state


def read_state(directory: Path) -> TrainerState:
    """The trainer's state in a checkpoint."""
    if is_average(read_manifest(directory)):
        raise ValueError(
            f"{directory} is an average of checkpoints, which has no optimizer state to go on from: start a new run with "
            f"checkpoint.init_from={directory}"
        )
    path = directory / "trainer" / "state.json"
    if not path.exists():
        raise ValueError(
            f"{directory} holds weights alone, no {path.name}: start a new run with checkpoint.init_from={directory}"
        )
    try:
        return TrainerState(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is no trainer state ({error}): the checkpoint cannot be resumed") from None


def _fill(directory: Path, manifest: dict, engine: Engine) -> None:
    check_same_adapters(directory, manifest, engine.model.lora)
    local, table = local_tensors(engine.model), manifest["optimizer"]
    reader = StateReader(directory, table, num_ranks=manifest["world_size"])
    for name, value in _values(reader, engine, local):
        engine.assign(name, value)
    if manifest["optimizer_step"]:
        engine.restore_optimizer(manifest["optimizer_step"])
    fragments = list(engine.fragments())
    for fragment in fragments:
        saved = {kind for kind, names in table.items() if fragment.name in names} - {MASTER}
        if manifest["optimizer_step"] and saved != set(fragment.moments):
            _refuse_other_optimizer(directory, table, {kind for f in fragments for kind in f.moments})
    fill_fragments(reader, fragments, local)


def _values(reader: StateReader, engine: Engine, local: dict[str, LocalTensor]) -> Iterator[tuple[str, torch.Tensor]]:
    """Weights as the run has them: where it trains in fp32 what was saved in bf16, the masters.

    Of a model with adapters the checkpoint's own weights are merged ones: frozen weights stay as they are.
    """

    def master_of(name: str) -> torch.Tensor:
        value = torch.empty(local[name].shape)
        reader.read(MASTER, name, local[name].start, value.view(-1))
        return value

    frozen = {n for n, p in engine.model.named_parameters() if not p.requires_grad} if engine.model.lora else set()
    own = {name: mine for name, mine in local.items() if name not in frozen and not is_factor(name)}
    for name, value in read_tensors(reader.directory, engine.model.config, own):
        is_rounded = engine.dtype is torch.float32 and reader.has(MASTER, name)
        yield name, master_of(name) if is_rounded else value
    yield from ((name, master_of(name)) for name in local if is_factor(name))


def _refuse_other_optimizer(directory: Path, table: dict, kinds: set[str]) -> None:
    before, now = method_of(table.keys()), method_of(kinds)
    raise ValueError(
        f"optim.method={now} but {directory} was trained with optim.method={before}, whose moments are others: resume with "
        "the old value, or start a new run with checkpoint.init_from"
    )
