"""Root-mean-square layer normalisation (Zhang & Sennrich 2019, arXiv 1910.07467, eq. 4).

Legend: D normalised width, N everything before it.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable


class RMSNorm(nn.Module):
    """`x / sqrt(mean(x^2) + eps) * weight` over the last dimension."""

    def __init__(self, width: int, *, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps
        self._eps = torch.tensor(eps, device="cpu")

    def forward(self, x_D: torch.Tensor) -> torch.Tensor:
        """Normalise `[..., D]`; statistics in fp32, result in the input's dtype."""
        if not _is_fp32_on_cpu(x_D):
            return F.rms_norm(x_D, self.weight.shape, self.weight, self.eps)
        if torch.is_grad_enabled():
            return RMSNormOnCPU.apply(x_D, self.weight, self._eps)
        return self.unweighted(x_D).mul_(self.weight)

    def unweighted(self, x_D: torch.Tensor) -> torch.Tensor:
        """The same without the weight, and without gradient."""
        if not _is_fp32_on_cpu(x_D):
            return F.rms_norm(x_D, self.weight.shape, eps=self.eps)
        return x_D * _inverse(x_D, self._eps)


class RMSNormOnCPU(torch.autograd.Function):
    """The same in few passes over memory: torch has no fused kernel for a CPU, where this is about twice as fast."""

    @staticmethod
    def forward(ctx, x_D: torch.Tensor, weight_D: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
        inverse_1 = _inverse(x_D, eps)
        ctx.save_for_backward(x_D, weight_D, inverse_1)
        return (x_D * inverse_1).mul_(weight_D)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient_D: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        x_D, weight_D, inverse_1 = ctx.saved_tensors
        normed_D = x_D * inverse_1
        product_ND = (gradient_D * normed_D).reshape(-1, x_D.shape[-1])
        weight_gradient_D = product_ND.sum(0)
        mean_1 = torch.mv(product_ND, weight_D).div_(x_D.shape[-1]).view_as(inverse_1)
        x_gradient_D = (gradient_D * weight_D).addcmul_(normed_D, mean_1, value=-1).mul_(inverse_1)
        return x_gradient_D, weight_gradient_D, None


def _is_fp32_on_cpu(x_D: torch.Tensor) -> bool:
    return x_D.is_cpu and x_D.dtype is torch.float32


def _inverse(x_D: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
    """What each row is multiplied by, `[..., 1]`: `eps + norm^2 / D` in one step, whose scalars need no tensors made."""
    norm_1 = torch.linalg.vector_norm(x_D, dim=-1, keepdim=True)
    return torch.addcmul(eps, norm_1, norm_1, value=1 / x_D.shape[-1]).rsqrt_()
