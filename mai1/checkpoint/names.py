"""Our tensors <-> Hugging Face tensors: each of theirs is one contiguous range of one of ours.

With expert parallelism a rank's parameter is itself a contiguous range of the logical tensor `[all experts, ...]`, and so
is a ZeRO partition of it: every piece of state is (logical name, start, count), whatever the topology.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from mai1.checkpoint.families import Family, family_of
from mai1.model.moe.experts import Experts
from mai1.model.transformer import ModelConfig, MoETransformer


@dataclass(frozen=True, slots=True)
class TensorName:
    """One Hugging Face tensor and the range of our flat logical tensor it equals."""

    hf_name: str
    shape: tuple[int, ...]
    name: str
    start: int

    @property
    def numel(self) -> int:
        return math.prod(self.shape)


@dataclass(slots=True)
class LocalTensor:
    """A parameter or buffer of this rank and where it lies in the logical tensor of that name."""

    name: str
    tensor: torch.Tensor
    start: int


def local_tensors(model: MoETransformer) -> dict[str, LocalTensor]:
    """All persistent state of this rank's model by logical name, experts with their place among all experts."""
    expert_modules = {name: m for name, m in model.named_modules() if isinstance(m, Experts)}
    found = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        module = expert_modules.get(name.rpartition(".")[0])
        start = module.first_expert * tensor[0].numel() if module else 0
        found[name] = LocalTensor(name, tensor.data if isinstance(tensor, nn.Parameter) else tensor, start)
    return found


def tensor_names(config: ModelConfig) -> list[TensorName]:
    """Every tensor of the Hugging Face model, in its usual order."""
    names = _Names(config)
    names.add("model.embed_tokens.weight", (config.vocab_size, config.d_model), "embedding.weight")
    for layer in range(config.num_layers):
        _add_attention(names, config, layer)
        if layer < config.num_dense_layers:
            names.add_swiglu(f"model.layers.{layer}.mlp", f"layers.{layer}.ffn", width=config.dense_width)
        else:
            _add_moe(names, config, layer)
    names.add("model.norm.weight", (config.d_model,), "final_norm.weight")
    if not config.tie_embeddings:
        names.add("lm_head.weight", (config.vocab_size, config.d_model), "unembedding.weight")
    return names.found


class _Names:
    def __init__(self, config: ModelConfig) -> None:
        self.d_model, self.found = config.d_model, []

    def add(self, hf_name: str, shape: tuple[int, ...], name: str, start: int = 0) -> None:
        self.found.append(TensorName(hf_name, shape, name, start))

    def add_swiglu(self, hf_prefix: str, prefix: str, *, width: int) -> None:
        size = width * self.d_model
        self.add(f"{hf_prefix}.gate_proj.weight", (width, self.d_model), f"{prefix}.gate_up.weight")
        self.add(f"{hf_prefix}.up_proj.weight", (width, self.d_model), f"{prefix}.gate_up.weight", size)
        self.add(f"{hf_prefix}.down_proj.weight", (self.d_model, width), f"{prefix}.down.weight")


def _add_attention(names: _Names, config: ModelConfig, layer: int) -> None:
    hf, ours, attention, d_model = f"model.layers.{layer}", f"layers.{layer}", config.attention, config.d_model
    query_width, kv_width = attention.num_heads * attention.head_dim, attention.num_kv_heads * attention.head_dim
    names.add(f"{hf}.input_layernorm.weight", (d_model,), f"{ours}.attention_norm.weight")
    names.add(f"{hf}.self_attn.q_proj.weight", (query_width, d_model), f"{ours}.attention.query.weight")
    names.add(f"{hf}.self_attn.k_proj.weight", (kv_width, d_model), f"{ours}.attention.key.weight")
    names.add(f"{hf}.self_attn.v_proj.weight", (kv_width, d_model), f"{ours}.attention.value.weight")
    names.add(f"{hf}.self_attn.o_proj.weight", (d_model, query_width), f"{ours}.attention.output.weight")
    if attention.qk_norm.value != "none":
        is_head = attention.qk_norm.value == "head"
        query_norm, key_norm = (attention.head_dim,) * 2 if is_head else (query_width, kv_width)
        names.add(f"{hf}.self_attn.q_norm.weight", (query_norm,), f"{ours}.attention.query_norm.weight")
        names.add(f"{hf}.self_attn.k_norm.weight", (key_norm,), f"{ours}.attention.key_norm.weight")
    names.add(f"{hf}.post_attention_layernorm.weight", (d_model,), f"{ours}.ffn_norm.weight")


def _add_moe(names: _Names, config: ModelConfig, layer: int) -> None:
    family, moe, d_model = family_of(config), config.moe, config.d_model
    is_mixtral = family is Family.mixtral
    hf = f"model.layers.{layer}." + ("block_sparse_moe" if is_mixtral else "mlp")
    ours = f"layers.{layer}.ffn"
    names.add(f"{hf}.gate.weight", (moe.num_experts, d_model), f"{ours}.router.weight")
    if family is Family.glm4_moe:
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
