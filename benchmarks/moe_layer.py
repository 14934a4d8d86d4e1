"""One MoE layer, forward and backward, against transformers', DeepSpeed's and a dense layer of equal active FLOPs.

usage: python benchmarks/moe_layer.py [--rounds 9] [--threads 2] [--device cpu]

All contenders hold the same weights, run in one process, in turn, on the same random input, and must give the same answer. The
table has each one's best round, its speed as a share of the dense layer's, the rate of the products' FLOPs (3 * 2 * tokens *
top_k * width * expert_width forward, twice that backward), and the memory its forward and backward need beyond weights.
`random` routing is what random weights make of random input, about balanced; `skewed` gives one expert about a third of all
choices; `forced` takes experts in turn (ours only: the others have no such mode). Freed memory is kept for all alike.
`ours, compiled` is the layer with `engine.expert_kernels=compiled` (on CPUs; needs gcc), `ours, triton` that with
`engine.expert_kernels=triton` (on GPUs), `ours` without. Shares are of best rounds and, in brackets, of medians; on GPUs what
torch.compile makes of the layers is timed besides, and who needs more memory than there is is left out.

Bound by: matrix products. The dense layer does the same number of multiply-adds in three large products, so what is below 1
is the price of routing, of moving rows, of reading every expert's weights, and of smaller products. The compiled kernel reads
weights while it computes.
"""

import argparse
import contextlib
import copy
import ctypes
import io
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import Qwen3MoeConfig
from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeSparseMoeBlock

from mai1.dist import keep_freed_memory, start_world
from mai1.engine.engine import start_deepspeed
from mai1.model.expert_kernels import ExpertKernels
from mai1.model.ffn import SwiGLU
from mai1.model.moe.compiled_experts import compile_experts
from mai1.model.moe.layer import MoEConfig, MoELayer
from mai1.model.moe.router import Scores
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.moe.triton_experts import ask_triton_experts

Contender = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Shape:
    """One layer, how many tokens it gets, and how they are routed."""

    width: int
    num_experts: int
    top_k: int
    expert_width: int
    num_tokens: int
    routing: str = "random"

    @property
    def flops(self) -> int:
        """Multiply-adds of forward and backward, times two."""
        return 3 * 3 * 2 * self.num_tokens * self.top_k * self.width * self.expert_width


ON_CPU = [
    Shape(256, 16, 4, 256, 4096),
    Shape(256, 16, 4, 256, 4096, routing="forced"),
    Shape(256, 16, 4, 256, 4096, routing="skewed"),
    Shape(256, 16, 4, 256, 256),
    Shape(256, 16, 4, 256, 16),
    Shape(1024, 64, 8, 512, 1024),
    Shape(1024, 64, 8, 512, 1024, routing="forced"),
]
ON_GPU = [Shape(1536, 128, 8, 256, 24576), Shape(1536, 128, 8, 256, 24576, routing="forced")]
ON_GPU += [Shape(2048, 64, 8, 1024, 4096), Shape(2048, 64, 8, 1024, 4096, routing="skewed")]


def main() -> None:
    """Print one table row per shape and contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="timed rounds of each contender")
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    parser.add_argument("--device", default="cpu", help="cpu (fp32) or cuda (bf16)")
    given = parser.parse_args()
    device, shapes = torch.device(given.device), ON_CPU if given.device == "cpu" else ON_GPU
    memory = {shape: measure_in_processes(shape) for shape in shapes} if device.type == "cpu" else {}
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    start_world()
    start_deepspeed()
    print("| width | experts | tokens | routing | layer | ms | of dense | GFLOP/s | MB |\n|" + "---|" * 9)
    for shape in shapes:
        layers = build(shape, device)
        times, peak = time_in_turn(layers, shape, rounds=given.rounds, device=device)
        peak |= memory.get(shape, {})
        best, median = ({name: of(taken) for name, taken in times.items()} for of in (min, statistics.median))
        experts = f"{shape.num_experts} top-{shape.top_k} of {shape.expert_width}"
        for name, seconds in best.items():
            shares = f"{best['dense'] / seconds:.2f} ({median['dense'] / median[name]:.2f})"
            print(
                f"| {shape.width} | {experts} | {shape.num_tokens} | {shape.routing} | {name} | {seconds * 1e3:.1f} "
                f"| {shares} | {shape.flops / seconds / 1e9:.0f} | {peak[name] / 1e6:.0f} |",
                flush=True,
            )


def build(shape: Shape, device: torch.device) -> dict[str, Contender]:
    """Layers with the same active parameters and, for the MoE ones, the same weights."""
    torch.manual_seed(0)
    config = MoEConfig(
        num_experts=shape.num_experts, top_k=shape.top_k, expert_width=shape.expert_width, num_shared_experts=0,
        scores=Scores.softmax,
    )  # fmt: skip
    ours = MoELayer(config, d_model=shape.width, expert_group=None)
    for weight in ours.parameters():
        torch.nn.init.normal_(weight, std=shape.width**-0.5)
    if shape.routing == "skewed":
        with torch.no_grad():
            ours.router.weight[0] += 4 * shape.width**-0.5
    layers = {"dense": SwiGLU(shape.width, width=shape.expert_width * shape.top_k), "ours": _First(ours)}
    if shape.routing == "forced":
        ours.router.policy = RoutingConfig(forced_balance=True)
    kernels = ExpertKernels.compiled if device.type == "cpu" else ExpertKernels.triton
    layers[f"ours, {kernels.value}"] = _First(_with_kernels(kernels, shape, ours))
    if shape.routing != "forced":
        for implementation in ("eager", "grouped_mm"):
            layers[f"transformers {implementation}"] = _transformers_layer(shape, ours, implementation)
        layers["DeepSpeed"] = _First(_deepspeed_layer(shape, ours))
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    layers = {name: layer.to(device, dtype) for name, layer in layers.items()}
    if device.type == "cuda":  # as engine.compile=true has them
        layers |= {f"{name}, torch.compile": torch.compile(layers[name]) for name in ("dense", "ours", "ours, triton")}
    return layers


def _with_kernels(kernels: ExpertKernels, shape: Shape, ours: MoELayer) -> MoELayer:
    layer = copy.deepcopy(ours)
    if kernels is ExpertKernels.triton:
        layer.experts.kernels = ask_triton_experts
    else:
        widths = {"d_model": shape.width, "expert_width": shape.expert_width}
        layer.experts.kernels = compile_experts(**widths, key="engine.expert_kernels")
    return layer


class _First(torch.nn.Module):
    """A layer that returns more than its answer."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[0]


def _transformers_layer(shape: Shape, ours: MoELayer, implementation: str) -> Qwen3MoeSparseMoeBlock:
    config = Qwen3MoeConfig(
        hidden_size=shape.width, num_experts=shape.num_experts, num_experts_per_tok=shape.top_k,
        moe_intermediate_size=shape.expert_width, norm_topk_prob=True, experts_implementation=implementation,
    )  # fmt: skip
    layer = Qwen3MoeSparseMoeBlock(config)
    with torch.no_grad():
        layer.gate.weight.copy_(ours.router.weight)
        layer.experts.gate_up_proj.copy_(ours.experts.gate_up)
        layer.experts.down_proj.copy_(ours.experts.down)
    return layer


def _deepspeed_layer(shape: Shape, ours: MoELayer) -> torch.nn.Module:
    from deepspeed.moe.layer import MoE  # after mai1.engine, which tells DeepSpeed what device there is

    layer = MoE(
        shape.width, SwiGLU(shape.width, width=shape.expert_width), shape.num_experts, k=shape.top_k, drop_tokens=False,
        use_rts=False, top2_2nd_expert_sampling=False,
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):  # it announces its process group
        layer.set_deepspeed_parallelism()
    with torch.no_grad():
        layer.deepspeed_moe.gate.wg.weight.copy_(ours.router.weight)
        for expert, gate_up, down in zip(
            layer.deepspeed_moe.experts.deepspeed_experts, ours.experts.gate_up, ours.experts.down, strict=True
        ):
            expert.gate_up.weight.copy_(gate_up)
            expert.down.weight.copy_(down)
    return layer


def _tokens(shape: Shape, device: torch.device) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, shape.num_tokens, shape.width, generator=generator) + (0.1 if shape.routing == "skewed" else 0.0)
    return x.to(device, torch.bfloat16 if device.type == "cuda" else torch.float32)


def time_in_turn(
    layers: dict[str, Contender], shape: Shape, *, rounds: int, device: torch.device
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of every forward and backward of each layer, and on a GPU its peak bytes; the MoE layers must agree."""
    x = _tokens(shape, device)
    expected, tolerance = layers["ours"](x), 1e-4 if device.type == "cpu" else 5e-2
    for name, layer in list(layers.items()):
        try:
            answer = layer(x)
        except torch.OutOfMemoryError:
            print(f"{name}: more memory than this device has, left out", file=sys.stderr)
            del layers[name]
            continue
        is_same = name.startswith("dense") or torch.allclose(answer, expected, atol=tolerance)
        assert is_same, f"{name} computes something else"
    times, peak = {name: [] for name in layers}, {}
    for _ in range(rounds):
        for name, layer in layers.items():
            layer.zero_grad(set_to_none=True)
            tokens = x.clone().requires_grad_()
            before = _start_reading(device)
            started = time.perf_counter()
            layer(tokens).sum().backward()
            if device.type == "cuda":
                torch.cuda.synchronize()
                peak[name] = torch.cuda.max_memory_allocated() - before
            times[name].append(time.perf_counter() - started)
    return times, peak


def _start_reading(device: torch.device) -> int:
    if device.type == "cpu":
        return 0
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def measure_in_processes(shape: Shape) -> dict[str, float]:
    """Peak bytes of the first forward and backward of each contender, each in a process of its own that has done nothing."""
    names = ["dense", "ours", "ours, compiled"] + ["transformers eager", "transformers grouped_mm", "DeepSpeed"] * (
        shape.routing != "forced"
    )
    context = multiprocessing.get_context("fork")  # nothing has computed yet, so nothing is lost by a fork
    peaks = {}
    for name in names:
        results = context.SimpleQueue()
        process = context.Process(target=_measure, args=(shape, name, results))
        process.start()
        peaks[name] = results.get()
        process.join()
    return peaks


def _measure(shape: Shape, name: str, results) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("LOCAL_RANK", "0")
    start_world()
    start_deepspeed()
    device = torch.device("cpu")
    layer, x = build(shape, device)[name], _tokens(shape, device).requires_grad_()
    ctypes.CDLL(None).malloc_trim(0)  # what building the others left behind
    Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
    before = _status("VmRSS")
    layer(x).sum().backward()
    results.put(_status("VmHWM") - before)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) * 1024


if __name__ == "__main__":
    main()
