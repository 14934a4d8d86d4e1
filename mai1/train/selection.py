"""Which tokens a step learns from: all of them, those that a reference model says can be learned, or those not yet learned.

A token that is not selected still goes through the network, as context of the others; what it saves is the gradient of its
logits. Legend: B rows, T positions.
"""

import hashlib
import math
from dataclasses import dataclass
from enum import Enum

import torch

from mai1.loss import Selection
from mai1.model.moe.routing_policy import jitter_noise


class SelectionMethod(Enum):
    """How the targets that are learned from are chosen."""

    none = "none"
    rho = "rho"  # those whose loss exceeds a reference model's most: Lin et al. 2024, arXiv 2404.07965, eq. 3-5
    drop_learned = "drop_learned"  # those whose loss, and the reference model's, is not small already


@dataclass(kw_only=True, slots=True)
class SelectionConfig:
    method: SelectionMethod = SelectionMethod.none
    """none | rho (needs the reference losses of `mai1 score`) | drop_learned (takes them into account where they are there)."""
    share_start: float = 1.0
    """Share of each row's targets that rho keeps in the first step."""
    share_end: float = 0.6
    """And from step `over_steps` on (the paper: 0.6 for 1.1 B parameters, 0.7 for 7 B)."""
    over_steps: int = 0
    """Steps in which the share goes from start to end, linearly; 0 begins with the end."""
    random_floor: float = 0.05
    """Share of each row's targets that rho keeps whatever their losses: a hash of (seed, row, position) says which."""
    learned_below: float = 0.05
    """Nats below which drop_learned takes a target as learned."""

    def __post_init__(self) -> None:
        for key in ("share_start", "share_end"):
            if not 0 < getattr(self, key) <= 1:
                raise ValueError(f"selection.{key}={getattr(self, key)} must be above 0 and at most 1: 1 keeps all")
        if not 0 <= self.random_floor <= min(self.share_start, self.share_end):
            raise ValueError(
                f"selection.random_floor={self.random_floor} must be from 0 to the smaller of share_start and share_end, "
                "of which it is a part: use 0 for none"
            )
        if self.over_steps < 0:
            raise ValueError(f"selection.over_steps={self.over_steps} must not be negative: use 0 for no transition")
        if not 0 <= self.learned_below < math.inf:
            raise ValueError(f"selection.learned_below={self.learned_below} must not be negative or infinite")

    def share_at(self, step: int) -> float:
        """Share of a row's targets that is kept in a step, counted from 0."""
        done = min(1.0, step / self.over_steps) if self.over_steps else 1.0
        return self.share_start + done * (self.share_end - self.share_start)

    def at(self, step: int, *, seed: int) -> Selection | None:
        """What selects in a step; None where every target is learned from."""
        match self.method:
            case SelectionMethod.rho if self.share_at(step) < 1:
                return LargestExcess(self.share_at(step), random_floor=self.random_floor, seed=seed)
            case SelectionMethod.drop_learned:
                return Unlearned(self.learned_below)
            case _:
                return None


@dataclass(frozen=True, slots=True)
class LargestExcess:
    """Of each row a fixed share of the targets, so that every rank knows the number before the forward.

    First those that the hash keeps, then by `loss - reference`, of equal ones the earlier.
    """

    share: float
    random_floor: float
    seed: int

    def count(self, mask_BT: torch.Tensor) -> torch.Tensor:
        """The targets that each row keeps."""
        return _share_of(mask_BT, self.share).double()

    def weigh(
        self,
        nats_BT: torch.Tensor,
        *,
        mask_BT: torch.Tensor,
        reference_BT: torch.Tensor | None,
        samples_B: torch.Tensor,
    ) -> torch.Tensor:
        """1 for what is kept, 0 for the rest."""
        assert reference_BT is not None, "without reference losses the run is refused before it starts"
        is_target_BT = mask_BT > 0
        chance_BT = _chances(samples_B, num_positions=mask_BT.shape[1], seed=self.seed)
        is_drawn_BT = _first_of_rows(-chance_BT, is_target_BT, _share_of(mask_BT, self.random_floor))
        excess_BT = (nats_BT - reference_BT).masked_fill(is_drawn_BT, math.inf)
        return _first_of_rows(excess_BT, is_target_BT, _share_of(mask_BT, self.share)).float()


@dataclass(frozen=True, slots=True)
class Unlearned:
    """All targets but those that are learned already.

    The mean stays one over all targets: what is left out would have added next to nothing to the gradient, and the others
    weigh what they would without it. A fixed share would leave out more, or keep less, than there is.
    """

    learned_below: float

    def count(self, mask_BT: torch.Tensor) -> torch.Tensor:
        """All targets of each row."""
        return mask_BT.sum(1, dtype=torch.float64)

    def weigh(
        self,
        nats_BT: torch.Tensor,
        *,
        mask_BT: torch.Tensor,
        reference_BT: torch.Tensor | None,
        samples_B: torch.Tensor,
    ) -> torch.Tensor:
        """The mask, and 0 for what is learned."""
        return mask_BT.masked_fill(is_learned(nats_BT, reference_BT, below=self.learned_below), 0)


def is_learned(nats_BT: torch.Tensor, reference_BT: torch.Tensor | None, *, below: float) -> torch.Tensor:
    """Where the loss is small and, if there is a reference, its loss is as well: bool, of the shape that is given."""
    is_low_BT = nats_BT < below
    return is_low_BT if reference_BT is None else is_low_BT & (reference_BT < below)


def _share_of(mask_BT: torch.Tensor, share: float) -> torch.Tensor:
    """A share of each row's targets, rounded up: int64 `[B]`."""
    num_targets_B = (mask_BT > 0).sum(1)
    return (num_targets_B.double() * share - 1e-6).ceil().long().minimum(num_targets_B).clamp(min=0)


def _first_of_rows(scores_BT: torch.Tensor, is_target_BT: torch.Tensor, count_B: torch.Tensor) -> torch.Tensor:
    """The targets of each row's `count` highest scores, of equal ones the earlier: bool `[B, T]`."""
    order_BT = scores_BT.masked_fill(~is_target_BT, -math.inf).argsort(dim=1, descending=True, stable=True)
    is_first_BT = torch.arange(scores_BT.shape[1], device=scores_BT.device) < count_B[:, None]
    return torch.zeros_like(is_target_BT).scatter_(1, order_BT, is_first_BT)


def _chances(samples_B: torch.Tensor, *, num_positions: int, seed: int) -> torch.Tensor:
    """A number of each position, uniform in [0, 2), from (seed, sample number, position) alone: fp32 `[B, T]`."""
    key = int.from_bytes(hashlib.sha256(f"{seed}:selection".encode()).digest()[:7], "big")
    noise_N1 = jitter_noise(samples_B, num_positions=num_positions, width=1, seed=key, amount=1.0)
    return noise_N1.view(len(samples_B), num_positions)
