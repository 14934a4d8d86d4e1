"""Our tensors <-> Hugging Face tensors: each of theirs is one contiguous range of one of ours.

With expert parallelism a rank's parameter is itself a contiguous range of the logical tensor `[all experts, ...]`, and so
is a ZeRO partition of it: every piece of state is (logical name, start, count), whatever the topology.
"""

import math
from dataclasses import dataclass

import torch.distributed as dist

from mai1.checkpoint.families import SIGMOID_FAMILIES, Family, family_of
from mai1.model.attention import AttentionConfig, AttentionKind, QKNorm
from mai1.model.lora import A_SUFFIX, adapted_by, factor_shapes, is_factor
from mai1.model.moe.layer import MoELayer
from mai1.model.transformer import ModelConfig, MoETransformer


@dataclass(frozen=True, slots=True)
class TensorName:
    """One Hugging Face tensor and the range of our flat logical tensor it equals."""

    hf_name: str
    shape: tuple[int, ...]
    name: str
    start: int
    is_repeated: bool = False
    """Stands elsewhere already and is written once more, for runtimes that look for it here."""

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def expert(self) -> int | None:
        """Which routed expert of its layer it belongs to."""
        _, _, after = self.hf_name.partition(".experts.")
        return int(after.partition(".")[0]) if after else None


@dataclass(frozen=True, slots=True)
class LocalTensor:
    """A parameter or buffer of this rank, whole, and where it lies in the flat logical tensor of that name."""

    name: str
    start: int
    shape: tuple[int, ...]

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def end(self) -> int:
        return self.start + self.numel


def local_tensors(model: MoETransformer) -> dict[str, LocalTensor]:
    """All persistent state of this rank's model by logical name, adapters too, experts with their place among all experts.

    Worked out from the configuration, because under ZeRO-3 a parameter's own storage is empty.
    """
    shapes = logical_shapes(model.config)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, MoELayer)}
    found = {}
    for name in model.state_dict(keep_vars=True):
        layer, start = layers.get(name.rpartition(".experts.")[0]), 0
        shape = shapes[name] if not is_factor(name) else _factor_shape(name, shapes, rank=model.lora.rank)
        if layer is not None:
            start = layer.experts.first_expert * math.prod(shape[1:])
            shape = (num_held_experts(layer), *shape[1:])
        found[name] = LocalTensor(name, start, shape)
    return found


def _factor_shape(name: str, shapes: dict[str, tuple[int, ...]], *, rank: int) -> tuple[int, ...]:
    shape_of_a, shape_of_b = factor_shapes(shapes[adapted_by(name)], rank=rank)
    return shape_of_a if name.endswith(A_SUFFIX) else shape_of_b


def num_held_experts(layer: MoELayer) -> int:
    """Routed experts of a layer that this rank has."""
    return layer.num_experts // (dist.get_world_size(layer.expert_group) if layer.expert_group is not None else 1)


def logical_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor of the whole model by our name, experts `[all experts, ...]`."""
    rows: dict[str, int] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for tensor in tensor_names(config):
        if not tensor.is_repeated:  # those of one name are stacked along their first dimension
            rows[tensor.name] = rows.get(tensor.name, 0) + tensor.shape[0]
            shapes[tensor.name] = (rows[tensor.name], *tensor.shape[1:])
    for name, (num_rows, *rest) in shapes.items():
        if ".experts." in name:
            shapes[name] = (config.moe.num_experts, num_rows // config.moe.num_experts, *rest)
    return shapes


def tensor_names(config: ModelConfig) -> list[TensorName]:
    """Every tensor of the Hugging Face model, in its usual order."""
    names = _Names(config)
    names.add("model.embed_tokens.weight", (config.vocab_size, config.d_model), "embedding.weight")
    for layer in range(config.num_layers):
        _add_block(names, config, layer, f"layers.{layer}")
    names.add("model.norm.weight", (config.d_model,), "final_norm.weight")
    if not config.tie_embeddings:
        names.add("lm_head.weight", (config.vocab_size, config.d_model), "unembedding.weight")
    for i in range(config.num_mtp_layers):
        _add_further_prediction(names, config, config.num_layers + i, f"mtp.{i}")
    return names.found


class _Names:
    def __init__(self, config: ModelConfig) -> None:
        self.d_model, self.found = config.d_model, []

    def add(
        self, hf_name: str, shape: tuple[int, ...], name: str, start: int = 0, *, is_repeated: bool = False
    ) -> None:
        self.found.append(TensorName(hf_name, shape, name, start, is_repeated))

    def add_swiglu(self, hf_prefix: str, prefix: str, *, width: int) -> None:
        size = width * self.d_model
        self.add(f"{hf_prefix}.gate_proj.weight", (width, self.d_model), f"{prefix}.gate_up.weight")
        self.add(f"{hf_prefix}.up_proj.weight", (width, self.d_model), f"{prefix}.gate_up.weight", size)
        self.add(f"{hf_prefix}.down_proj.weight", (self.d_model, width), f"{prefix}.down.weight")


def _add_further_prediction(names: _Names, config: ModelConfig, layer: int, ours: str) -> None:
    """The layout of DeepSeek-V3 and GLM-4.5: a block behind the last one; vLLM needs both shared matrices there again."""
    hf, d_model, matrix = f"model.layers.{layer}", config.d_model, (config.vocab_size, config.d_model)
    names.add(f"{hf}.embed_tokens.weight", matrix, "embedding.weight", is_repeated=True)
    names.add(f"{hf}.enorm.weight", (d_model,), f"{ours}.embedding_norm.weight")
    names.add(f"{hf}.hnorm.weight", (d_model,), f"{ours}.hidden_norm.weight")
    names.add(f"{hf}.eh_proj.weight", (d_model, 2 * d_model), f"{ours}.merge.weight")
    _add_block(names, config, layer, f"{ours}.block")
    names.add(f"{hf}.shared_head.norm.weight", (d_model,), f"{ours}.final_norm.weight")
    unembedding = "embedding.weight" if config.tie_embeddings else "unembedding.weight"
    names.add(f"{hf}.shared_head.head.weight", matrix, unembedding, is_repeated=True)


def _add_block(names: _Names, config: ModelConfig, layer: int, ours: str) -> None:
    _add_attention(names, config, layer, ours)
    if layer < config.num_dense_layers:
        names.add_swiglu(f"model.layers.{layer}.mlp", f"{ours}.ffn", width=config.dense_width)
    else:
        _add_moe(names, config, layer, f"{ours}.ffn")


def _add_attention(names: _Names, config: ModelConfig, layer: int, ours: str) -> None:
    hf, attention = f"model.layers.{layer}", config.attention
    names.add(f"{hf}.input_layernorm.weight", (config.d_model,), f"{ours}.attention_norm.weight")
    shapes = _latent_shapes if attention.kind is AttentionKind.latent else _grouped_shapes
    for hf_name, (name, shape) in shapes(attention, config.d_model).items():
        names.add(f"{hf}.self_attn.{hf_name}.weight", shape, f"{ours}.attention.{name}.weight")
    names.add(f"{hf}.post_attention_layernorm.weight", (config.d_model,), f"{ours}.ffn_norm.weight")


def _grouped_shapes(attention: AttentionConfig, d_model: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Their name -> our name and the shape."""
    query_width, kv_width = attention.num_heads * attention.head_dim, attention.num_kv_heads * attention.head_dim
    shapes = {
        "q_proj": ("query", (query_width, d_model)),
        "k_proj": ("key", (kv_width, d_model)),
        "v_proj": ("value", (kv_width, d_model)),
        "o_proj": ("output", (d_model, query_width)),
    }
    if attention.qk_norm is not QKNorm.none:
        is_head = attention.qk_norm is QKNorm.head
        shapes["q_norm"] = ("query_norm", (attention.head_dim if is_head else query_width,))
        shapes["k_norm"] = ("key_norm", (attention.head_dim if is_head else kv_width,))
    return shapes


def _latent_shapes(attention: AttentionConfig, d_model: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Their name -> our name and the shape."""
    heads, query_rank, kv_rank = attention.num_heads, attention.query_rank, attention.kv_rank
    shapes = {"q_proj": ("query", (heads * attention.key_dim, d_model))}
    if query_rank:
        shapes = {
            "q_a_proj": ("query_down", (query_rank, d_model)),
            "q_a_layernorm": ("query_norm", (query_rank,)),
            "q_b_proj": ("query", (heads * attention.key_dim, query_rank)),
        }
    return shapes | {
        "kv_a_proj_with_mqa": ("kv_down", (kv_rank + attention.rope_dim, d_model)),
        "kv_a_layernorm": ("kv_norm", (kv_rank,)),
        "kv_b_proj": ("kv_up", (heads * (attention.head_dim + attention.value_dim), kv_rank)),
        "o_proj": ("output", (d_model, heads * attention.value_dim)),
    }


def _add_moe(names: _Names, config: ModelConfig, layer: int, ours: str) -> None:
    family, moe, d_model = family_of(config), config.moe, config.d_model
    is_mixtral = family is Family.mixtral
    hf = f"model.layers.{layer}." + ("block_sparse_moe" if is_mixtral else "mlp")
    names.add(f"{hf}.gate.weight", (moe.num_experts, d_model), f"{ours}.router.weight")
    if family in SIGMOID_FAMILIES:
        names.add(f"{hf}.gate.e_score_correction_bias", (moe.num_experts,), f"{ours}.router.selection_bias")
    gate, up, down = ("w1", "w3", "w2") if is_mixtral else ("gate_proj", "up_proj", "down_proj")
    size = moe.expert_width * d_model
    for expert in range(moe.num_experts):
        prefix = f"{hf}.experts.{expert}"
        shape = (moe.expert_width, d_model)
        names.add(f"{prefix}.{gate}.weight", shape, f"{ours}.experts.gate_up", 2 * expert * size)
        names.add(f"{prefix}.{up}.weight", shape, f"{ours}.experts.gate_up", (2 * expert + 1) * size)
        names.add(f"{prefix}.{down}.weight", shape[::-1], f"{ours}.experts.down", expert * size)
    if moe.num_shared_experts:
        names.add_swiglu(f"{hf}.shared_experts", f"{ours}.shared", width=moe.expert_width * moe.num_shared_experts)
