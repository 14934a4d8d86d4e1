"""Rotary position embedding (Su et al. 2021, arXiv 2104.09864, eq. 34), in the rotate-half layout of Hugging Face.

Legend: B batch, T positions, H heads, C head channels, P = C/2 channel pairs.
"""

from dataclasses import dataclass

import torch


@dataclass(slots=True)
class Rotation:
    """Cosines and sines of every position's angles, fp32 `[B, T, 1, P]`."""

    cos_BT1P: torch.Tensor
    sin_BT1P: torch.Tensor


def rotation_at(positions_BT: torch.Tensor, *, head_dim: int, theta: float) -> Rotation:
    """Angles `position * theta^(-2p/C)` for each channel pair p."""
    exponents_P = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions_BT.device) / head_dim
    angles_BTP = positions_BT[..., None].float() * (1.0 / theta**exponents_P)
    return Rotation(angles_BTP.cos()[:, :, None], angles_BTP.sin()[:, :, None])


def rotate(x_BTHC: torch.Tensor, rotation: Rotation) -> torch.Tensor:
    """Turn channel pair (p, p + C/2) of every head by its position's angle; keeps the dtype."""
    cos, sin = rotation.cos_BT1P.to(x_BTHC.dtype), rotation.sin_BT1P.to(x_BTHC.dtype)
    first, second = x_BTHC.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
