"""AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2) and the parameter groups of every optimizer."""

from collections.abc import Iterable

import torch

from mai1.optim.config import Method, OptimConfig


def parameter_groups(named_parameters: Iterable[tuple[str, torch.nn.Parameter]], config: OptimConfig) -> list[dict]:
    """Matrices by the configured method and with weight decay; norms and embeddings by AdamW and without.

    Every group has a unique `name`, and its `method`.
    """
    matrices, others = [], []
    for name, parameter in named_parameters:
        if parameter.requires_grad:
            is_plain = parameter.dim() == 1 or name in ("embedding.weight", "unembedding.weight")
            (others if is_plain else matrices).append(parameter)
    groups = [
        {"name": "decayed", "params": matrices, "weight_decay": config.weight_decay, "method": config.method},
        {"name": "undecayed", "params": others, "weight_decay": 0.0, "method": Method.adamw},
    ]
    return [group for group in groups if group["params"]]


def build_adamw(groups: list[dict], config: OptimConfig) -> torch.optim.Optimizer:
    """torch's fused AdamW over the groups: no extension to compile, on CPU and GPU."""
    betas = (config.beta1, config.beta2)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=betas, eps=config.eps, fused=True)
