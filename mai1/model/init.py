"""Initial weights drawn from names, so that they do not depend on ranks, expert parallelism or construction order."""

import hashlib
import math

import torch

from mai1.model.moe.experts import Experts
from mai1.model.transformer import MoETransformer

_RESIDUAL_OUTPUTS = ("attention.output.weight", "ffn.down.weight", "ffn.shared.down.weight", "ffn.experts.down")


@torch.no_grad()
def initialize(model: MoETransformer, *, seed: int) -> None:
    """Fill every weight: norms 1, the rest normal; what writes to the residual stream is smaller (GPT-2, §2.3).

    Each tensor has a generator of its own seeded by (seed, name), and each expert by (seed, name, global expert id).
    """
    config = model.config
    first_expert = {name: m.first_expert for name, m in model.named_modules() if isinstance(m, Experts)}
    for name, weight in model.named_parameters():
        if weight.dim() == 1:
            weight.fill_(1.0)
            continue
        is_residual_output = name.endswith(_RESIDUAL_OUTPUTS)
        std = config.init_std / math.sqrt(2 * config.num_layers) if is_residual_output else config.init_std
        fill_stack(weight, name, std=std, seed=seed, first_expert=first_expert.get(name.rpartition(".")[0]))
    for layer in model.moe_layers().values():
        if hasattr(layer.router, "selection_bias"):
            layer.router.selection_bias.zero_()


def fill_stack(weight: torch.Tensor, name: str, *, std: float, seed: int, first_expert: int | None) -> None:
    """Fill a tensor, or experts stacked in one, whose first has the given global id, with normal numbers by name."""
    if first_expert is None:
        _fill_normal(weight, name, std=std, seed=seed)
        return
    for local, expert in enumerate(weight):
        _fill_normal(expert, f"{name}:{first_expert + local}", std=std, seed=seed)


def _fill_normal(weight: torch.Tensor, name: str, *, std: float, seed: int) -> None:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    weight.copy_(torch.randn(weight.shape, generator=generator) * std)
