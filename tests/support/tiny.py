"""A tiny model, real text as bytes, and a trainer over them, for any topology."""

import pydoc_data.topics
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mai1.checkpoint.checkpoint import CheckpointConfig, ModelFiles, TrainerState
from mai1.data.batch import Row
from mai1.data.loader import BatchConfig, Loader
from mai1.dist import World
from mai1.engine.ds_config import EngineConfig, Precision
from mai1.engine.engine import Engine
from mai1.engine.experts import expert_parallel_group
from mai1.engine.stages import split_blocks
from mai1.engine.topology import place_of, sequence_parallel_group
from mai1.loss import LossConfig
from mai1.model.adapt import adapt
from mai1.model.attention import AttentionConfig, AttentionKind, QKNorm
from mai1.model.init import initialize
from mai1.model.lora import LoraConfig
from mai1.model.moe.balance import BalanceConfig
from mai1.model.moe.layer import MoEConfig
from mai1.model.moe.router import Scores
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.transformer import ModelConfig, MoETransformer
from mai1.objective.next_token import NextToken
from mai1.optim.adamw import OptimConfig
from mai1.train.evaluation import Evaluation, measuring_with
from mai1.train.metrics import Speed
from mai1.train.trainable import TrainableConfig, train_only
from mai1.train.trainer import TrainConfig, Trainer
from mai1.watch.rank_watch import RankWatch

END_OF_TEXT = 256


def tiny_model_config(**changes) -> ModelConfig:
    """GLM-4-MoE with every option in use, in about 200 thousand parameters; bytes and a few control tokens."""
    moe = {"num_experts": 8, "top_k": 2, "expert_width": 32, "num_shared_experts": 1, "scaling_factor": 1.5}
    moe |= changes.pop("moe", {})
    attention = {"num_heads": 4, "num_kv_heads": 2, "head_dim": 16} | changes.pop("attention", {})
    shape = {"vocab_size": 384, "d_model": 64, "num_layers": 3, "dense_width": 96, "max_positions": 256}
    return ModelConfig(**(shape | changes), attention=AttentionConfig(**attention), moe=MoEConfig(**moe))


def family_configs() -> dict[str, ModelConfig]:
    """One tiny model of each Hugging Face family, with and without tied embeddings."""
    softmax = {"scores": Scores.softmax, "num_shared_experts": 0, "scaling_factor": 1.0}
    width = {"num_heads": 4, "num_kv_heads": 2, "head_dim": 16, "qk_norm": QKNorm.width}
    latent = {"kind": AttentionKind.latent, "num_kv_heads": 4, "head_dim": 12, "qk_norm": QKNorm.none}
    latent |= {"kv_rank": 20, "rope_dim": 8, "value_dim": 16}
    return {
        "deepseek_v3": tiny_model_config(
            moe={"num_groups": 4, "top_groups": 2}, attention=latent | {"query_rank": 24}, norm_eps=1e-3
        ),
        "deepseek_v3_full_queries": tiny_model_config(attention=latent, tie_embeddings=True, num_mtp_layers=1),
        "glm4_moe": tiny_model_config(tie_embeddings=True),
        "glm4_moe_groups": tiny_model_config(
            moe={"num_groups": 4, "top_groups": 2}, attention={"qk_norm": QKNorm.none}
        ),
        "glm4_moe_mtp": tiny_model_config(num_mtp_layers=2),
        "qwen3_moe": tiny_model_config(moe=softmax | {"normalize_weights": False}),
        "olmoe": tiny_model_config(moe=softmax | {"normalize_weights": False}, attention=width, num_dense_layers=0),
        "mixtral": tiny_model_config(moe=softmax, attention={"qk_norm": QKNorm.none}, num_dense_layers=0),
    }


class ByteRows:
    """Training rows from the Python language reference as bytes: real text with real document borders."""

    def __init__(self, *, sequence_length: int = 48, masked: bool = False) -> None:
        self.sequence_length, self.masked = sequence_length, masked
        self.rows_per_epoch, self.fingerprint = 512, f"bytes {sequence_length} {masked}"
        topics = sorted(pydoc_data.topics.topics.items())
        # short pieces, so that most rows hold several documents, by turns from three sources
        pieces = [[END_OF_TEXT, *text[:90].encode()] for _, text in topics]
        self._ids = np.concatenate(pieces).astype(np.int64)
        self.source_names = ["first", "second", "third"]
        self._sources = np.repeat(np.arange(len(pieces)) % 3, [len(piece) for piece in pieces])

    def read(self, sample: int) -> Row:
        """Rows start all over the text; with `masked`, a varying part of each is target and its end is padding."""
        length = self.sequence_length + 1
        start = sample * 37 % (len(self._ids) - length)
        ids, mask, valid = self._ids[start : start + length].copy(), np.ones(length, dtype=np.uint8), length
        if self.masked:
            valid = length - sample % 7
            mask[: sample % 11 + 1], mask[valid:], ids[valid:] = 0, 0, 0
        return Row(ids, mask, num_valid=valid, sources=self._sources[start : start + length])


def tiny_trainer(
    world: World,
    folder: Path,
    *,
    model: ModelConfig | None = None,
    rows: ByteRows | None = None,
    steps: int = 20,
    expert_parallel: int = 1,
    zero_stage: int = 2,
    precision: Precision = Precision.auto,
    recompute: bool = False,
    offload_optimizer: bool = False,
    sequence_parallel: int = 1,
    pipeline_parallel: int = 1,
    microbatch: int = 2,
    routing: RoutingConfig | None = None,
    loss: LossConfig | None = None,
    balance: BalanceConfig | None = None,
    optim: OptimConfig | None = None,
    lora: LoraConfig | None = None,
    trainable: TrainableConfig | None = None,
    prepare: Callable[[MoETransformer], object] = lambda model: None,
) -> Trainer:
    """A trainer as `mai1 pretrain` builds it, eight rows a step; `prepare` gets the model before the engine does."""
    config = model or tiny_model_config()
    engine_config = EngineConfig(
        zero_stage=zero_stage,
        expert_parallel=expert_parallel,
        sequence_parallel=sequence_parallel,
        pipeline_parallel=pipeline_parallel,
        offload_optimizer=offload_optimizer,
        precision=precision,
        recompute=recompute,
    )
    place = place_of(world, engine_config)
    optim = optim or OptimConfig(learning_rate=2e-3, warmup_steps=3, clip_norm=0.5)
    transformer = MoETransformer(
        config,
        expert_group=expert_parallel_group(expert_parallel, num_stages=pipeline_parallel),
        sequence_group=sequence_parallel_group(world, engine_config),
        blocks=split_blocks(config, pipeline_parallel)[place.stage],
    )
    initialize(transformer, seed=1)
    if lora is not None:
        adapt(transformer, lora, seed=1)
    trained = train_only(transformer, trainable.part, trainable.experts) if trainable else None
    prepare(transformer)
    transformer.set_routing(routing or RoutingConfig(), seed=1)
    rows = rows or ByteRows()
    batch = BatchConfig(sequences_per_step=8, sequences_per_microbatch=microbatch)
    loader = Loader(
        rows,
        batch,
        end_of_text_id=END_OF_TEXT,
        data_rank=place.data_rank,
        data_size=place.data_size,
        sequence_rank=place.sequence_rank,
        sequence_size=place.sequence_size,
    )
    engine = Engine(
        transformer,
        engine_config,
        optim,
        world=world,
        microbatch=microbatch,
        accumulation=loader.num_microbatches,
        trained=trained,
    )
    tokenizer_folder = folder / "tokenizer"
    tokenizer_folder.mkdir(parents=True, exist_ok=True)
    return Trainer(
        engine=engine,
        loader=loader,
        objective=NextToken(
            balance=balance or BalanceConfig(bias_rate=1e-2),
            loss=loss or LossConfig(),
            num_mtp_layers=config.num_mtp_layers,
        ),
        evaluation=Evaluation(measuring=measuring_with(engine, rows_at_once=microbatch, end_of_text_id=END_OF_TEXT)),
        config=TrainConfig(steps=steps),
        optim=optim,
        checkpoints=CheckpointConfig(every_steps=10**6),
        checkpoint_folder=folder,
        files=ModelFiles(tokenizer_folder, end_of_text_id=END_OF_TEXT, stop_ids=[END_OF_TEXT], pad_id=257),
        expert_parallel=expert_parallel,
        speed=Speed(flops_per_token=1, peak_flops=1.0),
        log=None,
        stop=False,
        watch=RankWatch.off(world),
        state=TrainerState(step=0, tokens=0, seconds=0.0, data_fingerprint=rows.fingerprint, run={}),
        world=world,
    )


def train(trainer: Trainer, num_steps: int) -> list[tuple[float, float]]:
    """Loss and gradient norm of each of the next steps."""
    trainer.engine.model.train()
    figures = []
    for _ in range(num_steps):
        done, _ = trainer.train_step(trainer.state.step)
        trainer.state.step += 1
        trainer.state.tokens += done.num_tokens
        figures.append((done.loss, done.grad_norm))
    return figures
