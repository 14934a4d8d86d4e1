"""The ledger: what the FLOPs of a run went into, every position of every step in exactly one part.

A position costs what `flops.py` says, whatever became of it; what a selection saves at the logits is not taken off.

Legend: B rows, T positions, P parts, E experts.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from mai1.checkpoint.checkpoint import TrainerState
from mai1.data.batch import Batch
from mai1.loss import Losses
from mai1.model.moe.router import Routing
from mai1.train.selection import is_learned

PARTS = ("padding", "repeated", "masked", "learned", "noise", "unselected", "useful")
"""What becomes of a position; the first that fits. Those before `learned` are known without a loss."""
REFUSED, UNDONE, DROPPED = "refused", "undone", "dropped"
"""Positions of steps that were not applied, or taken back; choices of experts that found no place."""
COUNTED = (*PARTS, DROPPED)
"""What is counted of every step."""


@dataclass(kw_only=True, slots=True)
class LedgerConfig:
    max_epochs: float = 4.0
    """Epochs of a source after which its tokens count as wasted (arXiv 2305.16264: up to 4 are nearly as good as new text)."""
    learned_below: float = 0.05
    """Nats below which a target counts as learned already, if its reference loss, where there is one, is below as well."""
    noise_above: float = 6.0
    """Nats of reference loss above which a target counts as noise, if the loss is no larger than the reference's."""

    def __post_init__(self) -> None:
        for key in ("max_epochs", "learned_below", "noise_above"):
            if not 0 <= getattr(self, key) < math.inf:
                raise ValueError(f"ledger.{key}={getattr(self, key)} must not be negative or infinite")


@dataclass(kw_only=True, slots=True)
class Ledger:
    """Sorts positions into parts, and knows what they cost."""

    config: LedgerConfig = field(default_factory=LedgerConfig)
    flops_per_position: int = 1
    """Forward and backward, also of padding."""
    flops_per_choice: int = 0
    """Of one expert for one position, forward and backward: what is not computed where a choice is dropped."""
    scoring_flops: int = 0
    """Spent once on the reference losses that the run reads."""

    def count(self, batch: Batch, losses: Losses, routings: Iterable[Routing]) -> torch.Tensor:
        """What this rank adds to each of COUNTED: fp64 `[8]`. Positions are counted by the last pipeline stage alone, which
        knows their losses."""
        dropped = torch.stack([routing.dropped_E.sum() for routing in routings]).sum().double()
        if losses.nats_BT is None:
            return torch.cat((dropped.new_zeros(len(PARTS)), dropped[None]))
        return torch.cat((self._positions(batch, losses).double(), dropped[None]))

    def _positions(self, batch: Batch, losses: Losses) -> torch.Tensor:
        """Positions of this rank in each of PARTS."""
        reference_BT = None if batch.reference_BT is None else batch.own(batch.reference_BT)
        is_noise_BT = torch.zeros_like(losses.nats_BT, dtype=torch.bool)
        if reference_BT is not None:
            is_noise_BT = (reference_BT > self.config.noise_above) & (losses.nats_BT <= reference_BT)
        conditions = (
            batch.own(batch.segments_BT) < 0,
            batch.own(batch.epochs_BT) >= self.config.max_epochs,
            batch.own(batch.loss_mask_BT) == 0,
            is_learned(losses.nats_BT, reference_BT, below=self.config.learned_below),
            is_noise_BT,
            losses.weights_BT == 0,
            torch.ones_like(is_noise_BT),
        )
        fits_PBT = torch.stack(conditions)
        is_first_PBT = fits_PBT & (fits_PBT.cumsum(0) == 1)
        return is_first_PBT.sum((1, 2))

    def flops(self, spent: dict[str, int]) -> dict[str, int]:
        """What positions by part, and dropped choices, cost; the parts add up to positions times their cost, exactly.

        Dropped choices come out of the useful part, at most all of it, whichever target's they were.
        """
        costs = {part: num * self.flops_per_position for part, num in spent.items() if part != DROPPED}
        dropped = min(spent.get(DROPPED, 0) * self.flops_per_choice, costs.get("useful", 0))
        return costs | {"useful": costs.get("useful", 0) - dropped, DROPPED: dropped}

    def total(self, spent: dict[str, int]) -> int:
        """All that was spent, scoring included."""
        return sum(self.flops(spent).values()) + self.scoring_flops

    def book(self, state: TrainerState, step: dict[str, int], *, is_applied: bool, num_runs: int) -> dict:
        """Add a step that was computed `num_runs` times to the run's; figures of both for the log."""
        refused = {REFUSED: (num_runs - is_applied) * num_positions(step)}
        state.spent = _sum([state.spent, refused, step if is_applied else {}])
        of_step = self.flops(step)
        return {
            "flops_useful_fraction": of_step["useful"] / max(1, sum(of_step.values())),
            "ledger": self.flops(state.spent) | {"scoring": self.scoring_flops},
        }


def take_back(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """The run's positions where it went back to a checkpoint that had those of `after`: what came behind was in vain."""
    return after | {UNDONE: after.get(UNDONE, 0) + num_positions(before) - num_positions(after)}


def num_positions(spent: dict[str, int]) -> int:
    """All of them."""
    return sum(num for part, num in spent.items() if part != DROPPED)


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for part, num in each.items():
            total[part] = total.get(part, 0) + num
    return total
