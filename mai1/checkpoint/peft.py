"""`adapter/` of a checkpoint: the adapters as the PEFT library has them (0.21, `LoraConfig.target_parameters`).

PEFT adapts modules by their names, and parameters by wrapping their module once for each: the outermost wrapper is of the
last parameter. All but attention goes by parameters, because PEFT takes a module `gate_proj` for a part of the experts. Of
E experts it has one A `[E * rank, in]` and one B `[out, rank * E]`, in which the experts' columns take turns.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from mai1.checkpoint.names import TensorName, logical_shapes, tensor_names
from mai1.checkpoint.optimizer_state import MASTER, StateReader
from mai1.checkpoint.tensor_file import TensorSpec, write_json, write_tensors
from mai1.model.lora import A_SUFFIX, B_SUFFIX, LoraConfig, LoraScaling, factor_shapes
from mai1.model.transformer import ModelConfig

FOLDER = "adapter"


@dataclass(slots=True)
class PeftTensor:
    """One tensor of adapter_model.safetensors, and how it is made of one of ours."""

    source: str
    source_shape: tuple[int, ...]
    shape: tuple[int, ...]
    convert: Callable[[torch.Tensor], torch.Tensor] = lambda whole: whole


def write_adapter(reader: StateReader, adapted: set[str], config: ModelConfig, lora: LoraConfig) -> dict[str, dict]:
    """Write the adapters that all ranks have written to a stage once more, in PEFT's format; returns the files' facts.

    `reader` reads the stage; `adapted` holds the names of the factors there are. Blocks for further tokens are left out, as
    runtimes do. Nothing is written where more than adapters is trained.
    """
    if lora.trained_whole:
        return {}
    stage, tensors = reader.directory, peft_tensors(config, lora, adapted)
    (stage / FOLDER).mkdir()

    def read(name: str) -> torch.Tensor:
        whole = torch.empty(tensors[name].source_shape)
        reader.read(MASTER, tensors[name].source, 0, whole.view(-1))
        return tensors[name].convert(whole).contiguous()

    specs = {name: TensorSpec(torch.float32, tensor.shape) for name, tensor in tensors.items()}
    weights, settings = f"{FOLDER}/adapter_model.safetensors", f"{FOLDER}/adapter_config.json"
    return {
        weights: write_tensors(stage / weights, specs, read),
        settings: write_json(stage / settings, peft_config(tensors, lora)),
    }


def peft_config(tensors: dict[str, PeftTensor], lora: LoraConfig) -> dict:
    """adapter_config.json; the base model's path is left to whoever loads it."""
    paths = {name.split(".lora_")[0] for name in tensors}
    modules = {path.rpartition(".")[2] for path in paths if ".self_attn." in path}
    parameters = {
        f"mlp.{path.partition('.mlp.')[2]}.weight" for path in paths if ".mlp." in path and ".experts" not in path
    }
    has_experts = any(path.endswith(".experts") for path in paths)
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "use_rslora": lora.scaling is LoraScaling.rank_stabilized,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted(modules),
        "target_parameters": sorted(parameters) + ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"] * has_experts,
    }


def peft_tensors(config: ModelConfig, lora: LoraConfig, adapted: set[str]) -> dict[str, PeftTensor]:
    """By PEFT's name, of the blocks that runtimes have; `adapted` holds the names of the factors there are."""
    shapes, found = logical_shapes(config), {}
    for tensor in tensor_names(config):
        if tensor.name + A_SUFFIX not in adapted or not tensor.name.startswith("layers."):
            continue
        shape_of_a, shape_of_b = factor_shapes(shapes[tensor.name], rank=lora.rank)
        a, b = (tensor.name + A_SUFFIX, shape_of_a), (tensor.name + B_SUFFIX, shape_of_b)
        parts = _of_experts(tensor, a, b) if len(shape_of_a) == 3 else _of_module(tensor, a, b)
        found |= {f"base_model.model.{name}.weight": part for name, part in parts}
    return found


def _of_module(tensor: TensorName, a: tuple, b: tuple) -> Iterator[tuple[str, PeftTensor]]:
    """A matrix by itself, or a part of a fused one, which has the whole's A and some rows of its B."""
    prefix = tensor.hf_name.removesuffix(".weight").replace(".block_sparse_moe.", ".mlp.")
    first, (rows, rank) = tensor.start // tensor.shape[1], (tensor.shape[0], b[1][1])
    yield f"{prefix}.lora_A", PeftTensor(*a, a[1])
    yield f"{prefix}.lora_B", PeftTensor(*b, (rows, rank), lambda whole: whole[first : first + rows])


def _of_experts(tensor: TensorName, a: tuple, b: tuple) -> Iterator[tuple[str, PeftTensor]]:
    """All experts of a layer; the same for each of them."""
    layer = ".".join(tensor.hf_name.split(".")[:3])
    prefix = f"{layer}.mlp.experts" + (".base_layer" if tensor.name.endswith("gate_up") else "")
    num_experts, rank, width_in = a[1]
    yield f"{prefix}.lora_A", PeftTensor(*a, (num_experts * rank, width_in), lambda whole: whole.flatten(0, 1))
    yield (
        f"{prefix}.lora_B",
        PeftTensor(*b, (b[1][1], rank * num_experts), lambda whole: whole.permute(1, 2, 0).flatten(1)),
    )
