"""Where a model's weights lie in memory when it only reads them: one after the other, in large pages.

A step of generation reads every weight that it needs once, so on a CPU memory sets its pace. Pages of 2 MB, where Linux has
them, spare it most of the look-ups of addresses; and matrices that lie side by side are read by one product.
"""

import math
import mmap

import torch
from torch import nn

from mai1.model.attention import Attention
from mai1.model.transformer import MoETransformer

ALIGNMENT = 64
"""Bytes: a cache line."""
LARGE_PAGE = 2**21
"""Bytes; smaller models gain nothing."""


def lay_out(model: MoETransformer) -> None:
    """Put the parameters into one block of memory and join the matrices of attention; on a CPU, and to read them only."""
    parameters = [p for p in model.parameters() if p.is_cpu]
    sizes = [math.ceil(p.nbytes / ALIGNMENT) * ALIGNMENT for p in parameters]
    block = allocate(sum(sizes))
    first = 0
    for parameter, size in zip(parameters, sizes, strict=True):
        place = block[first : first + parameter.nbytes].view(parameter.dtype).view(parameter.shape)
        place.copy_(parameter.detach())
        parameter.data = place
        first += size
    for module in model.modules():
        if isinstance(module, Attention):
            module.joined_XD = _joined(module.query.weight, module.key.weight, module.value.weight)


def allocate(num_bytes: int) -> torch.Tensor:
    """Memory as uint8, in large pages where there are any."""
    if num_bytes < LARGE_PAGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.empty(num_bytes, dtype=torch.uint8)
    memory = mmap.mmap(-1, num_bytes + LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    block = torch.frombuffer(memory, dtype=torch.uint8)  # which keeps the memory as long as it is used
    first = -block.data_ptr() % LARGE_PAGE
    return block[first : first + num_bytes]


def _joined(*weights: nn.Parameter) -> torch.Tensor | None:
    """The matrix of whose rows these are consecutive parts; None where there is something between them."""
    ends = [weight.data_ptr() + weight.nbytes for weight in weights]
    if any(end != weight.data_ptr() for end, weight in zip(ends, weights[1:], strict=False)):
        return None
    rows = sum(len(weight) for weight in weights)
    return weights[0].detach().as_strided((rows, weights[0].shape[1]), (weights[0].shape[1], 1))
