"""What a stage of training is made of, put together and checked before any rank starts."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mai1.checkpoint.checkpoint import ModelFiles
from mai1.checkpoint.described import check_described
from mai1.checkpoint.families import family_of
from mai1.checkpoint.inference import read_model_config, read_stored_config, resolve_checkpoint
from mai1.data.mixed_stream import check_rows_suffice
from mai1.engine.stages import check_stages
from mai1.engine.support import check_combination
from mai1.model.expert_kernels import check_kernels
from mai1.model.moe.balance import BalanceMethod
from mai1.model.moe.router import Scores
from mai1.model.moe.routing_policy import Choice
from mai1.model.sequence_parallel import check_sequence_parallel
from mai1.model.transformer import ModelConfig
from mai1.run.adapters import check_lora
from mai1.run.config import (
    AlignConfig,
    InstructData,
    PreferenceData,
    PretrainConfig,
    SftConfig,
    StageConfig,
    TuningConfig,
)
from mai1.run.datasets import StageData, open_instructions, open_pretraining
from mai1.run.directory import plain
from mai1.run.model_tokenizer import load_tokenizer
from mai1.run.periodic import check_periodic
from mai1.run.preferences import open_preferences
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.train.router_policy import RouterPolicy
from mai1.train.selection import SelectionMethod
from mai1.train.trainable import Part


@dataclass(slots=True)
class Stage:
    """One stage about to run."""

    name: str
    config: StageConfig
    model_config: ModelConfig
    data: StageData
    data_directory: Path
    """What `mai1 prepare` wrote, for the report."""
    init_from: Path | None
    """Checkpoint or Hugging Face directory of the first weights."""

    @property
    def checkpoints(self) -> Path:
        """The folder of this run's checkpoints."""
        return self.config.run.path / "checkpoints"

    @property
    def parent(self) -> str | None:
        """The run directory whose checkpoint this stage starts from, for the report."""
        run = self.init_from.parent.parent if self.init_from is not None else None
        return str(run) if run is not None and (run / "run.json").is_file() else None

    @property
    def model_files(self) -> ModelFiles:
        """What goes beside the weights in every checkpoint."""
        tokenizer = self.data.tokenizer
        return ModelFiles(
            tokenizer_directory=self.config.run.path / "tokenizer",
            end_of_text_id=tokenizer.begin_id,
            stop_ids=tokenizer.stop_ids,
            pad_id=tokenizer.pad_id,
        )


def pretraining_stage(config: PretrainConfig) -> Stage:
    """Training from random weights or, with checkpoint.init_from, from those of a model of the same shape."""
    data = open_pretraining(
        Path(config.data.path),
        sequence_length=config.data.sequence_length,
        seed=config.run.seed,
        heldout_rows=config.train.heldout_rows,
        on_damaged_shard=config.data.on_damaged_shard,
        mixture=config.data.mixture,
        rows_per_step=config.batch.sequences_per_step,
        selection=config.selection,
        order_folder=config.run.path / "order",
    )
    model_config = _with_vocabulary(config.model, data.tokenizer)
    init_from = _init_from(config)
    if init_from is not None:
        _refuse_other_shape(model_config, init_from)
    return Stage("pretrain", config, model_config, data, Path(config.data.path), init_from)


def tuning_stage(config: SftConfig) -> Stage:
    """Tuning another model on conversations."""
    if config.selection.method is SelectionMethod.rho:
        raise ValueError("selection.method=rho needs reference losses, which conversations have none of: use none")
    init_from = _init_from(config)
    data = open_instructions(
        *_given_files(config.data),
        _tokenizer_of(config, init_from),
        sequence_length=config.data.sequence_length,
        seed=config.run.seed,
        heldout_rows=config.train.heldout_rows,
        learn=config.data.learn,
        too_long=config.data.too_long,
    )
    data_directory, model_config = Path(config.data.train).parent.parent, read_stored_config(init_from)
    check_described(model_config, init_from)
    return Stage("sft", config, model_config, data, data_directory, init_from)


def preference_stage(config: AlignConfig) -> Stage:
    """Tuning another model on pairs of answers."""
    if config.selection.method is not SelectionMethod.none:
        raise ValueError(
            f"selection.method={config.selection.method.value} selects tokens, but a pair's loss is of whole answers: use none"
        )
    init_from = _init_from(config)
    data = open_preferences(
        *_given_files(config.data),
        _tokenizer_of(config, init_from),
        preference=config.preference,
        sequence_length=config.data.sequence_length,
        seed=config.run.seed,
        heldout_rows=config.train.heldout_rows,
    )
    model_config = read_stored_config(init_from)
    check_described(model_config, init_from)
    return Stage("align", config, model_config, data, Path(config.data.train).parent, init_from)


def _given_files(data: InstructData | PreferenceData) -> tuple[Path, Path | None]:
    """What is learned, and what is held out where a file is named; ValueError names the key of a path that is no file."""
    for key in ("train", "heldout"):
        path = getattr(data, key)
        if not Path(path).is_file() and (path or key == "train"):
            mend = "name a .jsonl or .json file" + (", or leave it empty" if key == "heldout" else "")
            raise ValueError(f"data.{key}={path or repr('')} is no file: {mend}, or run `mai1 prepare` first")
    return Path(data.train), Path(data.heldout) if data.heldout else None


def _tokenizer_of(config: SftConfig | AlignConfig, init_from: Path) -> Tokenizer:
    """The tokenizer of the model to tune, with another chat template where one is named."""
    tokenizer = load_tokenizer(init_from, key="checkpoint.init_from")
    if not config.data.chat_template:
        return tokenizer
    path = Path(config.data.chat_template)
    if not tokenizer.is_foreign:
        raise ValueError(
            f"data.chat_template={path} cannot replace the template that mai1 writes into its models: leave it out"
        )
    if not path.is_file():
        raise ValueError(f"data.chat_template={path} must be a file with a Jinja template: check the path")
    return tokenizer.with_chat_template(path)


def check_stage(stage: Stage, *, world_size: int) -> None:
    """Refuse what cannot work, before anything is written or any rank waits for another."""
    config, model = stage.config, stage.model_config
    family_of(model)
    config.engine.check_device(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    check_combination(config.engine)
    check_periodic(config.evaluation, config.engine)
    _check_trainable(config)
    check_lora(config)
    check_kernels(config.engine.expert_kernels, model, key="engine.expert_kernels")
    config.engine.check_topology(world_size=world_size, num_experts=model.moe.num_experts)
    check_stages(config.engine, model)
    check_sequence_parallel(
        config.engine.sequence_parallel,
        num_heads=model.attention.num_heads,
        sequence_length=config.data.sequence_length,
    )
    config.batch.microbatches_per_step(config.engine.data_parallel(world_size))
    check_rows_suffice(stage.data.rows, steps=config.train.steps, rows_per_step=config.batch.sequences_per_step)
    _check_balancing(config, model)
    if config.data.sequence_length > model.max_positions:
        raise ValueError(
            f"data.sequence_length={config.data.sequence_length} must not exceed "
            f"model.max_positions={model.max_positions}: shorten the one or raise the other"
        )


def _check_trainable(config: StageConfig) -> None:
    config.trainable.check(engine=config.engine, optim=config.optim, balance=config.balance)
    if config.trainable.part is not Part.all and config.lora.is_on:
        raise ValueError(
            f"trainable.part={config.trainable.part.value} trains experts themselves, lora.rank={config.lora.rank} adapters "
            "alone: use trainable.part=all, or lora.rank=0"
        )
    trains_rows = config.trainable.part is Part.experts_and_rows
    if trains_rows and isinstance(config, TuningConfig) and config.router.policy is not RouterPolicy.aux:
        raise ValueError(
            f"trainable.part=experts_and_rows trains router rows that router.policy={config.router.policy.value} leaves as "
            "they are: use trainable.part=experts, or router.policy=aux"
        )


def _check_balancing(config: StageConfig, model: ModelConfig) -> None:
    method, routing = config.balance.method, config.routing
    if method is BalanceMethod.bias and model.moe.scores is not Scores.sigmoid:
        raise ValueError(
            "balance.method=bias needs model.moe.scores=sigmoid, because softmax checkpoints have no place for the "
            "bias: use balance.method=global_loss or sequence_loss"
        )
    if routing.choice is Choice.expert and model.moe.num_groups > 1:
        raise ValueError(
            f"routing.choice=expert has no groups to choose from but model.moe.num_groups={model.moe.num_groups}: "
            "use routing.choice=token"
        )
    by_expert, forced = routing.choice is Choice.expert, routing.forced_balance
    if (by_expert or forced) and method is not BalanceMethod.none:
        raise ValueError(
            f"balance.method={method.value} has nothing to even out with "
            f"routing.{'choice=expert' if by_expert else 'forced_balance=true'}, which loads every expert alike: "
            "use balance.method=none"
        )


def _init_from(config: StageConfig) -> Path | None:
    given = config.checkpoint.init_from
    return resolve_checkpoint(Path(given), key="checkpoint.init_from") if given else None


def _with_vocabulary(config: ModelConfig, tokenizer: Tokenizer) -> ModelConfig:
    size = tokenizer.vocabulary.size
    if config.vocab_size == 0:
        return replace(config, vocab_size=size)
    if config.vocab_size < size:
        raise ValueError(
            f"model.vocab_size={config.vocab_size} is smaller than the tokenizer's {size}: use 0 to take the tokenizer's"
        )
    return config


def _refuse_other_shape(config: ModelConfig, init_from: Path) -> None:
    mine, theirs = plain(config), plain(read_model_config(init_from))
    unused = () if config.num_dense_layers else ("dense_width",)  # some families' config.json has no place for it
    differing = [key for key in mine if mine[key] != theirs[key] and key not in unused]
    if differing:
        raise ValueError(
            f"model.{differing[0]}={json.dumps(mine[differing[0]])} but {init_from} has "
            f"{json.dumps(theirs[differing[0]])}: a run starts only from weights of its own shape"
        )
