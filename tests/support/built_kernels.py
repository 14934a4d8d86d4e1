"""Builds the experts' Triton kernels for GPUs that need not be there, and prints what came out, as JSON.

A process of its own: whether Triton compiles or interprets is settled when it is imported.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget

from mai1.model.moe import triton_experts, triton_kernels
from mai1.model.moe.grouping import group_by_expert
from mai1.model.moe.triton_experts import LARGE, compute_answers, compute_gradients


class Recorder:
    """In the place of the kernels: none is run, and what each was given is kept."""

    def __init__(self) -> None:
        self.launches = []

    def __getattr__(self, name: str) -> "Launcher":
        return Launcher(getattr(triton_kernels, name), self.launches)


class Launcher:
    def __init__(self, kernel: triton.JITFunction, launches: list[tuple]) -> None:
        self.kernel, self.launches = kernel, launches

    def __getitem__(self, grid: tuple[int, ...]):
        return lambda *given, **constants: self.launches.append((self.kernel, given, constants))


def launches_of(width: int, expert_width: int, num_experts: int) -> list[tuple]:
    """All of a forward and backward in bf16, on tensors without data: reading a value of one would be an error."""
    recorder = Recorder()
    triton_experts._kernels, triton_experts._tiles = lambda: recorder, lambda *of: LARGE
    with torch.device("meta"):
        grouping = group_by_expert(torch.zeros(4096, 8, dtype=torch.int64), num_experts=num_experts, is_full=True)
        shapes = (4096, width), (4096, 8), (num_experts, 2 * expert_width, width), (num_experts, width, expert_width)
        given = [torch.empty(shape, dtype=torch.bfloat16) for shape in shapes]
    given += [grouping.token_R, grouping.row_NK, grouping.rows_per_expert_E]
    y_ND, inner_RF = compute_answers(*given, True)
    compute_gradients(y_ND, *given, inner_RF, True)
    return recorder.launches


def build(kernel: triton.JITFunction, given: tuple, constants: dict[str, object], *, capability: int) -> dict:
    """Of one launch, whose tensors begin at multiples of 16 bytes: what the binary needs, and its instructions."""
    names = {torch.bfloat16: "*bf16", torch.float32: "*fp32", torch.int64: "*i64"}
    options = {name: constants[name] for name in ("num_warps", "num_stages") if name in constants}
    constants = {name: value for name, value in constants.items() if name not in options}
    is_tensor = [isinstance(value, torch.Tensor) for value in given]
    types = [names[value.dtype] if is_one else "i32" for value, is_one in zip(given, is_tensor, strict=True)]
    signature = dict(zip(kernel.arg_names, [*types, *["constexpr"] * len(constants)], strict=True))
    aligned = {(place,): [["tt.divisibility", 16]] for place, is_one in enumerate(is_tensor) if is_one}
    source = triton.compiler.ASTSource(kernel, signature, constexprs=constants, attrs=aligned)
    built = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as binary:
        Path(binary.name).write_bytes(built.asm["cubin"])
        command = [triton.knobs.nvidia.cuobjdump.path, "-res-usage", binary.name]
        usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    copies = re.findall(r"cp\.async\.c[ag]\.shared\.global .*, (0x\w+),", built.asm["ptx"])
    return {
        "kernel": kernel.__name__,
        "capability": capability,
        "registers": int(re.search(r"REG:(\d+)", usage)[1]),
        "spilled": sum(map(int, re.findall(r"(?:STACK|LOCAL):(\d+)", usage))),
        "shared": built.metadata.shared,
        "products": built.asm["ptx"].count("wgmma.mma_async"),
        "copies": {size: copies.count(size) for size in sorted(set(copies))},
    }


if __name__ == "__main__":
    width, expert_width, num_experts, *capabilities = map(int, sys.argv[1:])
    launches = launches_of(width, expert_width, num_experts)
    print(json.dumps([build(*launch, capability=capability) for launch in launches for capability in capabilities]))
