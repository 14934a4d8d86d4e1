"""The learning rate of every step: a pure function, so nothing about it needs saving."""

import math
from enum import Enum


class Schedule(Enum):
    """Shape of the learning rate after the warm-up."""

    cosine = "cosine"  # Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5
    warmup_stable_decay = "warmup_stable_decay"  # Hu et al. 2024 (MiniCPM), arXiv 2404.06395, §4
    constant = "constant"


def learning_rate_factor(
    step: int, *, schedule: Schedule, steps: int, warmup_steps: int, decay_fraction: float, final_factor: float
) -> float:
    """Factor on the peak learning rate for step 0, 1, ..., steps-1.

    Linear warm-up over `warmup_steps`; then cosine to `final_factor`, or flat until the last `decay_fraction` of the
    steps and linear to `final_factor` there, or flat.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule is Schedule.constant:
        return 1.0
    if schedule is Schedule.cosine:
        progress = (step - warmup_steps) / max(1, steps - 1 - warmup_steps)
        return final_factor + (1 - final_factor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    decay_steps = max(1, round(steps * decay_fraction))
    progress = (step - (steps - decay_steps) + 1) / decay_steps
    return 1.0 - (1 - final_factor) * min(1.0, max(0.0, progress))
