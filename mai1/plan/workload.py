"""What is to be trained: a model, and rows of tokens a step."""

from dataclasses import dataclass

from mai1.model.transformer import ModelConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """One optimizer step's work."""

    model: ModelConfig
    sequence_length: int
    """Tokens of a row."""
    sequences_per_step: int
    """Rows of an optimizer step, over all ranks."""

    @property
    def tokens_per_step(self) -> int:
        """Over all ranks."""
        return self.sequences_per_step * self.sequence_length
