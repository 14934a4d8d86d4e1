"""Which rank writes which Hugging Face tensors to which file: the same answer on every rank, from who holds what.

A tensor's holders are all ranks whose model has its layer and, for an expert's, that expert. Tensors with the same holders
go to files together, and those files to their holders by turns, so that replicas share the work.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from mai1.checkpoint.names import TensorName, local_tensors, num_held_experts, tensor_names
from mai1.model.transformer import ModelConfig, MoETransformer


@dataclass(slots=True)
class ModelFile:
    """One safetensors file of the model, and which rank writes it."""

    file: str
    writer: int
    tensors: list[TensorName]


@dataclass(frozen=True, slots=True)
class Holding:
    """What a rank's model has: parts such as `embedding` and `layers.3`, and a range of every layer's experts."""

    parts: tuple[str, ...]
    first_expert: int
    num_experts: int

    def has(self, part: str, expert: int | None) -> bool:
        """Whether a tensor of this part, or of this expert in it, is here."""
        is_here = expert is None or 0 <= expert - self.first_expert < self.num_experts
        return is_here and part in self.parts


def holding_all(config: ModelConfig) -> Holding:
    """A rank that has the whole model."""
    return Holding(tuple(sorted({_part_of(tensor.name) for tensor in tensor_names(config)})), 0, config.moe.num_experts)


def holding_of(model: MoETransformer) -> Holding:
    """What this rank's model has."""
    local, num_experts = local_tensors(model), model.config.moe.num_experts
    first, count = 0, num_experts
    for layer in model.moe_layers().values():
        first, count = layer.experts.first_expert, num_held_experts(layer)
    return Holding(tuple(sorted({_part_of(name) for name in local})), first, count)


def plan_model_files(
    config: ModelConfig, holdings: list[Holding], *, max_bytes: int, bytes_per_element: int
) -> list[ModelFile]:
    """Files of at most `max_bytes`, unless one tensor is larger; `holdings` are those of all ranks, in rank order."""
    ranks_of: dict[Holding, list[int]] = {}
    for rank, holding in enumerate(holdings):
        ranks_of.setdefault(holding, []).append(rank)
    kinds_of_rank = list(ranks_of.items())
    holders_of: dict[tuple, tuple[int, ...]] = {}
    by_holders: dict[tuple[int, ...], list[TensorName]] = {}
    for tensor in tensor_names(config):
        kind = (_part_of(tensor.name), tensor.expert)
        if kind not in holders_of:
            found = [number for number, (holding, _) in enumerate(kinds_of_rank) if holding.has(*kind)]
            assert found, f"no rank has {tensor.name}"
            holders_of[kind] = tuple(found)
        by_holders.setdefault(holders_of[kind], []).append(tensor)
    chunks = []
    for found, tensors in by_holders.items():
        holders = sorted(rank for number in found for rank in kinds_of_rank[number][1])
        for number, chunk in enumerate(_split_by_bytes(tensors, max_bytes, bytes_per_element)):
            chunks.append((holders[number % len(holders)], chunk))
    return [
        ModelFile(f"model-{number:05d}-of-{len(chunks):05d}.safetensors", writer, tensors)
        for number, (writer, tensors) in enumerate(chunks, start=1)
    ]


def index_of(plan: list[ModelFile]) -> dict:
    """The content of model.safetensors.index.json."""
    weight_map = {tensor.hf_name: entry.file for entry in plan for tensor in entry.tensors}
    total = sum(tensor.numel for entry in plan for tensor in entry.tensors if not tensor.is_repeated)
    return {"metadata": {"total_parameters": total}, "weight_map": weight_map}


def _part_of(name: str) -> str:
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] in ("layers", "mtp") else parts[0]


def _split_by_bytes(tensors: Iterable[TensorName], max_bytes: int, bytes_per_element: int) -> list[list[TensorName]]:
    chunks, size = [[]], 0
    for tensor in tensors:
        tensor_bytes = tensor.numel * bytes_per_element
        if chunks[-1] and size + tensor_bytes > max_bytes:
            chunks.append([])
            size = 0
        chunks[-1].append(tensor)
        size += tensor_bytes
    return chunks
