"""A whole checkpoint of random weights with a tokenizer of real text, for tests of what a model says."""

import json
import pydoc_data.topics
from pathlib import Path

from mai1.checkpoint.families import to_hf_config
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from mai1.tokenizer.huggingface import write_huggingface_files
from mai1.tokenizer.training import TokenizerConfig, train_tokenizer
from tests.support.model_files import write_model
from tests.support.tiny import tiny_model_config


def write_random_checkpoint(folder: Path, **changes) -> Path:
    """GLM-4-MoE. It never says single bytes, of which libraries make different texts, nor ids that stand for nothing."""
    texts = [pydoc_data.topics.topics[name] for name in ("lambda", "numbers", "if")]
    tokenizer = train_tokenizer(iter(texts), TokenizerConfig(vocab_size=600, reserved_size=8))
    tokenizer.save(folder)
    write_huggingface_files(tokenizer, folder)
    model = MoETransformer(tiny_model_config(vocab_size=tokenizer.vocabulary.size, init_std=0.1, **changes))
    initialize(model, seed=4)
    unsaid = [i for i, (name, _) in enumerate(tokenizer.pieces()) if name.startswith("<0x")]
    model.unembedding.weight.data[[*unsaid, *range(tokenizer.num_text_ids, tokenizer.vocabulary.size)]] = 0.0
    write_model(folder, model)
    ids = {"end_of_text_id": tokenizer.end_of_text_id, "stop_ids": tokenizer.stop_ids, "pad_id": tokenizer.pad_id}
    (folder / "config.json").write_text(json.dumps(to_hf_config(model.config, dtype="float32", **ids)))
    return folder
