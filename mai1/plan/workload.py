"""What is to be trained: a model, and rows of tokens a step."""

from dataclasses import dataclass

from mai1.model.lora import LoraConfig
from mai1.model.transformer import ModelConfig
from mai1.optim.config import Method


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """One optimizer step's work."""

    model: ModelConfig
    sequence_length: int
    """Tokens of a row."""
    sequences_per_step: int
    """Rows of an optimizer step, over all ranks."""
    method: Method = Method.adamw
    """What moves the weight matrices."""
    lora: LoraConfig | None = None
    """Adapters that are trained in place of the weights; None where the weights are."""
    max_rows: int = 0
    """Most routed rows that a rank computes at once; 0: all."""

    @property
    def tokens_per_step(self) -> int:
        """Over all ranks."""
        return self.sequences_per_step * self.sequence_length
