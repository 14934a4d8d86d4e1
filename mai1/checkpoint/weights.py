"""Model files: the weights as Hugging Face safetensors shards, read as what a rank's own tensors need of them."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch

from mai1.checkpoint.model_plan import ModelFile, index_of
from mai1.checkpoint.names import LocalTensor, TensorName, local_tensors, tensor_names
from mai1.checkpoint.saved_tensors import INDEX, SavedTensors
from mai1.checkpoint.tensor_file import TensorSpec, write_json, write_tensors
from mai1.model.transformer import ModelConfig, MoETransformer

NUM_AHEAD = 3


@torch.no_grad()
def read_weights(directory: Path, model: MoETransformer) -> None:
    """Fill this rank's model from a Hugging Face directory of its family; each rank reads only its own experts."""
    state = model.state_dict()
    for name, value in read_tensors(directory, model.config, local_tensors(model)):
        state[name].copy_(value)


def read_tensors(
    directory: Path, config: ModelConfig, local: dict[str, LocalTensor]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Each of a rank's tensors whole, one after another, from a Hugging Face directory.

    Threads read a few tensors ahead, so memory is that of a few. ValueError when the files cannot be read or hold
    something else.
    """
    files = SavedTensors(directory)
    parts: dict[str, list[TensorName]] = {name: [] for name in local}
    for tensor in tensor_names(config):
        mine = local.get(tensor.name)
        if mine is not None and mine.start <= tensor.start < mine.end:
            parts[tensor.name].append(tensor)

    def read(mine: LocalTensor) -> torch.Tensor:
        value = _assemble(files, mine, [part for part in parts[mine.name] if not part.is_repeated])
        for repeated in (part for part in parts[mine.name] if part.is_repeated and files.has(part)):
            _check_repeated(files, repeated, value)
        return value

    with ThreadPoolExecutor(NUM_AHEAD) as pool:
        waiting: deque[tuple[str, Future]] = deque()
        for mine in local.values():
            waiting.append((mine.name, pool.submit(read, mine)))
            if len(waiting) > NUM_AHEAD:
                name, value = waiting.popleft()
                yield name, value.result()
        for name, value in waiting:
            yield name, value.result()


def _assemble(files: "SavedTensors", mine: LocalTensor, parts: list[TensorName]) -> torch.Tensor:
    first = _read_finite(files, parts[0])
    if len(parts) == 1:
        return first.view(mine.shape)
    value = torch.empty(mine.shape, dtype=first.dtype)
    for part in parts:
        value.view(-1)[part.start - mine.start :][: part.numel].view(part.shape).copy_(_read_finite(files, part))
    return value


def _read_finite(files: "SavedTensors", tensor: TensorName) -> torch.Tensor:
    """ValueError for a weight that is no number. A sum that is finite has finite parts, and costs one pass over them."""
    value = files.read(tensor)
    if not torch.isfinite(value.sum()) and not torch.isfinite(value).all():
        raise ValueError(f"{files.path_of(tensor)}: {tensor.hf_name} holds what is no number: use another checkpoint")
    return value


def _check_repeated(files: "SavedTensors", tensor: TensorName, mine: torch.Tensor) -> None:
    if not torch.equal(files.read(tensor).to(mine), mine):
        raise ValueError(
            f"{files.path_of(tensor)}: {tensor.hf_name} is another matrix than the model's own, but mai1 has one for both: "
            "to go on without multi-token prediction, set num_nextn_predict_layers to 0 in config.json"
        )


def write_model_files(
    folder: Path,
    plan: list[ModelFile],
    *,
    dtype_of: Callable[[TensorName], torch.dtype],
    read: Callable[[TensorName], torch.Tensor],
) -> dict[str, dict]:
    """Write a whole model and its index, asking `read` for one tensor after another; returns each file's facts."""
    written = {}
    for entry in plan:
        tensors = {tensor.hf_name: tensor for tensor in entry.tensors}
        specs = {name: TensorSpec(dtype_of(tensor), tensor.shape) for name, tensor in tensors.items()}
        written[entry.file] = write_tensors(
            folder / entry.file, specs, lambda name, tensors=tensors: read(tensors[name])
        )
    return written | {INDEX: write_json(folder / INDEX, index_of(plan))}
