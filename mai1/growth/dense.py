"""Dense models of Hugging Face as sources: their blocks are ours but for the feed-forward network."""

import json
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import torch

from mai1.checkpoint.families import Family
from mai1.checkpoint.names import TensorName, tensor_names
from mai1.checkpoint.read_config import from_hf_config
from mai1.growth.source import WEIGHT, Source
from mai1.model.ffn import SwiGLU
from mai1.model.transformer import ModelConfig, MoETransformer


class DenseFamily(Enum):
    """Values are the names in config.json's `architectures`."""

    llama = "LlamaForCausalLM"
    mistral = "MistralForCausalLM"
    qwen3 = "Qwen3ForCausalLM"


@dataclass(frozen=True, slots=True)
class Shape:
    """What the feed-forward layers of the result are to be."""

    num_experts: int
    top_k: int
    expert_width: int
    """0: as wide as the dense networks."""
    num_shared_experts: int
    dense_layers: int
    """First layers that stay dense."""
    is_sigmoid: bool
    """Sigmoid scores, which make a GLM-4-MoE; else softmax, a Mixtral or a Qwen3-MoE."""


def is_dense(hf: object) -> bool:
    """Whether a config.json is of a dense architecture that can be upcycled."""
    names = hf.get("architectures") if isinstance(hf, dict) else None
    return isinstance(names, list) and names[:1] != [] and names[0] in [family.value for family in DenseFamily]


def config_of_result(hf: dict, shape: Shape, *, where: str) -> ModelConfig:
    """The model that a dense config.json is upcycled to; whatever we cannot express is refused by name."""
    family = _family_of_result(DenseFamily(hf["architectures"][0]), shape)
    if hf.get("mlp_bias"):
        raise ValueError(f"{where}: mlp_bias=true is a feature that mai1 does not have: use another model")
    kinds, dense_width = hf.get("layer_types") or [], hf.get("intermediate_size")
    if not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds):
        raise ValueError(
            f"{where}: layer_types={str(kinds)[:80]} is a feature that mai1 does not have: use another model"
        )
    if type(dense_width) is not int:
        raise ValueError(f"{where}: intermediate_size is missing or no number: use a complete config.json")
    width = shape.expert_width or dense_width
    moe_keys = {
        "architectures": [family.value],
        "num_experts": shape.num_experts,
        "num_experts_per_tok": shape.top_k,
        "moe_intermediate_size": width,
        "norm_topk_prob": True,
        "mlp_only_layers": list(range(shape.dense_layers)),
        "first_k_dense_replace": shape.dense_layers,
        "n_shared_experts": shape.num_shared_experts,
        "partial_rotary_factor": hf.get("partial_rotary_factor", 1.0),
        "use_qk_norm": hf["architectures"][0] == DenseFamily.qwen3.value,
    }
    if family is Family.mixtral:
        if shape.dense_layers:
            raise ValueError(
                f"dense_layers={shape.dense_layers} cannot stand in a {family.value}: use 0, or scores=sigmoid"
            )
        moe_keys["intermediate_size"] = width
    heads = {"num_key_value_heads": hf.get("num_key_value_heads") or hf.get("num_attention_heads")}
    return replace(from_hf_config(hf | heads | moe_keys, where=where), dense_width=dense_width)


def dense_names(config: ModelConfig) -> list[TensorName]:
    """Every tensor of the dense source of an upcycled `config`; with `dense_width` as the source has it."""
    names = [tensor for tensor in tensor_names(config) if ".ffn." not in tensor.name]
    width, d_model = config.dense_width, config.d_model
    for layer in range(config.num_layers):
        theirs, ours = f"model.layers.{layer}.mlp", f"layers.{layer}.ffn"
        names.append(TensorName(f"{theirs}.gate_proj.weight", (width, d_model), f"{ours}.gate_up.weight", 0))
        names.append(
            TensorName(f"{theirs}.up_proj.weight", (width, d_model), f"{ours}.gate_up.weight", width * d_model)
        )
        names.append(TensorName(f"{theirs}.down_proj.weight", (d_model, width), f"{ours}.down.weight", 0))
    return names


def check_dense_described(config: ModelConfig, directory: Path) -> None:
    """ValueError for a config.json of larger matrices than its safetensors files have bytes."""
    described = config.d_model * (config.vocab_size + 3 * config.dense_width * config.num_layers)
    held = sum(path.stat().st_size for path in directory.glob("*.safetensors"))
    if described > held:
        raise ValueError(
            f"{directory / 'config.json'} describes more than {described} parameters, but its weights have {held} bytes: use "
            "another checkpoint"
        )


@torch.no_grad()
def load_dense(config: ModelConfig, source: Source) -> MoETransformer:
    """The dense model itself, fp32 on the CPU: our transformer with a plain network in every block."""
    model = MoETransformer(config)
    for block in model.layers:
        block.ffn = SwiGLU(config.d_model, width=config.dense_width)
    state = model.state_dict()
    for tensor in dense_names(config):
        flat = state[tensor.name].view(-1)
        flat[tensor.start : tensor.start + tensor.numel].copy_(
            source.read(WEIGHT, tensor.name, tensor.start, (tensor.numel,))
        )
    return model.eval()


def read_json(path: Path) -> dict:
    """A config.json; ValueError where there is none or it holds no object."""
    try:
        content = json.loads(path.read_bytes())
    except OSError:
        raise ValueError(f"{path.parent} has no config.json: it is no checkpoint") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error}): use another checkpoint") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object: use another checkpoint")
    return content


def _family_of_result(dense: DenseFamily, shape: Shape) -> Family:
    if shape.is_sigmoid:
        return Family.glm4_moe
    if shape.num_shared_experts:
        raise ValueError(
            f"shared_experts={shape.num_shared_experts} needs scores=sigmoid, because no softmax family has them"
        )
    return Family.qwen3_moe if dense is DenseFamily.qwen3 else Family.mixtral
