"""AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2) with the usual parameter groups."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from mai1.optim.schedule import Schedule, learning_rate_factor


@dataclass(kw_only=True, slots=True)
class OptimConfig:
    learning_rate: float = 1e-3
    """Peak learning rate."""
    schedule: Schedule = Schedule.cosine
    """cosine | warmup_stable_decay | constant."""
    warmup_steps: int = 100
    """Steps of linear warm-up."""
    decay_fraction: float = 0.2
    """Last share of the steps in which warmup_stable_decay goes down."""
    final_factor: float = 0.1
    """Learning rate at the end, as a share of the peak."""
    beta1: float = 0.9
    """Decay of the first moment."""
    beta2: float = 0.95
    """Decay of the second moment."""
    eps: float = 1e-8
    """Added to the root of the second moment."""
    weight_decay: float = 0.1
    """Decoupled decay of matrices; norms and embeddings have none."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this global norm; 0 turns clipping off."""

    def __post_init__(self) -> None:
        for key in ("learning_rate", "eps"):
            if not getattr(self, key) > 0:
                raise ValueError(f"optim.{key}={getattr(self, key)} must be above 0")
        for key in ("warmup_steps", "weight_decay", "clip_norm"):
            if not getattr(self, key) >= 0:
                raise ValueError(f"optim.{key}={getattr(self, key)} must not be negative")
        for key in ("beta1", "beta2"):
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


def parameter_groups(named_parameters: Iterable[tuple[str, torch.nn.Parameter]], config: OptimConfig) -> list[dict]:
    """Matrices with weight decay; norms and embeddings without. Every group has a unique `name`."""
    decayed, undecayed = [], []
    for name, parameter in named_parameters:
        if parameter.requires_grad:
            is_plain = parameter.dim() == 1 or name in ("embedding.weight", "unembedding.weight")
            (undecayed if is_plain else decayed).append(parameter)
    return [
        {"name": "decayed", "params": decayed, "weight_decay": config.weight_decay},
        {"name": "undecayed", "params": undecayed, "weight_decay": 0.0},
    ]


def build_adamw(groups: list[dict], config: OptimConfig) -> torch.optim.Optimizer:
    """torch's fused AdamW over the groups: no extension to compile, on CPU and GPU."""
    betas = (config.beta1, config.beta2)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=betas, eps=config.eps, fused=True)
