"""Somebody else's model as a checkpoint of ours: every tensor checked, put under its usual name and hashed, one at a time."""

import json
import math
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from mai1.checkpoint import commit
from mai1.checkpoint.described import check_described
from mai1.checkpoint.disk_space import check_room, with_spare
from mai1.checkpoint.families import Family, family_of, to_hf_config
from mai1.checkpoint.inference import MAX_CONFIG_BYTES
from mai1.checkpoint.manifest import FORMAT, MANIFEST, VERSION
from mai1.checkpoint.model_plan import holding_all, plan_model_files
from mai1.checkpoint.names import TensorName, tensor_names
from mai1.checkpoint.read_config import from_hf_config
from mai1.checkpoint.saved_tensors import SavedTensors, without_missing_prediction
from mai1.checkpoint.tensor_file import write_bytes, write_json
from mai1.checkpoint.weights import write_model_files
from mai1.given_files import read_given
from mai1.model.transformer import ModelConfig

MAX_FILE_BYTES = 2**32
BUFFERS = ("rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached")
"""What older releases of transformers saved though it follows from config.json."""
IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
PAPERS = ("LICENSE", "NOTICE", "USE_POLICY")
"""Beginnings of names of files that go with the weights."""
MAX_PAPER_BYTES = 2**20


@dataclass(slots=True)
class Imported:
    """What was found and written."""

    family: Family
    config: ModelConfig
    dtypes: dict[str, int]
    """Parameters by their type."""
    stacked: int
    """Tensors that were cut out of stacks of experts."""
    notes: list[str]
    """What a person should know."""


def import_weights(
    source: Path, output: Path, *, files: dict[str, bytes], on_tensor: Callable[[], object] = lambda: None
) -> Imported:
    """Write a Hugging Face directory of a family we know as a checkpoint; `files` are its tokenizer's.

    Memory is that of a tensor. ValueError, before anything is written, for what is missing, of another shape or type, or no
    part of the model; afterwards for a weight that is no number.
    """
    if output.exists():
        raise ValueError(f"output={output} exists: choose another directory")
    theirs, tensors = _read_config(source), SavedTensors(source)
    described = from_hf_config(theirs, where=str(source / "config.json"))
    check_described(described, source)
    config, notes = without_missing_prediction(described, tensors), []
    if config != described:
        notes.append(
            f"config.json names {described.num_mtp_layers} layers of multi-token prediction, which are not there"
        )
    wanted = [t for t in tensor_names(config) if not t.is_repeated or tensors.has(t)]
    dtypes = {tensor.hf_name: tensors.dtype_of(tensor) for tensor in wanted}
    notes += _check_nothing_is_left(tensors, wanted, config)
    main_dtype = Counter(dtypes.values()).most_common(1)[0][0]
    plan = plan_model_files(
        config, [holding_all(config)], max_bytes=MAX_FILE_BYTES, bytes_per_element=main_dtype.itemsize
    )
    _check_room(output, sum(t.numel * dtypes.get(t.hf_name, main_dtype).itemsize for t in tensor_names(config)))

    def dtype_of(tensor: TensorName) -> torch.dtype:
        return dtypes.get(tensor.hf_name) or dtypes[_original(tensor, wanted).hf_name]

    def read(tensor: TensorName) -> torch.Tensor:
        on_tensor()
        stored = tensor if tensor.hf_name in dtypes else _original(tensor, wanted)
        value = tensors.read(stored).contiguous()
        if not torch.isfinite(value).all():
            raise ValueError(
                f"{tensors.path_of(stored)}: {tensor.hf_name} holds what is no number: use another checkpoint"
            )
        return value

    stage = commit.make_stage(output)
    try:
        written = write_model_files(stage, plan, dtype_of=dtype_of, read=read)
        written |= _write_small_files(stage, source, config, theirs, files, dtype=main_dtype)
        (stage / "trainer").rmdir()
        commit.publish(stage, output, manifest=_manifest(source, theirs, written, main_dtype))
    except BaseException:
        commit.remove(stage)
        raise
    return Imported(
        family_of(config),
        config,
        _parameters_by_type(wanted, dtypes),
        sum(tensors.place_of(tensor).expert is not None for tensor in wanted),
        notes,
    )


def _check_nothing_is_left(tensors: SavedTensors, wanted: list[TensorName], config: ModelConfig) -> list[str]:
    """Every stored tensor is used to its last row, or known to follow from others."""
    used: Counter = Counter()
    for tensor in wanted:
        used[tensors.place_of(tensor).key] += tensor.numel
    notes = []
    for key in sorted(tensors.file_of):
        path = tensors.directory / tensors.file_of[key]
        if key in used:
            if (size := math.prod(tensors.shape_of(key))) != used[key]:
                raise ValueError(f"{path}: {key} has {size} numbers, of which config.json explains {used[key]}")
        elif key == "lm_head.weight" and config.tie_embeddings:
            _check_tied(tensors, path, config)
            notes.append("lm_head.weight is the embedding once more and left out")
        elif not key.endswith(BUFFERS):
            raise ValueError(
                f"{path}: {key} is nothing that mai1 has in a {family_of(config).value}: use another model"
            )
    return notes


def _check_tied(tensors: SavedTensors, path: Path, config: ModelConfig) -> None:
    shape = (config.vocab_size, config.d_model)
    head, embedding = (TensorName(n, shape, "", 0) for n in ("lm_head.weight", "model.embed_tokens.weight"))
    if not torch.equal(tensors.read(head), tensors.read(embedding)):
        raise ValueError(
            f"{path}: lm_head.weight is not the embedding, though config.json says tie_word_embeddings=true"
        )


def _original(tensor: TensorName, wanted: list[TensorName]) -> TensorName:
    """What a matrix that is written once more is a copy of."""
    return next(other for other in wanted if other.name == tensor.name and not other.is_repeated)


def _read_config(source: Path) -> dict:
    path = source / "config.json"
    if not path.exists():
        raise ValueError(f"checkpoint={source} has no config.json: name a Hugging Face model directory")
    try:
        theirs = json.loads(read_given(path, max_bytes=MAX_CONFIG_BYTES))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error}): use another checkpoint") from None
    if isinstance(theirs, dict):
        theirs.pop("auto_map", None)  # code is never followed: the stock class of the same name is what is meant
    return theirs


def _write_small_files(
    stage: Path, source: Path, config: ModelConfig, theirs: dict, files: dict[str, bytes], *, dtype: torch.dtype
) -> dict[str, dict]:
    name = str(dtype).removeprefix("torch.")
    content = to_hf_config(config, dtype=name, end_of_text_id=0, stop_ids=[0], pad_id=0)
    content |= {key: theirs.get(key) for key in IDS}
    written = {"config.json": write_json(stage / "config.json", content)}
    papers = [path for path in sorted(source.iterdir()) if _is_paper(path)]
    files = files | {path.name: read_given(path, max_bytes=MAX_PAPER_BYTES) for path in papers}
    for file, data in sorted(files.items()):
        written[file] = write_bytes(stage / file, data)
    return written


def _is_paper(path: Path) -> bool:
    return path.is_file() and path.name.upper().startswith(PAPERS) and path.stat().st_size <= MAX_PAPER_BYTES


def _manifest(source: Path, theirs: dict, written: dict[str, dict], dtype: torch.dtype) -> dict:
    return {
        "format": FORMAT,
        "version": VERSION,
        "step": 0,
        "tokens": 0,
        "heldout_loss": None,
        "optimizer_step": 0,
        "world_size": 1,
        "expert_parallel": 1,
        "dtype": str(dtype).removeprefix("torch."),
        "imported_from": {"path": str(source), "transformers": theirs.get("transformers_version")},
        "files": {name: written[name] for name in sorted(written) if name != MANIFEST},
        "optimizer": {},
    }


def _parameters_by_type(wanted: list[TensorName], dtypes: dict[str, torch.dtype]) -> dict[str, int]:
    counts: Counter = Counter()
    for tensor in wanted:
        if not tensor.is_repeated:
            counts[str(dtypes[tensor.hf_name]).removeprefix("torch.")] += tensor.numel
    return dict(counts)


def _check_room(output: Path, need: int) -> None:
    folder = next(parent for parent in (output, *output.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(folder).free
    check_room(with_spare(need), free, what=f"output={output}", mend="use another disk")
