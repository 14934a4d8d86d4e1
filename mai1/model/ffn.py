"""The dense feed-forward network, also used as the shared expert: SwiGLU (Shazeer 2020, arXiv 2002.05202, eq. 6).

Legend: D width, F inner width.
"""

import torch
import torch.nn.functional as F
from torch import nn


class SwiGLU(nn.Module):
    """`down(silu(gate(x)) * up(x))`, without biases; gate and up share one matrix `[2F, D]`."""

    def __init__(self, d_model: int, *, width: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(d_model, 2 * width, bias=False)
        self.down = nn.Linear(width, d_model, bias=False)

    def forward(self, x_D: torch.Tensor) -> torch.Tensor:
        """Map `[..., D]` to `[..., D]`."""
        gate_F, up_F = self.gate_up(x_D).chunk(2, dim=-1)
        return self.down(F.silu(gate_F) * up_F)
