"""Muon: a weight matrix moves by its momentum made orthogonal (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

With gradient G, momentum M and weights W: M <- mu M + (1 - mu) G; U = (1 - mu) G + mu M (Nesterov); then
W <- W - learning_rate (weight_decay W + 0.2 sqrt(max(n, m)) polar(U)), polar(U) being U with every singular value 1. The
factor gives the update the root mean square of AdamW's, so that one learning rate serves both, and with weight decay it is
what made Muon work at scale (Liu et al. 2025, arXiv 2502.16982, §2.2 and eq. 4). As in the code they published, every matrix
moves so but embedding and unembedding; the router's is one of them.

Gradients are clipped before they enter the momentum. Fused and stacked parameters are many matrices, each on its own.
"""

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import torch

from mai1.optim.config import Method, OptimConfig

UPDATE_RMS = 0.2
"""Root mean square of an update at learning rate 1, about AdamW's (arXiv 2502.16982, §2.2)."""
SAFETY = 1.01
"""Keeps singular values that rounding pushed above 1 inside the range where the iteration converges."""
POLAR_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
)
"""Each step's polynomial a x + b x^3 + c x^5: the best there is for singular values from 0.001 to 1 (arXiv 2505.16932)."""
NO_NORM = 1e-12
"""Matrices below this Frobenius norm stay small instead of being scaled up: nearly no gradient is no direction."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Equal matrices that follow each other in one parameter."""

    count: int
    rows: int
    columns: int

    @property
    def numel(self) -> int:
        """Elements of one matrix."""
        return self.rows * self.columns


def stack_of(name: str, shape: tuple[int, ...]) -> Stack:
    """The matrices a parameter consists of: one an expert, and gate and up apart."""
    *leading, rows, columns = shape
    halves = 2 if "gate_up" in name.split(".") else 1
    return Stack(math.prod(leading) * halves, rows // halves, columns)


def orthogonalize(matrices_SNM: torch.Tensor) -> torch.Tensor:
    """Each of S matrices with all its singular values brought near 1: Polar Express (arXiv 2505.16932, algorithm 1).

    Singular values from 0.001 of the Frobenius norm on end between 0.84 and 1.13; smaller ones grow up to 970-fold. Matrices
    must be wide, N <= M; one costs 5 (4 N^2 M + 2 N^3) FLOPs. The number format is kept; 0 stays 0.
    """
    norms_S11 = torch.linalg.vector_norm(matrices_SNM, dim=(1, 2), keepdim=True, dtype=torch.float32)
    x_SNM = (matrices_SNM / (SAFETY * norms_S11).clamp(min=NO_NORM)).to(matrices_SNM.dtype)
    for a, b, c in POLAR_EXPRESS:
        a, b, c = a / SAFETY, b / SAFETY**3, c / SAFETY**5
        gram_SNN = x_SNM @ x_SNM.mT
        factor_SNN = torch.baddbmm(gram_SNN, gram_SNN, gram_SNN, beta=b, alpha=c)
        x_SNM = torch.baddbmm(x_SNM, factor_SNN, x_SNM, beta=a)
    return x_SNM


def directions(updates: list[torch.Tensor]) -> list[torch.Tensor]:
    """What each matrix moves by at learning rate 1: its update made orthogonal, with the root mean square of AdamW's.

    Matrices of equal shape, or of shapes that a transposition makes equal, are computed together.
    """
    wide = [update if update.shape[0] <= update.shape[1] else update.T for update in updates]
    places_by_shape = defaultdict(list)
    for place, matrix in enumerate(wide):
        places_by_shape[matrix.shape].append(place)
    found = list(wide)
    for shape, places in places_by_shape.items():
        stack = orthogonalize(torch.stack([wide[place] for place in places]))
        for place, matrix in zip(places, stack.mul_(UPDATE_RMS * math.sqrt(shape[1])), strict=True):
            found[place] = matrix if wide[place] is updates[place] else matrix.T
    return found


class Muon(torch.optim.AdamW):
    """Muon for the groups whose `method` says so, AdamW for the others.

    Parameters of a Muon group are flat fp32 partitions that may begin and end inside a matrix. For each, `orthogonalizers`
    holds a function that replaces, in place, the flat updates by the flat directions; it may communicate, and all ranks
    that share the matrices call it. State of such a partition: `momentum_buffer` of its shape, and `step`.
    """

    def __init__(self, groups: list[dict], config: OptimConfig) -> None:
        betas = (config.beta1, config.beta2)
        super().__init__(groups, lr=config.learning_rate, betas=betas, eps=config.eps, fused=True)
        self.momentum = config.momentum
        self.orthogonalizers: dict[torch.Tensor, Callable[[torch.Tensor], None]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """One update from the gradients, which are overwritten."""
        groups = self.param_groups
        for group in groups:
            if group["method"] is Method.muon:
                for flat in group["params"]:
                    self._move(flat, learning_rate=group["lr"], weight_decay=group["weight_decay"])
            else:
                self.param_groups = [group]
                super().step()
        self.param_groups = groups

    def _move(self, flat: torch.Tensor, *, learning_rate: float, weight_decay: float) -> None:
        state = self.state[flat]
        if not state:
            state |= {"step": torch.zeros((), device=flat.device), "momentum_buffer": torch.zeros_like(flat)}
        state["step"] += 1
        momentum = state["momentum_buffer"].lerp_(flat.grad, 1 - self.momentum)
        update = flat.grad.lerp_(momentum, self.momentum)
        self.orthogonalizers[flat](update)
        flat.mul_(1 - learning_rate * weight_decay).add_(update, alpha=-learning_rate)


def moments_of(group: dict) -> tuple[str, ...]:
    """Names of the moments the optimizer keeps of a group's parameters."""
    return ("momentum_buffer",) if group["method"] is Method.muon else ("exp_avg", "exp_avg_sq")
