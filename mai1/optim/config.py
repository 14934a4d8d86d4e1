"""The settings of the optimizer, AdamW alone or Muon beside it."""

import math
from dataclasses import dataclass
from enum import Enum

from mai1.optim.schedule import Schedule, learning_rate_factor


class Method(Enum):
    """What moves the weight matrices. Norms and embeddings are moved by AdamW either way."""

    adamw = "adamw"  # Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2
    muon = "muon"  # Liu et al. 2025, arXiv 2502.16982: mai1/optim/muon.py


@dataclass(kw_only=True, slots=True)
class OptimConfig:
    method: Method = Method.adamw
    """adamw | muon: what moves the weight matrices; the keys below serve both."""
    learning_rate: float = 1e-3
    """Peak learning rate; with muon of all parameters too, as its updates are as large as AdamW's."""
    schedule: Schedule = Schedule.cosine
    """cosine | warmup_stable_decay | constant."""
    warmup_steps: int = 100
    """Steps of linear warm-up."""
    decay_fraction: float = 0.2
    """Last share of the steps in which warmup_stable_decay goes down."""
    final_factor: float = 0.1
    """Learning rate at the end, as a share of the peak."""
    beta1: float = 0.9
    """Decay of AdamW's first moment."""
    beta2: float = 0.95
    """Decay of AdamW's second moment."""
    eps: float = 1e-8
    """Added to the root of AdamW's second moment."""
    momentum: float = 0.95
    """Decay of muon's one moment; unused by adamw."""
    weight_decay: float = 0.1
    """Decoupled decay of matrices; norms and embeddings have none."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this global norm; 0 turns clipping off."""

    def __post_init__(self) -> None:
        for key in ("learning_rate", "eps"):
            if not 0 < getattr(self, key) < math.inf:
                raise ValueError(f"optim.{key}={getattr(self, key)} must be above 0 and finite")
        for key in ("warmup_steps", "weight_decay", "clip_norm"):
            if not 0 <= getattr(self, key) < math.inf:
                raise ValueError(f"optim.{key}={getattr(self, key)} must not be negative or infinite")
        for key in ("beta1", "beta2", "momentum"):
            if not 0 <= getattr(self, key) < 1:
                raise ValueError(f"optim.{key}={getattr(self, key)} must be at least 0 and below 1")
        for key in ("decay_fraction", "final_factor"):
            if not 0 <= getattr(self, key) <= 1:
                raise ValueError(f"optim.{key}={getattr(self, key)} must be from 0 to 1")

    def learning_rate_at(self, step: int, *, steps: int) -> float:
        """Learning rate of step 0, 1, ..., steps-1."""
        return self.learning_rate * learning_rate_factor(
            step,
            schedule=self.schedule,
            steps=steps,
            warmup_steps=self.warmup_steps,
            decay_fraction=self.decay_fraction,
            final_factor=self.final_factor,
        )
