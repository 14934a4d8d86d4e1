"""What a plan assumes where nothing is said: tokens of a run, of a row and of a step."""

from dataclasses import replace

from mai1.model.flops import count_parameters, training_flops_per_token
from mai1.model.transformer import ModelConfig

TOKENS_PER_ACTIVE_PARAMETER = 20
"""What is best for dense models (Hoffmann et al. 2022, arXiv 2203.15556, table 3); long runs of today take many more."""
LENGTH = 4096
VOCABULARY = 8192


def with_vocabulary(model: ModelConfig) -> ModelConfig:
    """A model of the usual vocabulary where its own is left to a tokenizer."""
    return model if model.vocab_size else replace(model, vocab_size=VOCABULARY)


def sequence_length(model: ModelConfig) -> int:
    """As many positions as the model is declared for, 4,096 at most."""
    return min(model.max_positions, LENGTH)


def tokens(model: ModelConfig) -> float:
    """Of a run: 20 for each active parameter."""
    return float(TOKENS_PER_ACTIVE_PARAMETER * count_parameters(model).active)


def rows_per_step(model: ModelConfig, *, tokens: float, sequence_length: int) -> int:
    """Rows of the batch that suits a run's FLOPs C: 0.0694 C^0.3644 tokens (Ling, arXiv 2507.17702, section 3.1)."""
    flops = tokens * training_flops_per_token(model, context=sequence_length)
    return max(1, round(0.0694 * flops**0.3644 / sequence_length))
