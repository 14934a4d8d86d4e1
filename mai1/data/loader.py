"""Which rows each rank reads in each step: a pure function of the step, so its whole state is one number.

Global sample order: step s trains on samples [s*G, (s+1)*G) for a global batch of G rows, whatever the number of ranks
and microbatches. Ranks that share rows, a slice of the positions each, all read them whole.
"""

from dataclasses import dataclass
from typing import Protocol

from mai1.data.batch import Batch, Row, collate


class Rows(Protocol):
    """Random access to training rows: `TokenStream` and `PackedConversations`."""

    rows_per_epoch: int
    sequence_length: int
    source_names: list[str]
    """By number: what `Row.sources` counts through."""

    @property
    def fingerprint(self) -> str:
        """Identifies the rows and their order."""

    def read(self, sample: int) -> Row:
        """The row with this number."""


@dataclass(kw_only=True, slots=True)
class BatchConfig:
    sequences_per_step: int = 32
    """Rows of one optimizer step over all ranks (global batch size)."""
    sequences_per_microbatch: int = 8
    """Rows one rank, or ranks that share rows, pass through the model at a time; what is left is accumulated."""

    def __post_init__(self) -> None:
        for key in ("sequences_per_step", "sequences_per_microbatch"):
            if getattr(self, key) < 1:
                raise ValueError(f"batch.{key}={getattr(self, key)} must be at least 1")

    def microbatches_per_step(self, data_size: int) -> int:
        """Microbatches each rank accumulates before an optimizer step, where `data_size` of them read different rows."""
        rows_at_once = self.sequences_per_microbatch * data_size
        if self.sequences_per_step % rows_at_once:
            nearest = max(1, round(self.sequences_per_step / rows_at_once)) * rows_at_once
            fitting = self._fitting_microbatch(data_size)
            same_step = f", or batch.sequences_per_microbatch={fitting} for the same step" if fitting else ""
            raise ValueError(
                f"batch.sequences_per_step={self.sequences_per_step} must be a multiple of "
                f"batch.sequences_per_microbatch={self.sequences_per_microbatch} x {data_size} data-parallel ranks = "
                f"{rows_at_once}: use {nearest}{same_step}"
            )
        return self.sequences_per_step // rows_at_once

    def _fitting_microbatch(self, data_size: int) -> int:
        """The largest microbatch, up to the one that was asked for, into which a rank's rows of a step fall; 0 for none."""
        rows, rest = divmod(self.sequences_per_step, data_size)
        if rest:
            return 0
        return next(size for size in range(min(self.sequences_per_microbatch, rows), 0, -1) if rows % size == 0)


class Loader:
    """The microbatches of this rank for any step."""

    def __init__(
        self,
        rows: Rows,
        config: BatchConfig,
        *,
        end_of_text_id: int,
        data_rank: int = 0,
        data_size: int = 1,
        sequence_rank: int = 0,
        sequence_size: int = 1,
    ) -> None:
        """`data_rank` says which of `data_size` parts of the rows to read, `sequence_rank` which slice of them to compute."""
        self.rows, self.config, self.end_of_text_id = rows, config, end_of_text_id
        self.data_rank, self.data_size = data_rank, data_size
        self.slice_of_rows = {"sequence_rank": sequence_rank, "sequence_size": sequence_size}
        self.num_microbatches = config.microbatches_per_step(data_size)

    def microbatches(self, step: int) -> list[Batch]:
        """This rank's microbatches of a step, counted from 0."""
        size = self.config.sequences_per_microbatch
        batches = []
        for microbatch in range(self.num_microbatches):
            first = step * self.config.sequences_per_step + (microbatch * self.data_size + self.data_rank) * size
            rows = [self.rows.read(sample) for sample in range(first, first + size)]
            batch = collate(rows, end_of_text_id=self.end_of_text_id, first_sample=first, **self.slice_of_rows)
            batches.append(batch)
        return batches
