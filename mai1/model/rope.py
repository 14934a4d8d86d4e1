"""Rotary position embedding (Su et al. 2021, arXiv 2104.09864, eq. 34), in the two layouts that Hugging Face knows.

Legend: B batch, T positions, H heads, C head channels, P = C/2 channel pairs.
"""

from dataclasses import dataclass

import torch


@dataclass(slots=True)
class Rotation:
    """Cosines and sines of every position's angles, fp32."""

    cos_BT1P: torch.Tensor
    sin_BT1P: torch.Tensor
    cos_BT1C: torch.Tensor
    """The cosines twice."""
    sin_BT1C: torch.Tensor
    """The sines with a minus, then the sines."""


def rotation_at(positions_BT: torch.Tensor, *, rope_dim: int, theta: float) -> Rotation:
    """Angles `position * theta^(-2p/C)` for each channel pair p of C = `rope_dim` rotated channels."""
    exponents_P = torch.arange(0, rope_dim, 2, dtype=torch.float32, device=positions_BT.device) / rope_dim
    angles_BTP = positions_BT[..., None].float() * (1.0 / theta**exponents_P)
    cos_BT1P, sin_BT1P = angles_BTP.cos()[:, :, None], angles_BTP.sin()[:, :, None]
    twice = (torch.cat((cos_BT1P, cos_BT1P), dim=-1), torch.cat((-sin_BT1P, sin_BT1P), dim=-1))
    return Rotation(cos_BT1P, sin_BT1P, *twice)


def rotate(x_BTHC: torch.Tensor, rotation: Rotation) -> torch.Tensor:
    """Turn channel pair (p, p + C/2) of every head by its position's angle; keeps the dtype."""
    if torch.is_grad_enabled():
        return _Turn.apply(x_BTHC, rotation.cos_BT1P.to(x_BTHC.dtype), rotation.sin_BT1P.to(x_BTHC.dtype))
    swapped_BTHC = x_BTHC.unflatten(-1, (2, -1)).flip(-2).flatten(-2)
    turned_BTHC = x_BTHC * rotation.cos_BT1C.to(x_BTHC.dtype)
    return turned_BTHC.addcmul_(swapped_BTHC, rotation.sin_BT1C.to(x_BTHC.dtype))


def rotate_pairs(x_BTHC: torch.Tensor, rotation: Rotation) -> torch.Tensor:
    """Turn channel pair (2p, 2p + 1) of every head by its position's angle, as DeepSeek does; keeps the dtype."""
    at_least_float = x_BTHC.to(torch.promote_types(x_BTHC.dtype, torch.float32)).contiguous()
    pairs_BTHP = torch.view_as_complex(at_least_float.unflatten(-1, (-1, 2)))
    turned_BTHP = pairs_BTHP * torch.complex(rotation.cos_BT1P, rotation.sin_BT1P)
    return torch.view_as_real(turned_BTHP).flatten(-2).to(x_BTHC.dtype)


class _Turn(torch.autograd.Function):
    """One product and two sums in place of six passes over memory; the gradient is turned back by the same angle."""

    @staticmethod
    def forward(ctx, x_BTHC: torch.Tensor, cos_BT1P: torch.Tensor, sin_BT1P: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos_BT1P, sin_BT1P)
        return _turn(x_BTHC, cos_BT1P, sin_BT1P)

    @staticmethod
    def backward(ctx, gradient_BTHC: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        cos_BT1P, sin_BT1P = ctx.saved_tensors
        return _turn(gradient_BTHC, cos_BT1P, -sin_BT1P), None, None


def _turn(x_BTHC: torch.Tensor, cos_BT1P: torch.Tensor, sin_BT1P: torch.Tensor) -> torch.Tensor:
    turned_BTHC = x_BTHC * torch.cat((cos_BT1P, cos_BT1P), dim=-1)
    first, second = x_BTHC.chunk(2, dim=-1)
    turned_first, turned_second = turned_BTHC.chunk(2, dim=-1)
    turned_first.addcmul_(second, sin_BT1P, value=-1)
    turned_second.addcmul_(first, sin_BT1P)
    return turned_BTHC
