"""One MoE layer, forward and backward, against transformers' and against a dense layer of equal active FLOPs.

usage: python benchmarks/moe_layer.py [--rounds 7] [--threads 2]

All contenders run in this process, in turn, on the same random input; the table gives each one's best round and its
speed as a share of the dense layer's. Routing is whatever random weights make of random input: about balanced; `skewed`
shifts one expert's weight so that it gets about a third of all choices.

Bound by: matrix products. The dense layer does the same number of multiply-adds in three large products, so what is below 1
is the price of routing, of moving rows, and of smaller products.
"""

import argparse
import time
from dataclasses import dataclass

import torch
from transformers import Qwen3MoeConfig
from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeSparseMoeBlock

from mai1.model.ffn import SwiGLU
from mai1.model.moe.layer import MoEConfig, MoELayer
from mai1.model.moe.router import Scores


@dataclass(frozen=True)
class Shape:
    """One layer and how many tokens it gets."""

    width: int
    num_experts: int
    top_k: int
    expert_width: int
    num_tokens: int
    is_skewed: bool = False


SHAPES = [
    Shape(256, 16, 4, 256, 4096),
    Shape(256, 16, 4, 256, 4096, is_skewed=True),
    Shape(256, 16, 4, 256, 16),
    Shape(1024, 64, 8, 512, 1024),
]


def main() -> None:
    """Print one table row per shape and contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds of each contender")
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print("| width | experts | tokens | routing | layer | ms | of dense |\n|---|---|---|---|---|---|---|")
    for shape in SHAPES:
        best = time_in_turn(contenders(shape), shape, rounds=given.rounds)
        experts = f"{shape.num_experts} top-{shape.top_k} of {shape.expert_width}"
        routing = "skewed" if shape.is_skewed else "random"
        for name, seconds in best.items():
            share = best["dense"] / seconds
            print(
                f"| {shape.width} | {experts} | {shape.num_tokens} | {routing} | {name} | {seconds * 1e3:.1f} | {share:.2f} |"
            )


def contenders(shape: Shape) -> dict[str, torch.nn.Module]:
    """Layers with the same active parameters and, for the MoE ones, the same weights."""
    torch.manual_seed(0)
    config = MoEConfig(
        num_experts=shape.num_experts, top_k=shape.top_k, expert_width=shape.expert_width, num_shared_experts=0,
        scores=Scores.softmax,
    )  # fmt: skip
    ours = MoELayer(config, d_model=shape.width, expert_group=None)
    for weight in ours.parameters():
        torch.nn.init.normal_(weight, std=shape.width**-0.5)
    if shape.is_skewed:
        with torch.no_grad():
            ours.router.weight[0] += 4 * shape.width**-0.5
    layers = {"dense": SwiGLU(shape.width, width=shape.expert_width * shape.top_k), "ours": _Ours(ours)}
    for implementation in ("eager", "grouped_mm"):
        layers[f"transformers {implementation}"] = _transformers_layer(shape, ours, implementation)
    return layers


class _Ours(torch.nn.Module):
    def __init__(self, layer: MoELayer) -> None:
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


def time_in_turn(layers: dict[str, torch.nn.Module], shape: Shape, *, rounds: int) -> dict[str, float]:
    """Best seconds of a forward and backward of each layer; the MoE layers must agree."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, shape.num_tokens, shape.width, generator=generator) + (0.1 if shape.is_skewed else 0.0)
    expected = layers["ours"](x)
    for name, layer in layers.items():
        assert name == "dense" or torch.allclose(layer(x), expected, atol=1e-4), f"{name} computes something else"
    best = dict.fromkeys(layers, float("inf"))
    for _ in range(rounds):
        for name, layer in layers.items():
            layer.zero_grad(set_to_none=True)
            tokens = x.clone().requires_grad_()
            started = time.perf_counter()
            layer(tokens).sum().backward()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


if __name__ == "__main__":
    main()
