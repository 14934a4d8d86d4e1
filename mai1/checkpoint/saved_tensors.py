"""The safetensors files of a Hugging Face directory, however they are cut and whichever of the known names they use.

Which file has a tensor is taken from an index, of whatever name, or else from the files themselves. A tensor of one expert may
be stored as such, as Mixtral or the others name it, or as a range of a stack of all experts, as newer releases of
transformers have it in memory: `experts.gate_up_proj` `[E, 2F, D]`, `experts.down_proj` `[E, D, F]`.
"""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from mai1.checkpoint.names import TensorName, tensor_names
from mai1.checkpoint.tensor_file import DTYPE_NAMES
from mai1.given_files import check_entries
from mai1.model.transformer import ModelConfig

INDEX = "model.safetensors.index.json"
MAX_INDEX_BYTES = 2**27
"""Room for more than a million tensors."""
EXPERT = re.compile(r"(model\.layers\.\d+)\.(?:mlp|block_sparse_moe)\.experts\.(\d+)\.(\w+)\.weight")
GATE = re.compile(r"(model\.layers\.\d+)\.(?:mlp|block_sparse_moe)\.(gate\..+)")
MIXTRAL_NAMES = {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}
BLOCKS = ("mlp", "block_sparse_moe")
KINDS = {name: kind for kind, name in DTYPE_NAMES.items()}
"""The types that are read, by their names in a header."""


@dataclass(frozen=True, slots=True)
class Place:
    """A stored tensor, and which part of it one of ours is: an expert, and the first or second half of its rows."""

    key: str
    expert: int | None = None
    half: int | None = None


def places_of(hf_name: str) -> Iterator[Place]:
    """Where a tensor may be stored, by the name that its family's class has for it today; the name itself comes first."""
    yield Place(hf_name)
    if found := GATE.fullmatch(hf_name):
        yield from (Place(f"{found[1]}.{block}.{found[2]}") for block in BLOCKS)
    if not (found := EXPERT.fullmatch(hf_name)):
        return
    layer, expert = found[1], int(found[2])
    plain = MIXTRAL_NAMES.get(found[3], found[3])
    mixtral = next(name for name, other in MIXTRAL_NAMES.items() if other == plain)
    yield Place(f"{layer}.mlp.experts.{expert}.{plain}.weight")
    yield Place(f"{layer}.block_sparse_moe.experts.{expert}.{mixtral}.weight")
    for block in BLOCKS:
        for ending in ("", ".weight"):
            yield Place(f"{layer}.{block}.experts.{plain}{ending}", expert)
            if plain != "down_proj":
                yield Place(f"{layer}.{block}.experts.gate_up_proj{ending}", expert, int(plain == "up_proj"))


class SavedTensors:
    """The safetensors files of a Hugging Face directory, mapped into memory when first asked; for many threads."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.file_of = directory, _file_of_each_tensor(directory)
        self._open: dict[str, safe_open] = {}
        self._lock = threading.Lock()

    def has(self, tensor: TensorName) -> bool:
        """Whether a tensor is stored, in whatever way."""
        return any(place.key in self.file_of for place in places_of(tensor.hf_name))

    def place_of(self, tensor: TensorName) -> Place:
        """Where a tensor is stored; ValueError where it is not."""
        for place in places_of(tensor.hf_name):
            if place.key in self.file_of:
                return place
        raise ValueError(f"{self.directory} has no tensor {tensor.hf_name}: its weights do not fit its config.json")

    def path_of(self, tensor: TensorName) -> Path:
        """The file that has a tensor."""
        return self.directory / self.file_of[self.place_of(tensor).key]

    def read(self, tensor: TensorName) -> torch.Tensor:
        """A tensor of the shape it has by config.json; its memory is the file, also where it is part of a stack."""
        self.dtype_of(tensor)
        place, path = self.place_of(tensor), self.path_of(tensor)
        try:
            opened = self._opened(path)
            return opened.get_tensor(place.key) if place.expert is None else _part(opened, place)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} cannot be read as safetensors ({error}): use another checkpoint") from None

    def dtype_of(self, tensor: TensorName) -> torch.dtype:
        """The type of a tensor by its file's header, after its shape is checked; nothing else of it is read."""
        place, path = self.place_of(tensor), self.path_of(tensor)
        try:
            stored = self._opened(path).get_slice(place.key)
            shape, kind = tuple(stored.get_shape()), stored.get_dtype()
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} cannot be read as safetensors ({error}): use another checkpoint") from None
        shape = shape if place.expert is None else _shape_of_part(shape, place)
        if shape != tensor.shape:
            raise ValueError(f"{path}: {tensor.hf_name} has shape {shape} instead of {tensor.shape}")
        if kind not in KINDS:
            raise ValueError(f"{path}: {tensor.hf_name} is {kind}: only {', '.join(KINDS)} are read")
        return KINDS[kind]

    def shape_of(self, key: str) -> tuple[int, ...]:
        """The shape in which something is stored."""
        return tuple(self._opened(self.directory / self.file_of[key]).get_slice(key).get_shape())

    def _opened(self, path: Path) -> safe_open:
        with self._lock:
            if path.name not in self._open:
                self._open[path.name] = safe_open(path, framework="pt").__enter__()
            return self._open[path.name]


def without_missing_prediction(config: ModelConfig, tensors: SavedTensors) -> ModelConfig:
    """transformers keeps the count of further predictions in config.json where it has saved none of their weights."""
    further = [t for t in tensor_names(config) if t.name.startswith("mtp.") and not t.is_repeated]
    return replace(config, num_mtp_layers=0) if further and not any(map(tensors.has, further)) else config


def _part(opened: safe_open, place: Place) -> torch.Tensor:
    """One expert's tensor out of a stack; the rest of the stack is not read."""
    stack = opened.get_slice(place.key)
    if place.half is None:
        return stack[place.expert]
    rows = stack.get_shape()[1] // 2
    return stack[place.expert, place.half * rows : (place.half + 1) * rows]


def _shape_of_part(shape: tuple[int, ...], place: Place) -> tuple[int, ...]:
    if len(shape) != 3 or place.expert >= shape[0] or (place.half is not None and shape[1] % 2):
        return shape
    return (shape[1] // (1 if place.half is None else 2), shape[2])


def _file_of_each_tensor(directory: Path) -> dict[str, str]:
    index = _index_in(directory)
    try:
        if index is not None:
            if (size := index.stat().st_size) > MAX_INDEX_BYTES:
                raise ValueError(f"{index.name} has {size} bytes, but may have at most {MAX_INDEX_BYTES}")
            content = index.read_bytes()
            check_entries(content)
            where = json.loads(content)["weight_map"]
        else:
            files = sorted(path for path in directory.glob("*.safetensors") if not path.name.startswith("consolidated"))
            if not files:
                raise ValueError("there are no files")
            where = {}
            for path in files:
                with safe_open(path, framework="pt") as opened:
                    _refuse_twice(where, opened.keys(), path)
                    where |= dict.fromkeys(opened.keys(), path.name)
        files = set(where.values())
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{directory} has no readable {INDEX} or model.safetensors ({error})") from None
    for file in files:
        if not isinstance(file, str) or Path(file).name != file or "\0" in file:
            raise ValueError(f"{index}: {file!r} is not a plain file name")
    return where


def _index_in(directory: Path) -> Path | None:
    """The index of the weights, also under another name where there is only one."""
    found = sorted(directory.glob("*.safetensors.index.json"))
    if directory / INDEX in found or len(found) != 1:
        return directory / INDEX if directory / INDEX in found else None
    return found[0]


def _refuse_twice(known: dict[str, str], keys: list[str], path: Path) -> None:
    for key in keys:
        if key in known:
            raise ValueError(f"{key} is in {known[key]} and in {path.name}")
