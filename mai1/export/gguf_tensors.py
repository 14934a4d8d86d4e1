"""Which tensors a GGUF file holds and of which of ours each is made; names come from the gguf package's own maps.

llama.cpp differs from Hugging Face in three places. All experts of a layer are one tensor. Its `llama` architecture, which
Mixtral is, rotates neighbouring channels instead of the two halves of a head, so rows of queries and keys change places.
DeepSeek's matrix from latents to keys and values is two, the keys' transposed (conversion/{llama,deepseek}.py of
ggml-org/llama.cpp).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import gguf
import torch

from mai1.checkpoint.families import SIGMOID_FAMILIES, Family, family_of
from mai1.checkpoint.names import TensorName, tensor_names
from mai1.model.attention import AttentionConfig
from mai1.model.latent_attention import LATENT_NORM_EPS
from mai1.model.transformer import ModelConfig

ARCHITECTURES = {
    Family.deepseek_v3: gguf.MODEL_ARCH.DEEPSEEK2,
    Family.glm4_moe: gguf.MODEL_ARCH.GLM4_MOE,
    Family.qwen3_moe: gguf.MODEL_ARCH.QWEN3MOE,
    Family.olmoe: gguf.MODEL_ARCH.OLMOE,
    Family.mixtral: gguf.MODEL_ARCH.LLAMA,
}
LITE_LAYERS = (26, 27)
"""Only models of so many layers may, to llama.cpp, make DeepSeek's queries without a latent (src/models/deepseek2.cpp)."""

Change = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """A tensor of the file: its sources, each changed, one after the other along the first dimension."""

    name: str
    shape: tuple[int, ...]
    sources: list[TensorName]
    change: Change


def gguf_tensors(config: ModelConfig) -> list[GgufTensor]:
    """Every tensor of the file in order; layers for further tokens are left out. ValueError where llama.cpp has no such model."""
    check_supported(config)
    config = replace(config, num_mtp_layers=0)
    architecture = ARCHITECTURES[family_of(config)]
    names = gguf.get_tensor_name_map(architecture, config.num_layers)
    sources: dict[str, list[TensorName]] = {}
    for tensor in tensor_names(config):
        sources.setdefault(re.sub(r"\.experts\.\d+\.", ".experts.", tensor.hf_name), []).append(tensor)
    found = [
        GgufTensor(_gguf_name(names, name), shape, parts, change)
        for merged, parts in sources.items()
        for name, shape, change in _pieces(merged, parts, config)
    ]
    if config.tie_embeddings and architecture is gguf.MODEL_ARCH.OLMOE:  # the one that looks for no tied matrix
        found.append(replace(found[0], name="output.weight"))
    return found


def check_supported(config: ModelConfig) -> None:
    """ValueError names what llama.cpp's graph of the family does not compute."""
    family, attention, moe = family_of(config), config.attention, config.moe
    refusals = {
        "model.moe.normalize_weights=true": family is Family.olmoe and moe.normalize_weights,
        "model.moe.normalize_weights=false": family is Family.qwen3_moe and not moe.normalize_weights,
        f"model.attention.num_kv_heads={attention.num_kv_heads}, fewer than num_heads={attention.num_heads},": (
            family is Family.olmoe and attention.num_kv_heads != attention.num_heads
        ),
        f"model.num_dense_layers={config.num_dense_layers}": family is Family.qwen3_moe and config.num_dense_layers > 0,
        "model.moe.num_shared_experts=0": family in SIGMOID_FAMILIES and moe.num_shared_experts == 0,
        f"model.attention.query_rank=0 with num_layers={config.num_layers}, not {' or '.join(map(str, LITE_LAYERS))},": (
            family is Family.deepseek_v3 and not attention.query_rank and config.num_layers not in LITE_LAYERS
        ),
        f"model.norm_eps={config.norm_eps}, other than the latents' {LATENT_NORM_EPS},": (
            family is Family.deepseek_v3 and config.norm_eps != LATENT_NORM_EPS
        ),
    }
    for what, is_refused in refusals.items():
        if is_refused:
            raise ValueError(
                f"{what} is nothing that llama.cpp computes for {family.value}: leave gguf out of formats, "
                "or train a model without it"
            )


def _gguf_name(names: gguf.TensorNameMap, name: str) -> str:
    found = names.get_name(name.replace("e_score_correction_bias", "e_score_correction.bias"), (".weight", ".bias"))
    assert found is not None, f"gguf has no name for {name}"
    return found


def _pieces(name: str, parts: list[TensorName], config: ModelConfig) -> Iterator[tuple[str, tuple[int, ...], Change]]:
    """What one source, or the same of all experts, becomes: name, shape and how each part is changed."""
    attention, family = config.attention, family_of(config)
    shape = parts[0].shape if parts[0].expert is None else (len(parts), *parts[0].shape)
    if name.endswith("kv_b_proj.weight"):
        heads, rank = attention.num_heads, attention.kv_rank
        yield name.replace("kv_b", "k_b"), (heads, rank, attention.head_dim), lambda value: _keys_up(value, attention)
        yield (
            name.replace("kv_b", "v_b"),
            (heads, attention.value_dim, rank),
            lambda value: _values_up(value, attention),
        )
    elif family is Family.mixtral and name.endswith(("q_proj.weight", "k_proj.weight")):
        yield name, shape, lambda value: _interleave_halves(value, attention.head_dim)
    else:
        yield name, shape, lambda value: value


def _interleave_halves(value: torch.Tensor, head_dim: int) -> torch.Tensor:
    """Rows 0, h/2, 1, h/2+1 ... of each head: the channels that turn together become neighbours."""
    return value.view(-1, 2, head_dim // 2, value.shape[-1]).transpose(1, 2).reshape(value.shape)


def _keys_up(value: torch.Tensor, attention: AttentionConfig) -> torch.Tensor:
    by_head = value.view(attention.num_heads, attention.head_dim + attention.value_dim, attention.kv_rank)
    return by_head[:, : attention.head_dim].transpose(1, 2).contiguous()


def _values_up(value: torch.Tensor, attention: AttentionConfig) -> torch.Tensor:
    by_head = value.view(attention.num_heads, attention.head_dim + attention.value_dim, attention.kv_rank)
    return by_head[:, attention.head_dim :].contiguous()
