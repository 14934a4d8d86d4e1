"""The guard: judges each optimizer step after its gradients are known and before anything has moved.

A refused step is skipped: weights, masters, moments, their step count, selection biases, the last load and the guard's own
memory stay as they were. Its data is consumed, and the learning rate's schedule goes on with the step's number. What the
guard remembers is part of `TrainerState`, so a resumed run judges as one that was never interrupted.
"""

import math
from collections import Counter
from dataclasses import dataclass
from enum import Enum

import torch

from mai1.checkpoint.checkpoint import TrainerState
from mai1.train.rerun import BadStep, Finding
from mai1.watch.faults import FaultyRankError


@dataclass(kw_only=True, slots=True)
class GuardConfig:
    skip_spikes: bool = False
    """Skip also a step whose loss or gradient norm stands far out from those before. Steps that are not finite are always
    skipped."""
    window: int = 128
    """Steps that a spike is measured against, skipped ones left out; nothing counts as a spike until half of them are there."""
    max_deviations: float = 6.0
    """A spike is more than this many standard deviations above the mean of the window."""
    rerun: bool = True
    """Compute a refused step once more: a result that changes is a fault of the machine, and the new one is used if it is
    good."""
    max_transient: int = 3
    """Faults of the machine on one rank, within one launch, after which the run saves and ends (exit code 5)."""
    max_skips: int = 5
    """Skipped steps in a row after which the run goes back to the newest sound checkpoint from before them."""
    max_rollbacks: int = 3
    """Returns to a checkpoint after which the next one ends the run instead (exit code 4)."""

    def __post_init__(self) -> None:
        for key, least in (("window", 4), ("max_transient", 1), ("max_skips", 1), ("max_rollbacks", 0)):
            if getattr(self, key) < least:
                raise ValueError(f"guard.{key}={getattr(self, key)} must be at least {least}")
        if not 0 < self.max_deviations < math.inf:
            raise ValueError(
                f"guard.max_deviations={self.max_deviations} must be above 0: use guard.skip_spikes=false to skip no spike"
            )


class Reason(Enum):
    """Why a step was refused."""

    not_finite = "not finite"
    loss_spike = "spike of the loss"
    norm_spike = "spike of the gradient norm"


class Guard:
    """Judges steps; all of it is decided from figures over all ranks, so every rank decides alike."""

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self._faults: Counter[tuple[int, str]] = Counter()

    def judge(self, state: TrainerState, *, loss: float, grad_norm: float) -> Reason | None:
        """Why the step must not be applied; None if it may. Spikes as in OLMo-core's SkipStepOptimizer."""
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            return Reason.not_finite
        if self.config.skip_spikes and self._is_spike(loss, state.recent_losses):
            return Reason.loss_spike
        if self.config.skip_spikes and self._is_spike(grad_norm, state.recent_norms):
            return Reason.norm_spike
        return None

    def remember(self, state: TrainerState, *, loss: float, grad_norm: float) -> None:
        """Of a step that was applied."""
        state.recent_losses = [*state.recent_losses, loss][-self.config.window :]
        state.recent_norms = [*state.recent_norms, grad_norm][-self.config.window :]
        state.skips_in_a_row = 0

    def count(self, state: TrainerState, bad: BadStep) -> None:
        """Of a step that was refused, at least at first."""
        if bad.is_skipped:
            state.skips_in_a_row += 1
            state.num_skipped += 1
        if bad.finding is Finding.transient:
            self._faults.update({(suspect.rank, suspect.host) for suspect in bad.suspects})

    @property
    def has_faulty_rank(self) -> bool:
        """Whether some rank's machine has failed too often to go on with it."""
        return any(num >= self.config.max_transient for num in self._faults.values())

    def refuse_faulty_rank(self) -> None:
        """FaultyRankError, on every rank alike, where there is one."""
        if self.has_faulty_rank:
            num = max(self._faults.values())
            suspects = [
                f"rank {rank} on {host}" for (rank, host), count in sorted(self._faults.items()) if count == num
            ]
            one_of = "one of " if len(suspects) > 1 else ""  # with pipeline stages a fault shows on all that it passes
            raise FaultyRankError(
                f"{one_of}{', '.join(suspects)} computed {num} steps wrongly that were right when computed again "
                f"(guard.max_transient={self.config.max_transient}): its machine is failing. Nothing wrong was learned, and a "
                "checkpoint is saved: leave the machine out and run the same command again"
            )

    def _is_spike(self, value: float, window: list[float]) -> bool:
        window = window[-self.config.window :]
        if len(window) < self.config.window // 2:
            return False
        deviation, mean = torch.std_mean(torch.tensor(window, dtype=torch.float64))
        return value - mean.item() > self.config.max_deviations * deviation.item()
