"""The experts in C (`experts.c`), for training in fp32 on a CPU: what `expert_loop.py` computes, faster.

Legend: N tokens, D width, F expert width, E experts held here, K choices, R routed rows.
"""

import ctypes
from pathlib import Path

import torch
from torch.autograd.function import once_differentiable

from mai1.model.c_library import check_compiler, compile_library
from mai1.model.moe.grouping import Grouping, sum_choices, weights_of_rows

LANES = 16
"""Floats that the kernel takes at once: what widths are multiples of."""


class _Layer(ctypes.Structure):
    """`layer` of experts.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("num_experts", "width", "expert_width")),
        *((name, ctypes.c_void_p) for name in ("rows_per_expert_E", "token_R", "x_ND", "gate_up_EFD", "down_EDF")),
        *((name, ctypes.c_void_p) for name in ("inner_RF", "answers_RD", "grad_ND", "weights_R", "product_RF")),
        *((name, ctypes.c_void_p) for name in ("grad_inner_RF", "grad_weights_R", "grad_rows_RD")),
        *((name, ctypes.c_void_p) for name in ("grad_gate_up_EFD", "grad_down_EDF")),
    ]


class ExpertLibrary:
    """`experts.c`, compiled."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._forward, self._backward, self._space_per_thread = (
            library.forward,
            library.backward,
            library.space_per_thread,
        )
        for call in (self._forward, self._backward):
            call.argtypes, call.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int], None
        self._space_per_thread.argtypes = [ctypes.c_void_p, ctypes.c_int64]
        self._space_per_thread.restype = ctypes.c_int64

    def __call__(
        self,
        x_ND: torch.Tensor,
        weights_NK: torch.Tensor,
        gate_up_EFD: torch.Tensor,
        down_EDF: torch.Tensor,
        grouping: Grouping,
    ) -> torch.Tensor:
        """Of each token the sum over its choices of weight times answer, `[N, D]`."""
        return CompiledExperts.apply(x_ND, weights_NK, gate_up_EFD, down_EDF, grouping, self)

    def forward(self, most_rows: int, **tensors: torch.Tensor) -> None:
        """Fill `inner_RF` and `answers_RD`, but for rows of no expert."""
        self._call(self._forward, most_rows, tensors)

    def backward(self, most_rows: int, **tensors: torch.Tensor) -> None:
        """Fill all gradients, but for rows of no expert."""
        self._call(self._backward, most_rows, tensors)

    def _call(self, function: ctypes._CFuncPtr, most_rows: int, tensors: dict[str, torch.Tensor]) -> None:
        for name, tensor in tensors.items():
            expected = torch.int64 if name in ("rows_per_expert_E", "token_R") else torch.float32
            assert tensor.is_cpu and tensor.is_contiguous() and tensor.dtype is expected, name
        num_experts, width, expert_width = tensors["down_EDF"].shape
        shape = {"num_experts": num_experts, "width": width, "expert_width": expert_width}
        layer = _Layer(**shape, **{name: tensor.data_ptr() for name, tensor in tensors.items()})
        num_threads = torch.get_num_threads()
        per_thread = self._space_per_thread(ctypes.byref(layer), most_rows)
        space = torch.empty(num_threads * per_thread)
        function(ctypes.byref(layer), space.data_ptr(), per_thread, num_threads)


def check_compilable(*, d_model: int, expert_width: int, key: str) -> None:
    """ValueError, which names the setting `key`, where gcc or widths do not serve."""
    for name, width in (("d_model", d_model), ("moe.expert_width", expert_width)):
        if width % LANES:
            raise ValueError(f"{key}=compiled needs model.{name}={width} to be a multiple of {LANES}: use {key}=torch")
    check_compiler(key=key)


def compile_experts(*, d_model: int, expert_width: int, key: str) -> ExpertLibrary:
    """The kernel, compiled in about a second; ValueError, which names the setting `key`, where that cannot be."""
    check_compilable(d_model=d_model, expert_width=expert_width, key=key)
    return ExpertLibrary(compile_library(Path(__file__).with_name("experts.c"), key=key))


class CompiledExperts(torch.autograd.Function):
    """As `ExpertLoop`; only gate and up are kept for the backward."""

    @staticmethod
    def forward(ctx, x_ND, weights_NK, gate_up_EFD, down_EDF, grouping: Grouping, library: ExpertLibrary):
        x_ND, token_R, rows_per_expert_E = x_ND.contiguous(), grouping.token_R, grouping.rows_per_expert_E.contiguous()
        ctx.library, ctx.most_rows = library, int(rows_per_expert_E.max())
        inner_RF, answers_RD = (
            x_ND.new_empty(len(token_R), gate_up_EFD.shape[1]),
            x_ND.new_empty(len(token_R), x_ND.shape[1]),
        )
        given = {"rows_per_expert_E": rows_per_expert_E, "token_R": token_R, "x_ND": x_ND, "inner_RF": inner_RF}
        library.forward(ctx.most_rows, **given, gate_up_EFD=gate_up_EFD, down_EDF=down_EDF, answers_RD=answers_RD)
        ctx.num_used = len(token_R) if grouping.is_full else int(rows_per_expert_E.sum())
        answers_RD[ctx.num_used :].zero_()
        ctx.save_for_backward(
            x_ND, weights_NK, gate_up_EFD, down_EDF, token_R, grouping.row_NK, rows_per_expert_E, inner_RF
        )
        return sum_choices(answers_RD, grouping.row_NK, weights_NK)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_ND):
        x_ND, weights_NK, gate_up_EFD, down_EDF, token_R, row_NK, rows_per_expert_E, inner_RF = ctx.saved_tensors
        grad_rows_RD, grad_weights_R = x_ND.new_empty(len(token_R), x_ND.shape[1]), weights_NK.new_empty(len(token_R))
        grad_gate_up_EFD, grad_down_EDF = torch.empty_like(gate_up_EFD), torch.empty_like(down_EDF)
        given = {"rows_per_expert_E": rows_per_expert_E, "token_R": token_R, "x_ND": x_ND, "inner_RF": inner_RF}
        given |= {"gate_up_EFD": gate_up_EFD, "down_EDF": down_EDF, "grad_ND": grad_ND.contiguous()}
        ctx.library.backward(
            ctx.most_rows,
            **given,
            weights_R=weights_of_rows(weights_NK, row_NK),
            product_RF=x_ND.new_empty(len(token_R), down_EDF.shape[2]),
            grad_inner_RF=torch.empty_like(inner_RF),
            grad_weights_R=grad_weights_R,
            grad_rows_RD=grad_rows_RD,
            grad_gate_up_EFD=grad_gate_up_EFD,
            grad_down_EDF=grad_down_EDF,
        )
        grad_rows_RD[ctx.num_used :].zero_(), grad_weights_R[ctx.num_used :].zero_()
        return sum_choices(grad_rows_RD, row_NK), grad_weights_R[row_NK], grad_gate_up_EFD, grad_down_EDF, None, None
