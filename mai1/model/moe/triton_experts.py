"""The experts on a GPU in five fused kernels (`triton_kernels.py`): what `expert_loop.py` computes, in any precision.

Kept for the backward are the tokens and `inner`, as in SonicMoE (Guo et al. 2025, arXiv 2512.14080, §3): gathered tokens,
products and answers are never kept, nor is a gathered token ever written.

Legend: N tokens, D width, F expert width, E experts held here, K choices, R routed rows.
"""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from types import ModuleType

import torch

from mai1.model.moe.grouping import Grouping, weights_of_rows

COLS_OF_SUM = 1024
"""Columns of one token that a program adds up."""


@dataclass(frozen=True, slots=True)
class Tile:
    """What one program computes."""

    rows: int
    cols: int
    depth: int
    """Of one step of the product."""
    num_warps: int
    num_stages: int
    """Steps in flight."""

    def options(self) -> dict[str, int]:
        shape = {"ROWS": self.rows, "COLS": self.cols, "DEPTH": self.depth}
        return shape | {"num_warps": self.num_warps, "num_stages": self.num_stages}


@dataclass(frozen=True, slots=True)
class Tiles:
    """Of every kernel; those that make two products, or read and write much after theirs, have fewer columns."""

    ask_gate_up: Tile
    multiply_rows: Tile
    pass_down_backward: Tile
    sum_outer_products: Tile


LARGE = Tiles(
    Tile(128, 128, 64, num_warps=8, num_stages=3),
    Tile(128, 256, 64, num_warps=8, num_stages=3),
    Tile(128, 128, 64, num_warps=8, num_stages=4),
    Tile(128, 256, 64, num_warps=8, num_stages=4),
)
"""For 16 bits and 160 kB of shared memory or more: A100, H100 and what came after."""
SMALL = Tiles(
    Tile(64, 64, 32, num_warps=4, num_stages=3),
    Tile(64, 128, 32, num_warps=4, num_stages=3),
    Tile(64, 64, 32, num_warps=4, num_stages=3),
    Tile(64, 128, 32, num_warps=4, num_stages=3),
)
"""For other GPUs, and for fp32."""
SHARED_MEMORY = 160 * 1024
"""Bytes of a multiprocessor that LARGE needs."""


def check_triton(*, key: str) -> None:
    """ValueError, which names the setting `key`, where there is no Triton."""
    if find_spec("triton") is None:
        raise ValueError(
            f"{key}=triton needs the package triton, which comes with torch for GPUs: install that, or use {key}=torch"
        )


def ask_triton_experts(
    x_ND: torch.Tensor, weights_NK: torch.Tensor, gate_up_EFD: torch.Tensor, down_EDF: torch.Tensor, grouping: Grouping
) -> torch.Tensor:
    """Of each token the sum over its choices of weight times answer, `[N, D]`, without a host synchronisation."""
    counts_E = grouping.rows_per_expert_E
    return _experts(
        x_ND, weights_NK, gate_up_EFD, down_EDF, grouping.token_R, grouping.row_NK, counts_E, grouping.is_full
    )[0]


def compute_answers(
    x_ND: torch.Tensor,
    weights_NK: torch.Tensor,
    gate_up_EFD: torch.Tensor,
    down_EDF: torch.Tensor,
    token_R: torch.Tensor,
    row_NK: torch.Tensor,
    rows_per_expert_E: torch.Tensor,
    is_full: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The answer, `[N, D]`, and `inner [R, 2F]` for the backward."""
    launch, x_ND = _Launch(gate_up_EFD, down_EDF, token_R, rows_per_expert_E), x_ND.contiguous()
    inner_RF, product_RF = launch.empty(2 * launch.expert_width), launch.empty(launch.expert_width)
    launch.by_tile(
        launch.kernels.ask_gate_up,
        launch.tiles.ask_gate_up,
        launch.expert_width,
        *(x_ND, token_R, gate_up_EFD, rows_per_expert_E, inner_RF, product_RF),
        D=launch.width,
        F=launch.expert_width,
    )
    answers_RD = launch.multiply(product_RF, down_EDF, is_transposed=True)
    return launch.sum_choices(answers_RD, row_NK, weights_NK.contiguous(), is_full=is_full), inner_RF


def compute_gradients(
    grad_ND: torch.Tensor,
    x_ND: torch.Tensor,
    weights_NK: torch.Tensor,
    gate_up_EFD: torch.Tensor,
    down_EDF: torch.Tensor,
    token_R: torch.Tensor,
    row_NK: torch.Tensor,
    rows_per_expert_E: torch.Tensor,
    inner_RF: torch.Tensor,
    is_full: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of tokens, weights, gate_up and down."""
    launch = _Launch(gate_up_EFD, down_EDF, token_R, rows_per_expert_E)
    grad_ND, x_ND, num_rows = grad_ND.contiguous(), x_ND.contiguous(), len(token_R)
    grad_inner_RF, product_RF = torch.empty_like(inner_RF), launch.empty(launch.expert_width)
    num_across = _ceil_div(launch.expert_width, launch.tiles.pass_down_backward.cols)
    make = torch.empty if is_full else torch.zeros
    grad_weights_CR = make(num_across, num_rows, dtype=torch.float32, device=x_ND.device)
    weights_R = weights_of_rows(weights_NK.contiguous(), row_NK)
    launch.by_tile(
        launch.kernels.pass_down_backward,
        launch.tiles.pass_down_backward,
        launch.expert_width,
        *(grad_ND, token_R, weights_R, down_EDF, rows_per_expert_E),
        *(inner_RF, grad_inner_RF, product_RF, grad_weights_CR, num_rows),
        D=launch.width,
        F=launch.expert_width,
    )
    grad_down_EDF = launch.sum_outer_products(grad_ND, product_RF, like=down_EDF, gathers_left=True)
    grad_gate_up_EFD = launch.sum_outer_products(grad_inner_RF, x_ND, like=gate_up_EFD, gathers_left=False)
    grad_rows_RD = launch.multiply(grad_inner_RF, gate_up_EFD, is_transposed=False)
    grad_x_ND = launch.sum_choices(grad_rows_RD, row_NK, None, is_full=is_full)
    grad_weights_NK = grad_weights_CR.sum(0).to(weights_NK.dtype)[row_NK]
    return grad_x_ND, grad_weights_NK, grad_gate_up_EFD, grad_down_EDF


# as operators of torch, which torch.compile leaves whole
_experts = torch.library.custom_op("mai1::experts", compute_answers, mutates_args=())
_experts_backward = torch.library.custom_op("mai1::experts_backward", compute_gradients, mutates_args=())


@_experts.register_fake
def _(x_ND, weights_NK, gate_up_EFD, down_EDF, token_R, row_NK, rows_per_expert_E, is_full):
    return x_ND.new_empty(x_ND.shape), x_ND.new_empty(len(token_R), gate_up_EFD.shape[1])


@_experts_backward.register_fake
def _(grad_ND, x_ND, weights_NK, gate_up_EFD, down_EDF, token_R, row_NK, rows_per_expert_E, inner_RF, is_full):
    return tuple(tensor.new_empty(tensor.shape) for tensor in (x_ND, weights_NK, gate_up_EFD, down_EDF))


def _keep(ctx, inputs, output) -> None:
    *tensors, ctx.is_full = inputs
    ctx.save_for_backward(*tensors, output[1])
    ctx.mark_non_differentiable(output[1])


def _backward(ctx, grad_ND, _):
    return *_experts_backward(grad_ND, *ctx.saved_tensors, ctx.is_full), None, None, None, None


_experts.register_autograd(_backward, setup_context=_keep)


class _Launch:
    """Kernels of one layer, with what all of them are given."""

    def __init__(
        self, gate_up_EFD: torch.Tensor, down_EDF: torch.Tensor, token_R: torch.Tensor, rows_per_expert_E: torch.Tensor
    ) -> None:
        self.num_experts, self.width, self.expert_width = down_EDF.shape
        self.token_R, self.rows_per_expert_E, self.like = token_R, rows_per_expert_E, down_EDF
        self.kernels = _kernels()
        self.tiles = _tiles(gate_up_EFD.dtype, gate_up_EFD.device)

    def empty(self, width: int) -> torch.Tensor:
        """`[R, width]`"""
        return self.like.new_empty(len(self.token_R), width)

    def by_tile(self, kernel, tile: Tile, width_out: int, *arguments: object, **widths: int) -> None:
        """One program for every tile that there may be: each expert's last may be incomplete."""
        most = (len(self.token_R) + self.num_experts * (tile.rows - 1)) // tile.rows
        self._run(kernel, most * _ceil_div(width_out, tile.cols), tile, *arguments, **widths)

    def multiply(self, rows_RX: torch.Tensor, weight_EXX: torch.Tensor, *, is_transposed: bool) -> torch.Tensor:
        """Every row by its expert's matrix, or by that matrix transposed."""
        width_in, width_out = weight_EXX.shape[:0:-1] if is_transposed else weight_EXX.shape[1:]
        answers_RX = self.empty(width_out)
        self.by_tile(
            self.kernels.multiply_rows,
            self.tiles.multiply_rows,
            width_out,
            *(rows_RX, weight_EXX, self.rows_per_expert_E, answers_RX),
            WIDTH_IN=width_in,
            WIDTH_OUT=width_out,
            STRIDE_IN=1 if is_transposed else width_out,
            STRIDE_OUT=width_in if is_transposed else 1,
        )
        return answers_RX

    def sum_outer_products(
        self, left: torch.Tensor, right: torch.Tensor, *, like: torch.Tensor, gathers_left: bool
    ) -> torch.Tensor:
        """The gradient of a stack of matrices."""
        grad_EXX, tile = like.new_empty(like.shape), self.tiles.sum_outer_products
        _, rows, cols = like.shape
        self._run(
            self.kernels.sum_outer_products,
            self.num_experts * _ceil_div(rows, tile.rows) * _ceil_div(cols, tile.cols),
            tile,
            *(left, right, self.token_R, self.rows_per_expert_E, grad_EXX),
            LEFT=rows,
            RIGHT=cols,
            GATHERS_LEFT=gathers_left,
        )
        return grad_EXX

    def sum_choices(
        self, rows_RD: torch.Tensor, row_NK: torch.Tensor, weights_NK: torch.Tensor | None, *, is_full: bool
    ) -> torch.Tensor:
        num_tokens, top_k = row_NK.shape
        y_ND = self.like.new_empty(num_tokens, self.width)
        cols = min(COLS_OF_SUM, 1 << (self.width - 1).bit_length())
        is_weighted = weights_NK is not None
        self.kernels.sum_choices[(num_tokens * _ceil_div(self.width, cols),)](
            *(rows_RD, row_NK, weights_NK if is_weighted else rows_RD, self.rows_per_expert_E, y_ND),
            NUM_EXPERTS=self.num_experts,
            TOP_K=top_k,
            D=self.width,
            IS_WEIGHTED=is_weighted,
            IS_FULL=is_full,
            COLS=cols,
        )
        return y_ND

    def _run(self, kernel, num_programs: int, tile: Tile, *arguments: object, **constants: int) -> None:
        precision = "ieee" if self.like.dtype is torch.float32 else "tf32"  # the latter says nothing of bf16
        kernel[(num_programs,)](
            *arguments, NUM_EXPERTS=self.num_experts, PRECISION=precision, **constants, **tile.options()
        )


def _tiles(dtype: torch.dtype, device: torch.device) -> Tiles:
    return LARGE if dtype.itemsize == 2 and _shared_memory(device) >= SHARED_MEMORY else SMALL


@cache
def _shared_memory(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).shared_memory_per_block_optin if device.type == "cuda" else 0


@cache
def _kernels() -> ModuleType:
    from mai1.model.moe import triton_kernels  # only now: Triton is large, and not everywhere

    return triton_kernels


def _ceil_div(total: int, part: int) -> int:
    return -(-total // part)
