"""Files of a checkpoint: hashed while they are written, in one pass over the bytes, and made durable.

A safetensors file is the header's length in eight bytes, a JSON header with every tensor's type, shape and place, and the
raw data (https://github.com/huggingface/safetensors, "Format"). The library writes it from memory to a file; here it goes
out tensor by tensor, so that nothing is held or read twice.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

BLOCK_BYTES = 2**20
"""Written while it is still in the processor's cache from being hashed."""
DTYPE_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What the header says of a tensor."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def write_bytes(path: Path, data: bytes) -> dict:
    """Write a new file, fsynced; returns its size and SHA-256 as the manifest has them. OSError when the disk refuses."""
    with NewFile(path) as file:
        file.write(memoryview(data))
    return file.facts


def write_json(path: Path, value: object) -> dict:
    """`write_bytes` of JSON."""
    return write_bytes(path, as_json(value))


def as_json(value: object) -> bytes:
    """JSON as all our files have it."""
    return (json.dumps(value, indent=1) + "\n").encode()


def write_tensors(path: Path, specs: dict[str, TensorSpec], read: Callable[[str], torch.Tensor]) -> dict:
    """Write a new safetensors file, fsynced, asking `read` for one tensor after another; returns size and SHA-256."""
    names = sorted(specs, key=lambda name: (-specs[name].dtype.itemsize, name))  # as the library orders them
    with NewFile(path) as file:
        file.write(memoryview(_header({name: specs[name] for name in names})))
        for name in names:
            tensor, spec = read(name), specs[name]
            assert tensor.dtype is spec.dtype and tensor.shape == spec.shape, f"{name}: {tensor.dtype} {tensor.shape}"
            file.write(bytes_of(tensor))
    return file.facts


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """The memory of a contiguous CPU tensor."""
    return memoryview(tensor.detach().view(-1).view(torch.uint8).numpy())


def _header(specs: dict[str, TensorSpec]) -> bytes:
    entries, end = {"__metadata__": {"format": "pt"}}, 0
    for name, spec in specs.items():
        start, end = end, end + spec.num_bytes
        entries[name] = {"dtype": DTYPE_NAMES[spec.dtype], "shape": list(spec.shape), "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the data starts aligned
    return len(text).to_bytes(8, "little") + text


class NewFile:
    """A file that must not exist yet, nor be a link to one; hashed as it is written and fsynced when it is left."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        self._path, self._hash, self._size, self.facts = path, hashlib.sha256(), 0, {}

    def __enter__(self) -> "NewFile":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            if kind is None:
                os.fsync(self._descriptor)
                self.facts = {"bytes": self._size, "sha256": self._hash.hexdigest()}
        finally:
            os.close(self._descriptor)

    def write(self, data: memoryview) -> None:
        for start in range(0, len(data), BLOCK_BYTES):
            block = data[start : start + BLOCK_BYTES]
            self._hash.update(block)
            while len(block):
                try:
                    count = os.write(self._descriptor, block)
                except OSError as error:
                    raise OSError(error.errno, f"cannot write ({error.strerror})", str(self._path)) from None
                self._size, block = self._size + count, block[count:]
