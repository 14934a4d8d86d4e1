"""How fast `mai1 pretrain` trains one model on this machine, with each way to compute the experts: tokens a second and MFU.

usage: python benchmarks/pretrain_speed.py --data data/books [--model olmoe_7b_a1b] [--steps 30] [key=value ...]

Every contender is the command itself in a process of its own, on the same data, one after the other: on a GPU grouped
products and Triton's kernels, each with blocks compiled and not; on a CPU torch's products and the kernel in C. The first
routes as the model learns to, and once more with `forced` balance, which no real run has. Speed is of the second half of
the steps, which neither compiles nor warms up anything; memory is the device's peak, on a CPU of the process.
Settings go to all of them: `batch.sequences_per_microbatch=8`, `engine.recompute=true`.

Bound by: on a GPU the matrix products, whose share of the peak is `mfu`; DeepSpeed's update reads and writes 16 bytes a weight
besides, once a step, which larger steps spread over more tokens.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from tqdm import tqdm

from mai1.model.expert_kernels import ExpertKernels

PEAK = (
    "import resource, sys, torch; from mai1.run.cli import main\n"
    "try: main(sys.argv[1:])\n"
    "finally:\n"
    "    on_gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0\n"
    "    print('peak', on_gpu or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
)
"""Runs a command and says what memory it took."""


def main() -> None:
    """Print one table row per contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="what `mai1 prepare` made")
    parser.add_argument("--model", default="olmoe_7b_a1b", help="one of configs/model")
    parser.add_argument("--steps", type=int, default=30, help="of each contender")
    parser.add_argument("settings", nargs="*", help="key=value of `mai1 pretrain`, for all")
    given = parser.parse_args()
    print("| experts by | blocks compiled | routing | tokens/s | times the first | MFU | GB |\n|" + "---|" * 7)
    first = None
    for settings in tqdm(contenders(), desc="runs", disable=None):
        speed, mfu, peak = measure(given, settings)
        first = first or speed
        kernels, compiled, forced = (setting.partition("=")[2] for setting in settings[:3])
        tqdm.write(
            f"| {kernels} | {'yes' if compiled == 'true' else 'no'} | {'forced' if forced == 'true' else 'real'} "
            f"| {speed:,.0f} | {speed / first:.2f} | {'' if mfu is None else f'{mfu:.1%}'} | {peak / 1e9:.1f} |",
            file=sys.stdout,
        )


def contenders() -> list[list[str]]:
    """The settings in which they differ."""
    on_gpu = torch.cuda.is_available()
    ours = ExpertKernels.triton if on_gpu else ExpertKernels.compiled
    ways = [(kernels, compiled) for kernels in (ExpertKernels.torch, ours) for compiled in (False, True)[: 1 + on_gpu]]
    found = [(*way, False) for way in ways] + [(*ways[-1], True)]
    return [
        [
            f"engine.expert_kernels={kernels.value}",
            f"engine.compile={str(compiled).lower()}",
            f"routing.forced_balance={str(forced).lower()}",
            *(["balance.method=none"] if forced else []),
        ]
        for kernels, compiled, forced in found
    ]


def measure(given: argparse.Namespace, settings: list[str]) -> tuple[float, float | None, int]:
    """Median tokens a second and MFU of the second half of a run, and its peak bytes."""
    with tempfile.TemporaryDirectory() as folder:
        common = [f"data.path={given.data}", f"model={given.model}", f"train.steps={given.steps}", "train.log_every=1"]
        common += [
            "train.heldout_every=1000000",
            "checkpoint.every_steps=1000000",
            "samples.count=0",
            f"run.directory={folder}",
        ]
        command = [sys.executable, "-c", PEAK, "pretrain", *common, "run.name=speed", *settings, *given.settings]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"mai1 pretrain {' '.join(command[4:])} failed:\n{done.stderr[-3000:]}")
        lines = (Path(folder) / "speed" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [record for record in map(json.loads, lines) if "tokens_per_s" in record]
    records = records[len(records) // 2 :]
    shares = [record["mfu"] for record in records if record.get("mfu")]
    peak = next(int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("peak "))
    return (
        statistics.median(record["tokens_per_s"] for record in records),
        statistics.median(shares) if shares else None,
        peak,
    )


if __name__ == "__main__":
    main()
