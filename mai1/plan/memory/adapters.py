"""Adapters (LoRA) among the parameters of a rank: what is frozen, and the factors beside it, as `mai1.model.adapt` makes them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mai1.model.attention import AttentionKind
from mai1.model.lora import A_SUFFIX, B_SUFFIX, LoraConfig, LoraTarget, WholePart, factor_shapes
from mai1.model.transformer import ModelConfig
from mai1.plan.layout import Layout
from mai1.plan.memory.activations import Kept, Microbatch
from mai1.plan.memory.held import UNDECAYED, HeldTensor


def adapted(tensors: Iterable[HeldTensor], lora: LoraConfig) -> Iterator[HeldTensor]:
    """The parameters of a model with adapters, in its order: both factors stand behind their module's weights."""
    factors: list[HeldTensor] = []
    for tensor in tensors:
        yield replace(tensor, is_trained=_is_trained_whole(tensor, lora))
        if target_of(tensor) in lora.targets:
            shapes = factor_shapes(tensor.shape, rank=lora.rank)
            pairs = zip((A_SUFFIX, B_SUFFIX), shapes, strict=True)
            factors += [HeldTensor(tensor.name + suffix, shape) for suffix, shape in pairs]
        if not tensor.name.endswith("experts.gate_up"):
            yield from factors
            factors = []


def target_of(tensor: HeldTensor) -> LoraTarget | None:
    """What of the model a matrix belongs to, as adapters know it."""
    if len(tensor.shape) == 1:
        return None
    if ".attention." in tensor.name:
        return LoraTarget.attention
    if ".ffn." not in tensor.name:
        return None
    if tensor.is_expert:
        return LoraTarget.experts
    return LoraTarget.router if ".router." in tensor.name else LoraTarget.dense


def with_adapters(keeps: Kept, model: ModelConfig, layout: Layout, microbatch: Microbatch, lora: LoraConfig) -> Kept:
    """What a block keeps with adapters: besides, `rank` channels behind every factor A.

    That frozen matrices without adapters need not keep what they read is left out: a little more is counted than there is.
    """
    channels = lora.rank * layout.format.stored_bytes
    num = {target: 0 for target in LoraTarget}
    num[LoraTarget.attention] = 4
    if model.attention.kind is AttentionKind.latent:
        num[LoraTarget.attention] += bool(model.attention.query_rank)
    num[LoraTarget.dense] = 2 if keeps.dense else 0
    num[LoraTarget.router], num[LoraTarget.experts] = int(keeps.router > 0), 2 * int(keeps.router > 0)
    of_token = {target: num[target] * channels * (target in lora.targets) for target in LoraTarget}
    rows = min(microbatch.rows, microbatch.rows_at_once) * of_token[LoraTarget.experts]
    return replace(
        keeps,
        attention=keeps.attention + microbatch.tokens * of_token[LoraTarget.attention],
        dense=keeps.dense + microbatch.tokens * of_token[LoraTarget.dense],
        router=keeps.router + microbatch.tokens * of_token[LoraTarget.router],
        routed=keeps.routed + (0 if microbatch.has_trips else rows),
        again=keeps.again + (rows if microbatch.has_trips else 0),
    )


def _is_trained_whole(tensor: HeldTensor, lora: LoraConfig) -> bool:
    parts = {
        WholePart.router: target_of(tensor) is LoraTarget.router,
        WholePart.norms: len(tensor.shape) == 1,
        WholePart.embeddings: tensor.name in UNDECAYED,
    }
    return any(parts[part] for part in lora.trained_whole)
