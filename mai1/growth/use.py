"""Which experts a text uses, and what the routers see of it: measured before experts are added or dropped.

Legend: N tokens, D width, E experts, K choices per token.
"""

import sys
from collections.abc import Callable

import torch
from torch import nn
from tqdm import tqdm

from mai1.model.transformer import MoETransformer


@torch.no_grad()
def measure_use(model: MoETransformer, rows: list[list[int]]) -> dict[int, list[int]]:
    """Of each MoE layer, how many choices of the rows' tokens fell on each expert; the model is in evaluation mode."""
    counts: dict[int, torch.Tensor] = {}
    for row in tqdm(rows, desc="measuring use", unit="row", delay=2.0, leave=False, file=sys.stderr):
        for layer, routing in model(torch.tensor([row])).routings.items():
            counts[layer] = counts.get(layer, 0) + routing.tokens_per_expert_E
    return {layer: found_E.tolist() for layer, found_E in counts.items()}


@torch.no_grad()
def router_inputs(model: MoETransformer, rows: list[list[int]]) -> dict[int, torch.Tensor]:
    """Of each MoE layer, what its router was given: fp32 `[N, D]`."""
    seen: dict[int, list[torch.Tensor]] = {}
    handles = [
        moe.router.register_forward_pre_hook(_keeps(seen.setdefault(layer, [])))
        for layer, moe in model.moe_layers().items()
    ]
    try:
        for row in tqdm(rows, desc="reading", unit="row", delay=2.0, leave=False, file=sys.stderr):
            model(torch.tensor([row]))
    finally:
        for handle in handles:
            handle.remove()
    return {layer: torch.cat(parts) for layer, parts in seen.items() if parts}


def _keeps(found: list[torch.Tensor]) -> Callable[[nn.Module, tuple], None]:
    def keep(_: nn.Module, inputs: tuple) -> None:
        found.append(inputs[0].float())

    return keep


def most_used(counts: list[int], number: int) -> list[int]:
    """Ids of the experts of most choices, the most used first; of equal ones the lower id."""
    return sorted(range(len(counts)), key=lambda expert: (-counts[expert], expert))[:number]
