"""`mai1 score`: a checkpoint's loss on each token of prepared data, kept beside the shards for selection and the ledger."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from mai1 import __version__
from mai1.checkpoint.inference import load_model, resolve_checkpoint
from mai1.checkpoint.manifest import MANIFEST
from mai1.checkpoint.verify import verify
from mai1.data.reference import reference_paths
from mai1.data.shards import Shard
from mai1.dist import World, start_world, stop_world
from mai1.engine.ds_config import EngineConfig, Precision
from mai1.evaluate.scoring import Scorer, score_shard
from mai1.run.compose import compose_config
from mai1.run.datasets import open_shards
from mai1.run.evaluation_records import data_of_run
from mai1.run.help import print_help
from mai1.tokenizer.tokenizer import Tokenizer


@dataclass(kw_only=True, slots=True)
class ScoreConfig:
    checkpoint: str = "runs/first"
    """Run or checkpoint that scores; its tokenizer must be the data's."""
    data: str = "auto"
    """Prepared data whose training shards are scored; auto: what the run was trained on."""
    sequence_length: int = 0
    """Tokens of one window; 0: as many as the model is declared for."""
    overlap: float = 0.25
    """Share of a window that repeats the end of the one before, as context alone; only documents longer than one need it."""
    rows_at_once: int = 8
    """Windows that pass through the model at a time."""
    tokens_per_part: int = 1 << 20
    """Tokens after which what is done is kept: a scoring that was killed goes on behind it."""
    precision: Precision = Precision.auto
    """auto (bf16 on a GPU, fp32 on a CPU) | fp32 | bf16."""
    overwrite: bool = False
    """Replace reference losses of another model or other settings."""

    def __post_init__(self) -> None:
        if self.sequence_length < 0 or self.sequence_length == 1:
            raise ValueError(f"sequence_length={self.sequence_length} must be at least 2, or 0 for the model's own")
        if not 0 <= self.overlap <= 0.9:
            raise ValueError(f"overlap={self.overlap} must be from 0 to 0.9: use 0 for none")
        for key in ("rows_at_once", "tokens_per_part"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)} must be at least 1")


def main(arguments: list[str]) -> None:
    """Score as configured; a line for each shard goes to standard output."""
    if "--help" in arguments:
        print_help("score", ScoreConfig, __doc__)
        return
    config = compose_config("score", ScoreConfig, arguments)
    world = start_world()
    try:
        score(config, world)
    finally:
        stop_world()


def score(config: ScoreConfig, world: World) -> None:
    """Score every training shard of the data that is not scored yet; every rank takes its share of each."""
    checkpoint = resolve_checkpoint(Path(config.checkpoint), key="checkpoint")
    path = Path(data_of_run(checkpoint) if config.data == "auto" else config.data)
    if not (path / "manifest.json").is_file():
        raise ValueError(f"data={config.data} holds no prepared data: name a directory that `mai1 prepare` wrote")
    tokenizer = Tokenizer.load(path / "tokenizer")
    if Tokenizer.load(checkpoint).hash != tokenizer.hash:
        raise ValueError(
            f"data={path} was prepared with another tokenizer than {checkpoint} has: use a model of its own"
        )
    scorer = _scorer(checkpoint, tokenizer, config, world)
    about = {"checkpoint": str(checkpoint), "versions": {"mai1": __version__, "torch": torch.__version__}}
    for shard in open_shards(path / "train", tokenizer):
        known = None if config.overwrite else _known(shard, scorer)
        manifest = known or score_shard(shard, scorer, world, about=about)
        if world.is_main:
            print(
                f"{shard.stem.name:<20} {manifest['mean_nats']:.4f} nats/token   {shard.num_tokens:,} tokens   "
                f"{manifest['flops']:.3g} FLOPs"
            )


def _scorer(checkpoint: Path, tokenizer: Tokenizer, config: ScoreConfig, world: World) -> Scorer:
    if not (checkpoint / MANIFEST).is_file():
        raise ValueError(f"checkpoint={checkpoint} has no {MANIFEST}, by which its losses are known: use a run of mai1")
    if problems := verify(checkpoint, world):
        raise ValueError(f"checkpoint={checkpoint} is damaged ({'; '.join(problems[:3])}): use another one")
    model = load_model(checkpoint).to(world.device)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(EngineConfig(precision=config.precision).dtype_on(world.device))
    length = config.sequence_length or model.config.max_positions
    if length > model.config.max_positions:
        raise ValueError(
            f"sequence_length={length} must not exceed the {model.config.max_positions} positions that the model is "
            "declared for: use 0 for these"
        )
    identity = hashlib.sha256((checkpoint / MANIFEST).read_bytes()).hexdigest()
    return Scorer(
        model,
        identity,
        tokenizer.end_of_text_id,
        sequence_length=length,
        overlap=int(length * config.overlap),
        rows_at_once=config.rows_at_once,
        tokens_per_part=config.tokens_per_part,
    )


def _known(shard: Shard, scorer: Scorer) -> dict | None:
    """The manifest of these very losses, if they are there; ValueError where there are others."""
    shard.open_reference(is_learned_from=False)
    if shard.reference is None:
        return None
    found, wanted = shard.reference.manifest, scorer.facts(shard)
    for key, value in wanted.items():
        if found.get(key) != value:
            raise ValueError(
                f"{reference_paths(shard.stem)[1]} has {key}={str(found.get(key))[:12]}, not {str(value)[:12]}: use "
                "overwrite=true to score again, or the old settings"
            )
    return found
