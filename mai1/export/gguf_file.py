"""A GGUF file, written tensor by tensor, and read back against the checkpoint it was made of.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The gguf package makes everything before the data; the data, which
it would hold whole, goes out expert by expert.
"""

import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import numpy as np
import torch

from mai1.checkpoint.families import family_of
from mai1.checkpoint.names import TensorName
from mai1.checkpoint.tensor_file import NewFile
from mai1.export.gguf_metadata import add_model_metadata
from mai1.export.gguf_tensors import ARCHITECTURES, GgufTensor, gguf_tensors
from mai1.export.gguf_tokenizer import add_tokenizer
from mai1.export.release import GgufType
from mai1.model.transformer import ModelConfig
from mai1.tokenizer.tokenizer import Tokenizer

Read = Callable[[TensorName], torch.Tensor]
Q8_BLOCK = 32


KINDS = {
    GgufType.f32: (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    GgufType.f16: (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    GgufType.bf16: (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    GgufType.q8_0: (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}


def write_gguf(
    path: Path,
    *,
    config: ModelConfig,
    tokenizer: Tokenizer,
    kind: GgufType,
    read: Read,
    name: str,
    licence: str = "",
    advance: Callable[[int], object] = lambda num_bytes: None,
) -> dict:
    """Write a new file, fsynced; returns its size and SHA-256. Memory is that of one of our tensors.

    `advance` hears of bytes written. ValueError where llama.cpp has no such model or tokenizer, or a value is no float16.
    """
    tensors = gguf_tensors(config)
    writer = _described(config, tokenizer)
    writer.add_name(name)
    if licence:
        writer.add_license(licence)
    writer.add_file_type(KINDS[kind][1])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    with NewFile(path) as file:
        head = _head(writer, tensors, kind)
        file.write(memoryview(head))
        for tensor in tensors:
            num_bytes = 0
            for data in _data_of(tensor, type_of(tensor, kind), read):
                file.write(memoryview(data).cast("B"))
                num_bytes += data.nbytes
                advance(data.nbytes)
            file.write(memoryview(_padding(num_bytes)))
    return file.facts


def check_writable(config: ModelConfig, tokenizer: Tokenizer) -> None:
    """ValueError, before anything is written, where llama.cpp has no such model or tokenizer."""
    gguf_tensors(config)
    _described(config, tokenizer)


def gguf_num_bytes(config: ModelConfig, kind: GgufType) -> int:
    """About as large as the file gets: its tensors."""
    return sum(_num_bytes(tensor, type_of(tensor, kind)) for tensor in gguf_tensors(config))


def check_gguf(
    path: Path, *, config: ModelConfig, read: Read, advance: Callable[[int], object] = lambda num_bytes: None
) -> dict:
    """Read every tensor back and compare it with its source; returns how many agree exactly and the largest difference.

    ValueError for a tensor that is missing or differs by more than its type's rounding.
    """
    found = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    tensors = gguf_tensors(config)
    if found.keys() != {tensor.name for tensor in tensors}:
        raise ValueError(f"{path} holds other tensors than it should: write it again")
    num_exact, largest = 0, 0.0
    for tensor in tensors:
        stored = found[tensor.name]
        difference = max(_differences(tensor, stored, read, path=path, advance=advance))
        num_exact += difference == 0
        largest = max(largest, difference)
    return {"tensors": len(tensors), "bit_exact": num_exact, "max_difference": largest}


def type_of(tensor: GgufTensor, kind: GgufType) -> gguf.GGMLQuantizationType:
    """As llama.cpp's own converter: vectors and routers in float32, rows that Q8_0 cannot cut into blocks in float16."""
    if len(tensor.shape) == 1 or "ffn_gate_inp." in tensor.name:
        return gguf.GGMLQuantizationType.F32
    if kind is GgufType.q8_0 and tensor.shape[-1] % Q8_BLOCK:
        return gguf.GGMLQuantizationType.F16
    return KINDS[kind][0]


def _described(config: ModelConfig, tokenizer: Tokenizer) -> gguf.GGUFWriter:
    """A writer that knows model and tokenizer."""
    writer = gguf.GGUFWriter(None, gguf.MODEL_ARCH_NAMES[ARCHITECTURES[family_of(config)]])
    writer.add_type("model")
    add_model_metadata(writer, config)
    add_tokenizer(writer, tokenizer, num_ids=config.vocab_size)
    return writer


def _head(writer: gguf.GGUFWriter, tensors: list[GgufTensor], kind: GgufType) -> bytes:
    """Everything before the data."""
    for tensor in tensors:
        stored = type_of(tensor, kind)
        writer.add_tensor_info(
            tensor.name, tensor.shape, np.dtype(np.float32), _num_bytes(tensor, stored), raw_dtype=stored
        )
    memory = io.BytesIO()
    writer.fout, writer.state = [memory], gguf.gguf_writer.WriterState.EMPTY
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    head = memory.getvalue()
    return head + _padding(len(head))


def _padding(num_bytes: int) -> bytes:
    return bytes(-num_bytes % gguf.GGUF_DEFAULT_ALIGNMENT)


def _num_bytes(tensor: GgufTensor, stored: gguf.GGMLQuantizationType) -> int:
    return math.prod(gguf.quant_shape_to_byte_shape(tensor.shape, stored))


def _data_of(tensor: GgufTensor, stored: gguf.GGMLQuantizationType, read: Read) -> Iterator[np.ndarray]:
    """The bytes of each source in turn."""
    for source in tensor.sources:
        yield _encode(tensor.change(read(source)), stored, source.hf_name)


def _encode(value: torch.Tensor, stored: gguf.GGMLQuantizationType, name: str) -> np.ndarray:
    if stored is gguf.GGMLQuantizationType.F32:
        return value.float().contiguous().numpy()
    if stored is gguf.GGMLQuantizationType.BF16:
        return value.to(torch.bfloat16).contiguous().view(torch.int16).numpy()
    if stored is gguf.GGMLQuantizationType.F16:
        half = value.to(torch.float16).contiguous()
        if not torch.isfinite(half).all():
            raise ValueError(f"{name} has values that float16 cannot hold: use bf16, f32 or q8_0")
        return half.numpy()
    return gguf.quantize(value.float().contiguous().numpy(), stored)


def _differences(
    tensor: GgufTensor, stored: gguf.ReaderTensor, read: Read, *, path: Path, advance: Callable[[int], object]
) -> Iterator[float]:
    """Largest difference of each source; ValueError beyond what the stored type rounds to."""
    blocks = stored.data.reshape(len(tensor.sources), -1, stored.data.shape[-1])
    for block, source in zip(blocks, tensor.sources, strict=True):
        expected = tensor.change(read(source)).float().contiguous().numpy()
        got = gguf.dequantize(np.ascontiguousarray(block), stored.tensor_type).reshape(expected.shape)
        difference = float(np.abs(got - expected).max())
        limit = ROUNDING[stored.tensor_type] * float(np.abs(expected).max())
        if not difference <= limit:
            raise ValueError(f"{path}: {stored.name} differs from {source.hf_name} by {difference:.2e}: write it again")
        advance(block.nbytes)
        yield difference


ROUNDING = {
    gguf.GGMLQuantizationType.F32: 0.0,
    gguf.GGMLQuantizationType.F16: 2.0**-10,  # also of a checkpoint in bfloat16 with subnormal values
    gguf.GGMLQuantizationType.BF16: 2.0**-8,
    gguf.GGMLQuantizationType.Q8_0: 1.0 / 127,  # half a step, and the scale is a float16
}
"""How far a value may lie from its source, of the largest in its tensor."""
