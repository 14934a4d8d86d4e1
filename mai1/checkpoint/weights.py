"""Model files: the weights as Hugging Face safetensors shards, written by the ranks that hold them, read by any."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from mai1.checkpoint.commit import write_json, write_tensors
from mai1.checkpoint.names import TensorName, local_tensors, tensor_names
from mai1.model.transformer import ModelConfig, MoETransformer

INDEX = "model.safetensors.index.json"


@dataclass(slots=True)
class ModelFile:
    """One safetensors file of the model, and which rank writes it."""

    file: str
    writer: int
    tensors: list[TensorName]


def plan_model_files(
    config: ModelConfig, *, expert_parallel: int, max_bytes: int, bytes_per_element: int
) -> list[ModelFile]:
    """Which rank writes which tensors to which file: the same answer on every rank, without asking.

    Rank r of the first expert-parallel group writes its experts; rank 0 also everything else.
    """
    experts_per_rank = config.moe.num_experts // expert_parallel
    by_writer: list[list[TensorName]] = [[] for _ in range(expert_parallel)]
    for tensor in tensor_names(config):
        expert = _expert_of(tensor)
        by_writer[0 if expert is None else expert // experts_per_rank].append(tensor)
    chunks = [
        (writer, chunk)
        for writer, tensors in enumerate(by_writer)
        for chunk in _split_by_bytes(tensors, max_bytes=max_bytes, bytes_per_element=bytes_per_element)
    ]
    return [
        ModelFile(f"model-{number:05d}-of-{len(chunks):05d}.safetensors", writer, tensors)
        for number, (writer, tensors) in enumerate(chunks, start=1)
    ]


def write_weights(stage: Path, model: MoETransformer, plan: list[ModelFile], *, rank: int) -> list[Path]:
    """Write this rank's files of the plan, and on rank 0 the index; returns the paths, fsynced."""
    local, written = local_tensors(model), []
    for entry in plan:
        if entry.writer != rank:
            continue
        tensors = {t.hf_name: _cut(local[t.name], t).detach().cpu().contiguous() for t in entry.tensors}
        # safetensors refuses two names for one memory
        tensors |= {t.hf_name: tensors[t.hf_name].clone() for t in entry.tensors if t.is_repeated}
        write_tensors(stage / entry.file, tensors)
        written.append(stage / entry.file)
    if rank == 0:
        weight_map = {tensor.hf_name: entry.file for entry in plan for tensor in entry.tensors}
        total = sum(tensor.numel for entry in plan for tensor in entry.tensors if not tensor.is_repeated)
        write_json(stage / INDEX, {"metadata": {"total_parameters": total}, "weight_map": weight_map})
        written.append(stage / INDEX)
    return written


@torch.no_grad()
def read_weights(directory: Path, model: MoETransformer) -> None:
    """Fill this rank's model from a Hugging Face directory of its family; each rank reads only its own experts."""
    where, local = _file_of_each_tensor(directory), local_tensors(model)
    wanted: dict[str, list[TensorName]] = {}
    names = tensor_names(model.config)
    for tensor in (tensor for tensor in names if not tensor.is_repeated):
        mine = local[tensor.name]
        if mine.start <= tensor.start < mine.start + mine.tensor.numel():
            if tensor.hf_name not in where:
                raise ValueError(f"{directory} has no tensor {tensor.hf_name}: its weights do not fit its config.json")
            wanted.setdefault(where[tensor.hf_name], []).append(tensor)
    for file, tensors in wanted.items():
        _read_file(directory / file, tensors, local)
    for tensor in names:
        if tensor.is_repeated and tensor.hf_name in where:
            _check_repeated(directory / where[tensor.hf_name], tensor, local)


def _check_repeated(path: Path, tensor: TensorName, local: dict) -> None:
    mine = _cut(local[tensor.name], tensor)
    with safe_open(path, framework="pt") as opened:
        found = opened.get_tensor(tensor.hf_name).to(mine)
    if not torch.equal(found, mine):
        raise ValueError(
            f"{path}: {tensor.hf_name} is another matrix than the model's own, but mai1 has one for both: to go on "
            "without multi-token prediction, set num_nextn_predict_layers to 0 in config.json"
        )


def _read_file(path: Path, tensors: list[TensorName], local: dict) -> None:
    try:
        with safe_open(path, framework="pt") as opened:
            for tensor in tensors:
                found = opened.get_tensor(tensor.hf_name)
                if tuple(found.shape) != tensor.shape:
                    raise ValueError(
                        f"{path}: {tensor.hf_name} has shape {tuple(found.shape)} instead of {tensor.shape}"
                    )
                _cut(local[tensor.name], tensor).copy_(found)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be read as safetensors ({error}): use another checkpoint") from None


def _file_of_each_tensor(directory: Path) -> dict[str, str]:
    index, single = directory / INDEX, directory / "model.safetensors"
    try:
        if index.is_file():
            where = json.loads(index.read_bytes())["weight_map"]
        else:
            with safe_open(single, framework="pt") as opened:
                where = dict.fromkeys(opened.keys(), single.name)
    except (OSError, SafetensorError, json.JSONDecodeError, UnicodeDecodeError, KeyError) as error:
        raise ValueError(f"{directory} has no readable {INDEX} or model.safetensors ({error})") from None
    for file in set(where.values()):
        if Path(file).name != file:
            raise ValueError(f"{index}: {file!r} is not a plain file name")
    return where


def _cut(mine, tensor: TensorName) -> torch.Tensor:
    """The view of a local tensor that one Hugging Face tensor equals."""
    return mine.tensor.view(-1).narrow(0, tensor.start - mine.start, tensor.numel).view(tensor.shape)


def _expert_of(tensor: TensorName) -> int | None:
    parts = tensor.hf_name.split(".")
    return int(parts[parts.index("experts") + 1]) if "experts" in parts else None


def _split_by_bytes(tensors: list[TensorName], *, max_bytes: int, bytes_per_element: int) -> list[list[TensorName]]:
    chunks, size = [[]], 0
    for tensor in tensors:
        tensor_bytes = tensor.numel * bytes_per_element
        if chunks[-1] and size + tensor_bytes > max_bytes:
            chunks.append([])
            size = 0
        chunks[-1].append(tensor)
        size += tensor_bytes
    return chunks
