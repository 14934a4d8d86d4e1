"""The seam between the training loop and what it minimises: the loop knows no more of a loss than this."""

from typing import Protocol

import torch

from mai1.data.batch import Batch
from mai1.loss import Losses, StepTotals
from mai1.model.moe.balance import BalanceConfig
from mai1.model.transformer import ModelOutput


class Objective(Protocol):
    """A loss whose shares of microbatches add up to a mean over the whole optimizer step."""

    balance: BalanceConfig
    """How experts are balanced, whatever else is minimised."""

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of the `Losses.figures` that every share on the last pipeline stage has."""

    def count(self, batches: list[Batch], *, step: int) -> list[float]:
        """What this rank's part of a step adds to what the step's means divide by: to be summed over ranks."""

    def totals(self, counts: list[float]) -> StepTotals:
        """The totals of a step from its counts over all ranks."""

    def losses(
        self,
        output: ModelOutput,
        batch: Batch,
        *,
        step: int,
        totals: StepTotals,
        last_load_LE: torch.Tensor | None = None,
    ) -> Losses:
        """A microbatch's share of the step's losses, with gradients.

        `last_load_LE` are the choices of each MoE layer held here over the whole previous step; None at first.
        """
