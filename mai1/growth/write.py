"""Write a grown checkpoint: one tensor after another, staged, hashed and published as every checkpoint is.

Memory is that of a few tensors. A kill at any moment leaves a stage directory and no checkpoint.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from mai1.checkpoint import commit
from mai1.checkpoint.checkpoint import TrainerState
from mai1.checkpoint.disk_space import check_room, with_spare
from mai1.checkpoint.families import to_hf_config
from mai1.checkpoint.manifest import FORMAT, MANIFEST, VERSION
from mai1.checkpoint.model_plan import holding_all, plan_model_files
from mai1.checkpoint.names import TensorName, tensor_names
from mai1.checkpoint.pieces import key_of, optimizer_file, pieces_table
from mai1.checkpoint.tensor_file import TensorSpec, write_bytes, write_json, write_tensors
from mai1.checkpoint.weights import INDEX, write_model_files
from mai1.given_files import read_given
from mai1.growth.grown import Grown
from mai1.growth.plan import GrowthPlan

MAX_FILE_BYTES = 2**30
MAX_OTHER_BYTES = 2**27
KEPT_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
"""Of the source's config.json: the result has its tokenizer."""


def write_grown(
    grown: Grown,
    output: Path,
    *,
    source: Path,
    manifest: dict,
    state: TrainerState | None,
    finish: Callable[[Path], dict],
) -> None:
    """Write the result of a growth of the checkpoint `source` to the new directory `output`.

    `manifest` is the source's, as far as it has one. With a `state`, which is the result's, optimizer state is written too.
    `finish` gets the stage when its model is complete, and returns further entries of the manifest. ValueError when `output`
    exists or the disk has no room.
    """
    if output.exists():
        raise ValueError(f"output={output} exists: choose another directory")
    pieces = _pieces(grown) if state is not None else []
    output.parent.mkdir(parents=True, exist_ok=True)
    _check_room(output.parent, grown, pieces)
    stage = commit.make_stage(output)
    names = tensor_names(grown.plan.config)
    with tqdm(total=len(names) + len(pieces), desc="growing", unit="tensor", delay=2.0, file=sys.stderr) as bar:
        files = _write_weights(grown, stage, bar) | _write_small_files(grown.plan, stage, source)
        further = finish(stage)
        if state is None:
            (stage / "trainer").rmdir()
        else:
            files |= _write_pieces(grown, stage, pieces, bar)
            files["trainer/state.json"] = write_json(stage / "trainer" / "state.json", asdict(state))
    rows = [[kind, tensor.name, tensor.start, tensor.numel, 1, 0, 0, part] for part, kind, tensor in pieces]
    head = {"format": FORMAT, "version": VERSION, "world_size": 1, "expert_parallel": 1, "heldout_loss": None}
    head |= {"sequence_parallel": 1, "pipeline_parallel": 1}
    if state is None:
        head |= {"optimizer_step": 0}
    body = {"files": dict(sorted(files.items())), "optimizer": pieces_table(rows)}
    commit.publish(stage, output, manifest=manifest | head | further | body)


def grown_state(state: TrainerState, plan: GrowthPlan, lineage: list[dict]) -> TrainerState:
    """The trainer's state of the result: it goes on at the same step, with the load of the experts as it would have been."""
    old = dict(zip(plan.source.moe_layers, state.tokens_per_expert, strict=bool(state.tokens_per_expert)))
    load = []
    for layer in plan.config.moe_layers if state.tokens_per_expert else ():
        growth = plan.layers.get(layer)
        if growth is None:
            load.append(old[layer])
        else:
            rows = growth.rows
            load.append([1 if r.source is None else old[layer][r.source] if r.gradient_share else 0 for r in rows])
    facts = asdict(state) | {"tokens_per_expert": load, "heldout_loss": None, "lineage": lineage}
    return TrainerState(**facts)


def _write_weights(grown: Grown, stage: Path, bar: tqdm) -> dict[str, dict]:
    config = grown.plan.config

    def read(tensor: TensorName) -> torch.Tensor:
        bar.update()
        return grown.weight(tensor)

    plan = plan_model_files(config, [holding_all(config)], max_bytes=MAX_FILE_BYTES, bytes_per_element=4)
    return write_model_files(stage, plan, dtype_of=grown.dtype_of, read=read)


Piece = tuple[int, str, TensorName]
"""Which of the files of optimizer state, kind, and the range of the logical tensor."""


def _pieces(grown: Grown) -> list[Piece]:
    """Every range of optimizer state, dealt out to files of bounded size."""
    found, part, size = [], 0, 0
    for tensor in tensor_names(grown.plan.config):
        for kind in [] if tensor.is_repeated else grown.kinds_of(tensor):
            if size and size + 4 * tensor.numel > MAX_FILE_BYTES:
                part, size = part + 1, 0
            size += 4 * tensor.numel
            found.append((part, kind, tensor))
    return found


def _write_pieces(grown: Grown, stage: Path, pieces: Iterable[Piece], bar: tqdm) -> dict[str, dict]:
    by_file: dict[str, dict[str, tuple[str, TensorName]]] = {}
    for part, kind, tensor in pieces:
        file, key = optimizer_file(0, num_ranks=1, part=part), key_of(kind, tensor.name, tensor.start)
        by_file.setdefault(file, {})[key] = (kind, tensor)
    written = {}
    for file, held in by_file.items():

        def read(key: str, held: dict = held) -> torch.Tensor:
            bar.update()
            return grown.state(*held[key]).reshape(-1)

        specs = {key: TensorSpec(torch.float32, (tensor.numel,)) for key, (_, tensor) in held.items()}
        written[file] = write_tensors(stage / file, specs, read)
    return written


def _write_small_files(plan: GrowthPlan, stage: Path, source: Path) -> dict[str, dict]:
    """The source's tokenizer and whatever else lies there, with the config.json of the result."""
    theirs = json.loads((source / "config.json").read_bytes())
    dtype = theirs.get("dtype") or theirs.get("torch_dtype") or "float32"
    config = to_hf_config(plan.config, dtype=dtype, end_of_text_id=0, stop_ids=[0], pad_id=0)
    config |= {key: theirs.get(key) for key in KEPT_IDS}
    files = {"config.json": write_json(stage / "config.json", config)}
    for path in sorted(source.iterdir()):
        is_written = path.name in ("config.json", MANIFEST, INDEX) or path.suffix in (".safetensors", ".bin", ".gguf")
        if path.is_file() and not path.name.startswith(".") and not is_written:
            files[path.name] = write_bytes(stage / path.name, read_given(path, max_bytes=MAX_OTHER_BYTES))
    return files


def _check_room(folder: Path, grown: Grown, pieces: list[Piece]) -> None:
    need = 4 * sum(tensor.numel for _, _, tensor in pieces)
    need += sum(tensor.numel * grown.dtype_of(tensor).itemsize for tensor in tensor_names(grown.plan.config))
    free = shutil.disk_usage(folder).free
    mend = "free some space, or set output to another disk"
    check_room(with_spare(need), free, what=f"the result in {folder}", mend=mend)
