"""A whole training step of a small MoE model against transformers' and against dense models of equal active FLOPs.

usage: python benchmarks/train_step.py [--rounds 7] [--threads 2]

24 M parameters (Qwen3-MoE: 6 layers of width 256, 16 experts top-4 of 256, vocabulary 8,192), 8 rows of 512 random tokens,
fp32 on the CPU. A step is forward, loss, backward, clipping and fused AdamW. All contenders run in this process, in turn,
on the same tokens and, for the MoE ones, from the same weights, and have to arrive at the same losses; so do the two dense
models. Each row is one document, so attention is plainly causal everywhere (transformers: sdpa). No contender has balancing
or router losses. What the C library gets from the system it keeps (mai1.dist.keep_freed_memory), for all alike.
`DeepSpeed engine` is the step of `mai1 pretrain`; the others are a plain loop around torch's clipping and optimizer. `compiled`
is `engine.expert_kernels=compiled`, which needs gcc.

Memory is of a process of its own that builds the one model and makes one step: the peak resident size that Linux reports
(VmHWM) less what the imports took, so weights, gradients, moments and activations.

Bound by: matrix products, 70% of the dense step. An MoE step does the same products in smaller pieces, routes, moves rows,
and updates 2.6 times as many weights.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

from mai1.data.batch import Batch, Row, collate
from mai1.dist import keep_freed_memory, start_world, stop_world
from mai1.engine.ds_config import EngineConfig
from mai1.engine.engine import Engine, start_deepspeed
from mai1.loss import LossConfig, as_totals, compute_losses, count_totals, counted_tokens
from mai1.model.attention import AttentionConfig, QKNorm
from mai1.model.cross_entropy import chunked_cross_entropy
from mai1.model.expert_kernels import ExpertKernels, use_kernels
from mai1.model.ffn import SwiGLU
from mai1.model.init import initialize
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.moe.layer import MoEConfig
from mai1.model.moe.router import Scores
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.transformer import ModelConfig, MoETransformer
from mai1.optim.adamw import OptimConfig, build_adamw, parameter_groups

ROWS, SEQUENCE_LENGTH = 8, 512
CONFIG = ModelConfig(
    vocab_size=8192, d_model=256, num_layers=6, num_dense_layers=0, max_positions=SEQUENCE_LENGTH, init_std=0.04,
    attention=AttentionConfig(num_heads=4, num_kv_heads=2, head_dim=64, qk_norm=QKNorm.head),
    moe=MoEConfig(num_experts=16, top_k=4, expert_width=256, num_shared_experts=0, scores=Scores.softmax),
)  # fmt: skip
DENSE_WIDTH = CONFIG.moe.top_k * CONFIG.moe.expert_width
OPTIM = OptimConfig(learning_rate=1e-4)
BALANCE = BalanceConfig(method=BalanceMethod.none, z_loss_weight=0)

DENSE, FORCED, ENGINE = "ours, dense", "ours, forced balance", "ours, DeepSpeed engine"
COMPILED, COMPILED_ENGINE = "ours, compiled", "ours, compiled, DeepSpeed engine"
THEIR_DENSE, GROUPED, EAGER = "transformers dense", "transformers grouped_mm", "transformers eager"
CONTENDERS = ("ours", COMPILED, FORCED, ENGINE, COMPILED_ENGINE, DENSE, GROUPED, EAGER, THEIR_DENSE)
SAME_LOSS = (("ours", COMPILED, ENGINE, COMPILED_ENGINE, GROUPED, EAGER), (DENSE, THEIR_DENSE))
DENSE_OF = {name: THEIR_DENSE if name.startswith("transformers") else DENSE for name in CONTENDERS}

THEIR_NAMES = {
    "embedding.": "embed_tokens.", "final_norm.": "norm.", "attention_norm.": "input_layernorm.",
    "ffn_norm.": "post_attention_layernorm.", "attention.query_norm.": "self_attn.q_norm.",
    "attention.key_norm.": "self_attn.k_norm.", "attention.query.": "self_attn.q_proj.",
    "attention.key.": "self_attn.k_proj.", "attention.value.": "self_attn.v_proj.",
    "attention.output.": "self_attn.o_proj.", "ffn.router.": "mlp.gate.", "ffn.experts.gate_up": "mlp.experts.gate_up_proj",
    "ffn.experts.down": "mlp.experts.down_proj", "ffn.down.": "mlp.down_proj.",
}  # fmt: skip
"""Parts of our parameters' names and what transformers calls them."""

Step = Callable[[], float]
"""One training step; returns its loss."""


def main() -> None:
    """Print one table row per contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="timed steps of each contender")
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    parser.add_argument("--peak-of", choices=CONTENDERS, help="only print this one's peak memory in MB")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    if given.peak_of:
        print(peak_megabytes(given.peak_of))
        return
    peaks = {name: ask_for_peak(name, threads=given.threads) for name in CONTENDERS}
    seconds = time_in_turn({name: build(name) for name in CONTENDERS}, rounds=given.rounds)
    print_table(seconds, peaks)
    stop_world()


def build(name: str) -> Step:
    """A contender's training step, from the weights that all of its kind begin with."""
    model = dense_model() if name in (DENSE, THEIR_DENSE) else MoETransformer(CONFIG)
    initialize(model, seed=0)
    batch = random_batch()
    if name.startswith("transformers"):
        return _their_step(their_model(name, model), batch)
    model.set_routing(RoutingConfig(forced_balance=name == FORCED), seed=0)
    if name in (COMPILED, COMPILED_ENGINE):
        use_kernels(model, ExpertKernels.compiled, key="engine.expert_kernels")
    return _engine_step(model, batch) if name in (ENGINE, COMPILED_ENGINE) else _our_step(model, batch)


def dense_model() -> MoETransformer:
    """Our blocks with a dense network in every layer; a model's configuration insists on one MoE layer."""
    model = MoETransformer(replace(CONFIG, num_dense_layers=CONFIG.num_layers - 1, dense_width=DENSE_WIDTH))
    model.layers[-1].ffn = SwiGLU(CONFIG.d_model, width=DENSE_WIDTH)
    return model


def random_batch() -> Batch:
    """Rows of random tokens without a document's end among them."""
    ids = np.random.default_rng(0).integers(1, CONFIG.vocab_size, size=(ROWS, SEQUENCE_LENGTH + 1))
    rows = [Row(row, np.ones_like(row, dtype=np.uint8), num_valid=len(row)) for row in ids]
    batch = collate(rows, end_of_text_id=0)
    assert not batch.is_packed, "with several documents in a row transformers would need a mask"
    return batch


def _our_step(model: MoETransformer, batch: Batch) -> Step:
    optimizer = build_adamw(parameter_groups(model.named_parameters(), OPTIM), OPTIM)

    def step() -> float:
        loss = our_loss(model, batch)
        loss.backward()
        _update(model, optimizer)
        return loss.item()

    return step


def _engine_step(model: MoETransformer, batch: Batch) -> Step:
    world = start_world()
    start_deepspeed()
    engine = Engine(model, EngineConfig(), OPTIM, world=world, microbatch=ROWS, accumulation=1)

    def step() -> float:
        losses = []

        def compute(batch: Batch, x_BTD: None) -> tuple[None, torch.Tensor]:
            losses.append(our_loss(engine.model, batch))
            return x_BTD, losses[0]

        engine.train_batch([batch], compute, learning_rate=OPTIM.learning_rate, accept=lambda grad_norm: True)
        return losses[0].item()

    return step


def our_loss(model: MoETransformer, batch: Batch) -> torch.Tensor:
    """Forward and loss as the trainer makes them."""
    totals = as_totals(count_totals([batch], counted=BALANCE.counted, num_mtp_layers=0))
    output = model(
        batch.tokens_BT,
        positions_BT=batch.positions_BT,
        segments_BT=batch.isolating_segments_BT,
        counted_BT=counted_tokens(batch, BALANCE.counted),
        samples_B=batch.samples_B,
    )
    if not output.routings:  # a dense model
        hidden_ND, targets_N = output.hidden_BTD.flatten(0, 1), batch.targets_BT.flatten()
        entropy = chunked_cross_entropy(hidden_ND, output.unembedding_VD, targets_N, batch.loss_mask_BT.flatten())
        return entropy.total / totals.num_targets
    return compute_losses(output, batch, loss=LossConfig(), balance=BALANCE, totals=totals).total


def _their_step(model: PreTrainedModel, batch: Batch) -> Step:
    optimizer = build_adamw(parameter_groups(model.named_parameters(), OPTIM), OPTIM)

    def step() -> float:
        loss = model(batch.tokens_BT, labels=batch.targets_BT, shift_labels=batch.targets_BT, use_cache=False).loss
        loss.backward()
        _update(model, optimizer)
        return loss.item()

    return step


def _update(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    nn.utils.clip_grad_norm_(model.parameters(), OPTIM.clip_norm)
    optimizer.step()
    optimizer.zero_grad()


def their_model(name: str, ours: MoETransformer) -> PreTrainedModel:
    """transformers' model with the weights of ours."""
    shared = {
        "vocab_size": CONFIG.vocab_size, "hidden_size": CONFIG.d_model, "num_hidden_layers": CONFIG.num_layers,
        "num_attention_heads": CONFIG.attention.num_heads, "num_key_value_heads": CONFIG.attention.num_kv_heads,
        "head_dim": CONFIG.attention.head_dim, "intermediate_size": DENSE_WIDTH, "rms_norm_eps": CONFIG.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": CONFIG.rope_theta},
        "max_position_embeddings": CONFIG.max_positions, "tie_word_embeddings": False, "attn_implementation": "sdpa",
    }  # fmt: skip
    if name == THEIR_DENSE:
        model = Qwen3ForCausalLM(Qwen3Config(**shared))
    else:
        config = Qwen3MoeConfig(
            **shared, num_experts=CONFIG.moe.num_experts, num_experts_per_tok=CONFIG.moe.top_k,
            moe_intermediate_size=CONFIG.moe.expert_width, norm_topk_prob=True,
            experts_implementation=name.removeprefix("transformers "),
        )  # fmt: skip
        model = Qwen3MoeForCausalLM(config)
        assert name.endswith(model.config._experts_implementation), "transformers has chosen other experts"
    assert model.config._attn_implementation == "sdpa"
    model.load_state_dict(their_state(ours))
    return model.train()


def their_state(ours: MoETransformer) -> dict[str, torch.Tensor]:
    """Our weights under transformers' names."""
    state = {}
    for name, weight in ours.state_dict().items():
        if name == "unembedding.weight":
            state["lm_head.weight"] = weight
            continue
        for mine, theirs in THEIR_NAMES.items():
            name = name.replace(mine, theirs)
        if name.endswith("ffn.gate_up.weight"):
            halves = zip(("gate_proj", "up_proj"), weight.chunk(2), strict=True)
            state |= {f"model.{name}".replace("ffn.gate_up", f"mlp.{half}"): part for half, part in halves}
        else:
            state[f"model.{name}"] = weight
    return state


def time_in_turn(steps: dict[str, Step], *, rounds: int) -> dict[str, list[float]]:
    """Seconds of every timed step; the first two, untimed, must give the same losses."""
    for _ in range(2):  # the second loss depends on every gradient
        losses = {name: step() for name, step in steps.items()}
        for names in SAME_LOSS:
            apart = max(abs(losses[name] - losses[names[0]]) for name in names)
            assert apart < 1e-4, f"these should be the same loss: {losses}"
    seconds = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def peak_megabytes(name: str) -> float:
    """How much this process grows at most when it builds a contender and makes a step."""
    before = _resident_kilobytes("VmRSS")
    build(name)()
    return (_resident_kilobytes("VmHWM") - before) / 1e3


def ask_for_peak(name: str, *, threads: int) -> float:
    """The same of a process of its own."""
    command = [sys.executable, __file__, "--peak-of", name, "--threads", str(threads)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _resident_kilobytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{key}:")).split()[1])


def print_table(seconds: dict[str, list[float]], peaks: dict[str, float]) -> None:
    """Best and median step; shares and ratios of the best ones."""
    best = {name: min(times) for name, times in seconds.items()}
    their_best = min(best[GROUPED], best[EAGER])
    print("| step | best ms | median ms | tokens/s | of its own dense | of transformers' best MoE | peak MB |")
    print("|---|---|---|---|---|---|---|")
    for name, times in seconds.items():
        shares = f"{best[DENSE_OF[name]] / best[name]:.2f} | {their_best / best[name]:.2f}"
        speed = f"{best[name] * 1e3:.0f} | {statistics.median(times) * 1e3:.0f} | {ROWS * SEQUENCE_LENGTH / best[name]:,.0f}"
        print(f"| {name} | {speed} | {shares} | {peaks[name]:.0f} |")


if __name__ == "__main__":
    main()
