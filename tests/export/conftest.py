"""Tiny checkpoints of every family with a tokenizer learned from real text."""

import json
import pydoc_data.topics
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mai1.checkpoint.families import to_hf_config
from mai1.model.init import initialize
from mai1.model.transformer import ModelConfig, MoETransformer
from mai1.tokenizer.huggingface import write_huggingface_files
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import TokenizerConfig, TokenizerKind, train_tokenizer
from mai1.tokenizer.words import Digits
from tests.support.model_files import write_model
from tests.support.tiny import family_configs, tiny_model_config

TEXT = "\n".join(pydoc_data.topics.topics[name] for name in ("lambda", "numbers", "if", "strings"))
OTHER_LANGUAGES = [
    "Über die Größe der Äpfel läßt sich nicht streiten, sagt Herr Müller (87) aus Köln.",
    "L'été dernier, nous sommes allés à la plage ; c'était très agréable.",
    "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.",
    "اللغة العربية هي أكثر اللغات تحدثا ١٢٣٤ ونطقا",
    "हिन्दी विश्व की एक प्रमुख भाषा है १२३४५ और भारत की राजभाषा है।",
    "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。",
    "동해 물과 백두산이 마르고 닳도록 하느님이 보우하사",
    "  \n\n\t x 1234567 12 3 \u2028 a\u0301b \U0001f600 don'T we'LL  \r\n\r\n end   ",
]
TOKENIZERS = {
    "sentencepiece": TokenizerConfig(vocab_size=900, reserved_size=8),
    "byte_bpe": TokenizerConfig(kind=TokenizerKind.byte_bpe, vocab_size=700, reserved_size=8),
    "byte_bpe_single_digits": TokenizerConfig(
        kind=TokenizerKind.byte_bpe, vocab_size=700, reserved_size=8, digits=Digits.single
    ),
}
SHARED = ("deepseek_v3", "glm4_moe", "glm4_moe_groups", "glm4_moe_mtp", "qwen3_moe", "olmoe", "mixtral")
"""Families of the tests' models that llama.cpp has, with the changes of `shared_config`."""


@pytest.fixture(scope="session")
def tokenizers() -> dict[str, Tokenizer]:
    return {name: train_tokenizer(iter([TEXT, *OTHER_LANGUAGES]), config) for name, config in TOKENIZERS.items()}


def shared_config(name: str, vocab_size: int) -> ModelConfig:
    """One of `family_configs` without what llama.cpp does not compute for it."""
    config = replace(family_configs()[name], vocab_size=vocab_size, init_std=0.1)
    if name == "deepseek_v3":
        return replace(config, norm_eps=1e-6)
    if name == "qwen3_moe":
        return replace(config, num_dense_layers=0, moe=replace(config.moe, normalize_weights=True))
    if name == "olmoe":
        return replace(config, attention=replace(config.attention, num_kv_heads=4))
    return config


def random_model(config: ModelConfig) -> MoETransformer:
    """Norms and selection bias random, too, so that no tensor is like another."""
    model = MoETransformer(config)
    initialize(model, seed=6)
    generator = torch.Generator().manual_seed(6)
    for name, tensor in model.state_dict().items():
        if tensor.dim() == 1:
            centre, spread = (0.0, 0.2) if "bias" in name else (1.0, 0.3)
            tensor.copy_(centre + spread * torch.randn(tensor.shape, generator=generator))
    return model.eval()


def write_checkpoint(folder: Path, model: MoETransformer, tokenizer: Tokenizer) -> Path:
    """A Hugging Face directory as a run writes it, in several shards."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(folder)
    write_huggingface_files(tokenizer, folder)
    write_model(folder, model, max_bytes=400_000)
    ids = {"end_of_text_id": tokenizer.end_of_text_id, "stop_ids": tokenizer.stop_ids, "pad_id": tokenizer.pad_id}
    (folder / "config.json").write_text(json.dumps(to_hf_config(model.config, dtype="float32", **ids)))
    return folder


@pytest.fixture(scope="session")
def source(tokenizers: dict[str, Tokenizer], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of GLM-4-MoE in float32 with a layer for further tokens."""
    tokenizer = tokenizers["sentencepiece"]
    config = tiny_model_config(vocab_size=tokenizer.vocabulary.size, init_std=0.1, num_mtp_layers=1)
    return write_checkpoint(tmp_path_factory.mktemp("source") / "checkpoint", random_model(config), tokenizer)
