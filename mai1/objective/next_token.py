"""The objective of pretraining and instruction tuning: the next token's cross-entropy where the loss mask says so."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from mai1.data.batch import Batch
from mai1.loss import LossConfig, Losses, Selection, StepTotals, as_totals, compute_losses, count_totals
from mai1.model.moe.balance import BalanceConfig
from mai1.model.transformer import ModelOutput


@dataclass(kw_only=True, slots=True)
class NextToken:
    """Cross-entropy of next and further tokens, and the routers' losses."""

    balance: BalanceConfig
    loss: LossConfig = field(default_factory=LossConfig)
    num_mtp_layers: int = 0
    """Depths of multi-token prediction that the model has."""
    selection_at: Callable[[int], Selection | None] = lambda step: None
    """What selects the targets of a step."""

    @property
    def figures(self) -> tuple[str, ...]:
        """See `Objective`."""
        return ()

    def count(self, batches: list[Batch], *, step: int) -> list[float]:
        """See `Objective`."""
        settings = {"counted": self.balance.counted, "num_mtp_layers": self.num_mtp_layers}
        return count_totals(batches, **settings, selection=self.selection_at(step))

    def totals(self, counts: list[float]) -> StepTotals:
        """See `Objective`."""
        return as_totals(counts)

    def losses(
        self,
        output: ModelOutput,
        batch: Batch,
        *,
        step: int,
        totals: StepTotals,
        last_load_LE: torch.Tensor | None = None,
    ) -> Losses:
        """See `Objective`."""
        return compute_losses(
            output,
            batch,
            loss=self.loss,
            balance=self.balance,
            totals=totals,
            last_load_LE=last_load_LE,
            selection=self.selection_at(step),
        )
