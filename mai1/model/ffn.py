"""The dense feed-forward network, also used as the shared expert: SwiGLU (Shazeer 2020, arXiv 2002.05202, eq. 6).

Legend: D width, F inner width.
"""

import torch
import torch.nn.functional as F
from torch import nn

from mai1.model.lora import Linear


class SwiGLU(nn.Module):
    """`down(silu(gate(x)) * up(x))`, without biases; gate and up share one matrix `[2F, D]`."""

    def __init__(self, d_model: int, *, width: int) -> None:
        super().__init__()
        self.gate_up = Linear(d_model, 2 * width)
        self.down = Linear(width, d_model)

    def forward(self, x_D: torch.Tensor) -> torch.Tensor:
        """Map `[..., D]` to `[..., D]`."""
        gate_F, up_F = self.gate_up(x_D).split(self.down.in_features, dim=-1)
        return self.down(F.silu(gate_F) * up_F)
