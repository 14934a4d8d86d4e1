"""Turn a model into one of which only adapters are trained, before the engine takes it."""

import math
from collections.abc import Iterator

import torch
from torch import nn

from mai1.model.attention import Attention
from mai1.model.ffn import SwiGLU
from mai1.model.init import fill_stack
from mai1.model.latent_attention import LatentAttention
from mai1.model.lora import A_SUFFIX, B_SUFFIX, Linear, LoraConfig, LoraTarget, WholePart, add_factors
from mai1.model.moe.experts import Experts
from mai1.model.moe.router import Router
from mai1.model.norm import RMSNorm
from mai1.model.transformer import MoETransformer


@torch.no_grad()
def adapt(model: MoETransformer, config: LoraConfig, *, seed: int) -> None:
    """Freeze all weights but `config.trained_whole`, and give the targets adapters that change nothing yet.

    B is 0, so the model computes what it did before, to the bit. A is normal with the variance PEFT's has, 1 / (3 * in),
    drawn from (seed, name) and for experts from (seed, name, global expert id): no topology changes it.
    """
    assert model.lora is None, "a model is adapted once"
    model.lora = config
    model.requires_grad_(False)
    for part in _trained_whole(model, config):
        part.requires_grad_(True)
    for prefix, module, attribute in list(_adapted(model, config)):
        add_factors(module, attribute, config)
        factor_a, name = getattr(module, attribute + A_SUFFIX), f"{prefix}.{attribute}{A_SUFFIX}"
        first_expert = module.first_expert if isinstance(module, Experts) else None
        std = 1 / math.sqrt(3 * factor_a.shape[-1])
        fill_stack(factor_a, name, std=std, seed=seed, first_expert=first_expert)
        getattr(module, attribute + B_SUFFIX).zero_()


def _adapted(model: MoETransformer, config: LoraConfig) -> Iterator[tuple[str, nn.Module, str]]:
    """Name and module of every parameter that gets factors, and what it is called there."""
    for prefix, module in model.named_modules():
        match module:
            case Router() if LoraTarget.router in config.targets:
                yield prefix, module, "weight"
            case Experts() if LoraTarget.experts in config.targets:
                yield from ((prefix, module, name) for name in ("gate_up", "down"))
            case Attention() | LatentAttention() if LoraTarget.attention in config.targets:
                yield from _linears(prefix, module)
            case SwiGLU() if LoraTarget.dense in config.targets:
                yield from _linears(prefix, module)


def _linears(prefix: str, module: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    for name, child in module.named_children():
        if isinstance(child, Linear):
            yield f"{prefix}.{name}", child, "weight"


def _trained_whole(model: MoETransformer, config: LoraConfig) -> Iterator[nn.Module]:
    kinds = {WholePart.router: Router, WholePart.norms: RMSNorm}
    chosen = tuple(kinds[part] for part in config.trained_whole if part in kinds)
    yield from (module for module in model.modules() if isinstance(module, chosen))
    if WholePart.embeddings in config.trained_whole:
        yield from (module for module in (model.embedding, model.unembedding) if module is not None)
