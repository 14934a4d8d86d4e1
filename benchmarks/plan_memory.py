"""What `mai1 plan` says a training step takes of memory, beside what a real one takes on this machine.

usage: python benchmarks/plan_memory.py [--threads 1]

Each row is a process of its own that builds the engine of `mai1 pretrain` (DeepSpeed, ZeRO, fp32 on a CPU, one rank) and makes
three optimizer steps on random tokens, each row of text one document. Measured is the peak resident size that Linux reports
(VmHWM) less what the process had before, when it had made the same steps of a tiny model, so that libraries are loaded.
Planned are all kinds of `memory_of`, which for fp32 knows our kernels on a CPU. Memory that is freed goes back to Linux at once;
a training run keeps it (`mai1.dist.keep_freed_memory`), and may hold more, as much as lies in pieces nobody asks for.

Bound by: nothing worth speeding up; a few seconds a row.
"""

import argparse
import ctypes
import gc
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from mai1.data.batch import Batch, Row, collate
from mai1.dist import World, start_world, stop_world
from mai1.engine.ds_config import EngineConfig
from mai1.engine.engine import Engine, start_deepspeed
from mai1.loss import LossConfig, as_totals, compute_losses, count_totals, counted_tokens
from mai1.model.attention import AttentionConfig, AttentionKind, QKNorm
from mai1.model.init import initialize
from mai1.model.moe.balance import BalanceConfig, Counted
from mai1.model.moe.layer import MoEConfig
from mai1.model.transformer import ModelConfig, MoETransformer
from mai1.optim.config import OptimConfig
from mai1.plan.layout import Format, Layout, Recompute
from mai1.plan.memory.memory import memory_of
from mai1.plan.workload import Workload

TRIMMED_FROM, MAPPED_FROM, MAPS_AT_MOST = -1, -3, -4
"""Keys of glibc's malloc.h."""

GROUPED = AttentionConfig(num_heads=8, num_kv_heads=2, head_dim=64)
LATENT = AttentionConfig(
    kind=AttentionKind.latent, num_heads=8, num_kv_heads=8, head_dim=32, qk_norm=QKNorm.none,
    query_rank=192, kv_rank=128, rope_dim=32, value_dim=32,
)  # fmt: skip
MOE = MoEConfig(num_experts=16, top_k=4, expert_width=256, num_shared_experts=1)
FIRST = ModelConfig(
    vocab_size=256, d_model=64, num_layers=2, dense_width=64, moe=MoEConfig(num_experts=4, top_k=2, expert_width=64)
)
MODELS = {
    "36 M": ModelConfig(vocab_size=8192, d_model=384, num_layers=6, dense_width=1024, attention=GROUPED, moe=MOE),
    "25 M latent": ModelConfig(vocab_size=8192, d_model=320, num_layers=5, dense_width=1024, attention=LATENT, moe=MOE),
    "89 M": ModelConfig(vocab_size=16384, d_model=640, num_layers=8, dense_width=1536, attention=GROUPED, moe=MOE),
}
CASES = (
    ("36 M", 2, 512, 1, 2, False),
    ("36 M", 8, 512, 1, 2, False),
    ("36 M", 8, 512, 1, 2, True),
    ("36 M", 8, 512, 2, 2, False),
    ("36 M", 2, 512, 1, 3, False),
    ("25 M latent", 8, 512, 1, 2, False),
    ("25 M latent", 4, 1024, 1, 2, True),
    ("89 M", 1, 512, 1, 2, False),
)
"""Model, rows of a microbatch, tokens of a row, microbatches of a step, ZeRO stage, recomputation."""


def main() -> None:
    """Print a table row a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--case", type=int, help="only print this one's measured bytes")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.case is not None:
        print(measured_bytes(*CASES[given.case]))
        return
    print("| model | microbatch | microbatches | ZeRO | recompute | measured MB | planned MB | error |")
    print("|---|---|---|---|---|---|---|---|")
    errors = []
    for number, case in enumerate(CASES):
        measured, planned = ask(number, threads=given.threads), planned_bytes(*case)
        errors.append(planned / measured - 1)
        model, rows, length, num_microbatches, zero_stage, recompute = case
        print(
            f"| {model} | {rows} x {length} | {num_microbatches} | {zero_stage} | {'full' if recompute else 'none'} "
            f"| {measured / 1e6:,.0f} | {planned / 1e6:,.0f} | {errors[-1]:+.1%} |",
            flush=True,
        )
    print(f"\nmean absolute error {np.mean(np.abs(errors)):.1%}, largest {max(map(abs, errors)):.1%}")


def planned_bytes(model: str, rows: int, length: int, num_microbatches: int, zero_stage: int, recompute: bool) -> float:
    """The planner's total."""
    layout = Layout(
        num_devices=1,
        microbatch=rows,
        zero_stage=zero_stage,
        format=Format.fp32,
        recompute=Recompute.full if recompute else Recompute.none,
    )
    workload = Workload(model=MODELS[model], sequence_length=length, sequences_per_step=rows * num_microbatches)
    return memory_of(workload, layout, is_packed=False).total


def ask(number: int, *, threads: int) -> int:
    """What a case takes in a process of its own."""
    command = [sys.executable, __file__, "--case", str(number), "--threads", str(threads)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(answer.stdout.split()[-1])


def measured_bytes(model: str, rows: int, length: int, num_microbatches: int, zero_stage: int, recompute: bool) -> int:
    """The growth of this process over three steps of this model, after some of another one in which libraries load."""
    world = start_world(timeout_s=60)
    start_deepspeed()
    give_back_freed_memory()
    engine_config = EngineConfig(zero_stage=zero_stage, recompute=recompute)
    train(FIRST, engine_config, world, rows=1, length=64, num_microbatches=num_microbatches)
    gc.collect()
    before = resident("VmRSS")
    train(MODELS[model], engine_config, world, rows=rows, length=length, num_microbatches=num_microbatches)
    peak = resident("VmHWM")
    stop_world()
    return peak - before


def give_back_freed_memory() -> None:
    """The opposite of what a training run asks of the C library: what is freed is gone at once, so peaks can be seen."""
    library = ctypes.CDLL(None)
    for key, value in ((MAPS_AT_MOST, 2**30), (MAPPED_FROM, 2**16), (TRIMMED_FROM, 2**16)):
        library.mallopt(key, value)


def train(
    config: ModelConfig, engine_config: EngineConfig, world: World, *, rows: int, length: int, num_microbatches: int
) -> None:
    """Build the engine and make three steps."""
    batches = [random_batch(config, rows, length, seed) for seed in range(num_microbatches)]
    model = MoETransformer(config)
    initialize(model, seed=0)
    sizes = {"microbatch": rows, "accumulation": num_microbatches}
    engine = Engine(model, engine_config, OptimConfig(), world=world, **sizes)
    model.train()
    totals = as_totals(count_totals(batches, counted=Counted.targets, num_mtp_layers=0))

    def compute(batch: Batch, _: None) -> tuple[torch.Tensor, torch.Tensor]:
        output = model(
            batch.tokens_BT,
            positions_BT=batch.positions_BT,
            segments_BT=batch.isolating_segments_BT,
            counted_BT=counted_tokens(batch, Counted.targets),
            samples_B=batch.samples_B,
        )
        losses = compute_losses(output, batch, loss=LossConfig(), balance=BalanceConfig(), totals=totals)
        return output.hidden_BTD, losses.total

    for _ in range(3):
        engine.train_batch(batches, compute, learning_rate=1e-4, accept=lambda norm: True)


def random_batch(config: ModelConfig, rows: int, length: int, seed: int) -> Batch:
    """Rows of random tokens without a document's end among them."""
    ids = np.random.default_rng(seed).integers(1, config.vocab_size, size=(rows, length + 1))
    made = [Row(row, np.ones_like(row, dtype=np.uint8), num_valid=len(row)) for row in ids]
    return collate(made, end_of_text_id=0)


def resident(kind: str) -> int:
    """Bytes that Linux reports of this process: VmRSS now, VmHWM at most so far."""
    return 1024 * int(re.search(rf"{kind}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


if __name__ == "__main__":
    main()
