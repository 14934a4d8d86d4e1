"""Sources to grow: a tiny checkpoint of every family with optimizer state, and dense models as transformers writes them."""

import pydoc_data.topics
from pathlib import Path

import pytest
import torch

from mai1.checkpoint.saver import save_checkpoint
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.moe.router import Scores
from mai1.optim.config import OptimConfig
from tests.support.ranks import run_ranks
from tests.support.tiny import family_configs, tiny_model_config, tiny_trainer, train

STEPS = 4
EXACT = OptimConfig(learning_rate=2e-3, warmup_steps=3, clip_norm=0.0, eps=1e-14)
"""No clipping, whose norm is not that of the parameters before, and an eps that scaled gradients do not come near."""
SOURCES = {
    **{
        name: family_configs()[name]
        for name in ("glm4_moe", "qwen3_moe", "olmoe", "mixtral", "deepseek_v3_full_queries")
    },
    "single expert": tiny_model_config(
        moe={"num_experts": 1, "top_k": 1, "num_shared_experts": 0, "scaling_factor": 1.0},
        num_dense_layers=2,
        init_std=0.1,
    ),
}


def settings_of(config) -> dict:
    method = BalanceMethod.bias if config.moe.scores is Scores.sigmoid else BalanceMethod.none
    return {"model": config, "optim": EXACT, "balance": BalanceConfig(method=method, bias_rate=1e-2, z_loss_weight=0.0)}


def _save_all(world, folder: str) -> None:
    for name, config in SOURCES.items():
        place = Path(folder) / name.replace(" ", "_")
        trainer = tiny_trainer(world, place, **settings_of(config))
        train(trainer, STEPS)
        save_checkpoint(place, trainer.engine, trainer.state, files=trainer.files)


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One checkpoint of each of SOURCES after a few steps of AdamW."""
    folder = tmp_path_factory.mktemp("sources")
    run_ranks(_save_all, 1, str(folder))
    return {name: folder / name.replace(" ", "_") / f"step_{STEPS:08d}" for name in SOURCES}


@pytest.fixture(scope="session")
def rows() -> list[list[int]]:
    """Real text as bytes."""
    data = pydoc_data.topics.topics["assignment"].encode()
    return [list(data[start : start + 96]) for start in range(0, 576, 96)]


DENSE = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "vocab_size": 384,
}
DENSE |= {"num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256, "rms_norm_eps": 1e-6}


@pytest.fixture(scope="session")
def dense(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Dense models of every kind that can be upcycled, with weights large enough that networks matter."""
    transformers = pytest.importorskip("transformers")
    kinds = {
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM, {"tie_word_embeddings": True}),
        "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM, {"sliding_window": None}),
        "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM, {}),
    }
    found = {}
    for name, (config_class, model_class, further) in kinds.items():
        torch.manual_seed(5)
        config = config_class(
            **DENSE, **further, initializer_range=0.1, rope_parameters={"rope_type": "default", "rope_theta": 1e4}
        )
        found[name] = tmp_path_factory.mktemp("dense") / name
        model_class(config).save_pretrained(found[name])
    return found
