"""A release on disk: weights alone, as a Hugging Face directory, written tensor by tensor, whole or not at all.

NAME/ config.json generation_config.json model-*.safetensors model.safetensors.index.json tokenizer files
      NAME-F16.gguf ...    README.md loss.svg proof.json
      manifest.json        every file's size and SHA-256
"""

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from pathlib import Path

import torch

from mai1.checkpoint.disk_space import check_room
from mai1.checkpoint.families import to_hf_config
from mai1.checkpoint.manifest import FORMAT, MANIFEST, VERSION, read_manifest
from mai1.checkpoint.model_plan import holding_all, plan_model_files
from mai1.checkpoint.names import TensorName
from mai1.checkpoint.saved_tensors import SavedTensors
from mai1.checkpoint.tensor_file import write_bytes, write_json
from mai1.checkpoint.weights import write_model_files
from mai1.model.transformer import ModelConfig
from mai1.tokenizer.huggingface import write_huggingface_files
from mai1.tokenizer.tokenizer import Tokenizer

EXPORTED = "exported_from"
"""The manifest's key by which a release is known."""

BIAS = ".e_score_correction_bias"
"""Stays in float32 in every type, as in transformers, which adds it to scores in float32."""

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SPARE_BYTES = 2**24
"""For the small files."""


class ReleaseDtype(Enum):
    """Type of the released weights."""

    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"

    @property
    def torch(self) -> torch.dtype:
        """As torch names it."""
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.value]


class GgufType(Enum):
    """How a GGUF file stores matrices; vectors and routers are always float32."""

    f32 = "f32"
    f16 = "f16"
    bf16 = "bf16"
    q8_0 = "q8_0"


def parse_size(text: str, *, key: str) -> int:
    """`5GB` in bytes, as Hugging Face counts them; ValueError for anything else."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?B?)", text.strip().upper())
    size = int(float(found[1]) * UNITS.get(found[2], 0)) if found else 0
    if size < 1:
        raise ValueError(f"{key}={text} must be a size: use 5GB or 500MB, for example")
    return size


def check_place(output: Path, source: Path, *, overwrite: bool) -> None:
    """ValueError where a release must not be written: beside nothing else's files, and never in or around its source."""
    if output.name in ("", ".", "..") or output.name.startswith("."):
        raise ValueError(f"output={output} must be a directory with a name of its own: use releases/NAME")
    here, there = output.resolve(), source.resolve()
    if here == there or here.is_relative_to(there) or there.is_relative_to(here):
        raise ValueError(f"output={output} must not lie in {source}, nor that in it: choose another directory")
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise ValueError(f"output={output} is no directory: choose another one")
    if output.is_dir() and any(output.iterdir()):
        if not _is_release(output):
            raise ValueError(f"output={output} holds something else than a release: choose another directory")
        if not overwrite:
            raise ValueError(f"output={output} holds a release already: choose another directory or set overwrite=true")


def check_release_room(output: Path, need: int) -> None:
    """ValueError where the disk has too little room."""
    folder = next(path for path in output.resolve().parents if path.is_dir())
    free, what = shutil.disk_usage(folder).free, f"a release in {output}"
    check_room(need + SPARE_BYTES, free, what=what, mend="free some space or choose another disk")


def released_config(config: ModelConfig, *, keeps_further_layers: bool) -> ModelConfig:
    """The model of the release: without the layers for further tokens, unless they are kept."""
    return config if keeps_further_layers else replace(config, num_mtp_layers=0)


def weights_num_bytes(config: ModelConfig, dtype: torch.dtype) -> int:
    """Bytes of all tensors."""
    plan = plan_model_files(config, [holding_all(config)], max_bytes=2**62, bytes_per_element=dtype.itemsize)
    return sum(tensor.numel * _dtype_of(tensor, dtype).itemsize for entry in plan for tensor in entry.tensors)


def reader_of(directory: Path) -> Callable[[TensorName], torch.Tensor]:
    """Reads one tensor after another of a checkpoint, the repeated ones also where the files have them once."""
    files = SavedTensors(directory)
    first = {"embedding.weight": "model.embed_tokens.weight", "unembedding.weight": "lm_head.weight"}

    def read(tensor: TensorName) -> torch.Tensor:
        if tensor.is_repeated and not files.has(tensor):
            tensor = replace(tensor, hf_name=first[tensor.name], is_repeated=False)
        return files.read(tensor)

    return read


def write_weights(
    stage: Path,
    config: ModelConfig,
    *,
    read: Callable[[TensorName], torch.Tensor],
    dtype: torch.dtype,
    max_bytes: int,
    advance: Callable[[int], object] = lambda num_bytes: None,
) -> dict[str, dict]:
    """Write the shards and their index; returns each file's facts. Memory is that of one tensor.

    ValueError for a value that the type cannot hold.
    """

    def read_rounded(tensor: TensorName) -> torch.Tensor:
        value = read(tensor)
        rounded = value.to(_dtype_of(tensor, dtype))
        if not torch.isfinite(rounded).all():
            broken = "is not finite" if not torch.isfinite(value).all() else f"does not fit {dtype}"
            raise ValueError(f"{tensor.hf_name} has a value that {broken}: use dtype=bf16 or another checkpoint")
        advance(rounded.nbytes)
        return rounded.contiguous()

    plan = plan_model_files(config, [holding_all(config)], max_bytes=max_bytes, bytes_per_element=dtype.itemsize)
    return write_model_files(stage, plan, dtype_of=lambda tensor: _dtype_of(tensor, dtype), read=read_rounded)


def write_description(
    stage: Path, config: ModelConfig, tokenizer: Tokenizer, *, dtype: torch.dtype, sampling: dict
) -> dict[str, dict]:
    """Write config.json, generation_config.json and the tokenizer's files, all made anew; returns each file's facts."""
    ids = {"end_of_text_id": tokenizer.begin_id, "stop_ids": tokenizer.stop_ids, "pad_id": tokenizer.pad_id}
    hf_config = to_hf_config(config, dtype=str(dtype).removeprefix("torch."), **ids)
    generation = {
        "bos_token_id": tokenizer.begin_id,
        "eos_token_id": tokenizer.stop_ids,
        "pad_token_id": tokenizer.pad_id,
    }
    files = {
        "config.json": write_json(stage / "config.json", hf_config),
        "generation_config.json": write_json(stage / "generation_config.json", generation | sampling),
    }
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(Path(folder))
        write_huggingface_files(tokenizer, Path(folder))
        for path in sorted(path for path in Path(folder).iterdir() if path.name not in files):
            files[path.name] = write_bytes(stage / path.name, path.read_bytes())
    return files


def release_manifest(source: Path, dtype: torch.dtype, files: dict[str, dict]) -> dict:
    """That of a checkpoint with weights alone; of where they are from it keeps the step and no path."""
    found = read_manifest(source) if (source / MANIFEST).is_file() else {}
    counts = {key: found.get(key, 0) for key in ("step", "tokens")}
    averaged = [entry.get("step") for entry in found.get("averaged_from", [])]
    return {
        "format": FORMAT,
        "version": VERSION,
        **counts,
        "heldout_loss": found.get("heldout_loss"),
        "optimizer_step": 0,
        "world_size": 1,
        "expert_parallel": 1,
        "dtype": str(dtype).removeprefix("torch."),
        EXPORTED: {"step": counts["step"], **({"mean_of_steps": averaged} if averaged else {})},
        "files": dict(sorted(files.items())),
        "optimizer": {},
    }


def _is_release(directory: Path) -> bool:
    try:
        return EXPORTED in read_manifest(directory)
    except ValueError:
        return False


def _dtype_of(tensor: TensorName, dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if tensor.hf_name.endswith(BIAS) else dtype
