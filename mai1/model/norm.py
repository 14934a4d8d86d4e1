"""Root-mean-square layer normalisation (Zhang & Sennrich 2019, arXiv 1910.07467, eq. 4).

Legend: D normalised width.
"""

import torch
import torch.nn.functional as F
from torch import nn


class RMSNorm(nn.Module):
    """`x / sqrt(mean(x^2) + eps) * weight` over the last dimension."""

    def __init__(self, width: int, *, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x_D: torch.Tensor) -> torch.Tensor:
        """Normalise `[..., D]`; statistics in fp32, result in the input's dtype."""
        return F.rms_norm(x_D, self.weight.shape, self.weight, self.eps)
