"""Our own isoFLOP curves: small mixtures of several sizes at several budgets, and how the best size grows with compute.

usage: python benchmarks/iso_flop.py --out runs/iso_flop (--data DIR | --text FILE [--vocabulary 0])
           [--budgets 1.5e11 4.5e11 1.35e12] [--widths 16 ...] [--learning-rate 4e-3] [--stop-after-s 250]
       python benchmarks/iso_flop.py --out runs/iso_flop --table

Hoffmann et al. 2022 (arXiv 2203.15556), approach 2: each budget of training FLOPs (convention of mai1/model/flops.py) is spent
on four sizes, as many steps as it pays for; a parabola through ln loss by ln size has its valley at the best size, and a line
through the valleys is the exponent. All models have two layers with 16 experts of half the width, 4 of them active, and differ
in their width. Size is counted as the laws count: active parameters without embeddings. The learning rate is given for a
width of 128 and is in proportion to 1 / width.

Every run is one line of OUT/runs.jsonl when it is done; the same command goes on where it was cut. --stop-after-s starts no
further run after so many seconds.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from moe_vs_dense import Settings, Shape, Training, build_model, parse_sweep, prepare, read_runs

from mai1.dist import World, start_world, stop_world
from mai1.engine.engine import start_deepspeed
from mai1.model.flops import training_flops_per_token
from mai1.plan.laws.fit import best_size_exponent, fit, size_and_tokens, starts, valley

WIDTHS = [16, 24, 32, 48, 64, 96]
BUDGETS = [1.5e11, 4.5e11, 1.35e12]
WIDTHS_A_BUDGET = 4
NUM_LAYERS, NUM_EXPERTS, TOP_K, HEAD_DIM = 2, 16, 4, 16
AT_WIDTH = 128


def main() -> None:
    """Run what is missing, then print the table."""
    given = parse_arguments()
    if not given.table:
        torch.set_num_threads(given.threads)
        given.out.mkdir(parents=True, exist_ok=True)
        data = given.data or given.out / "data"
        if given.text and not data.is_dir():
            prepare(given.text, data, vocabulary=given.vocabulary)
        world = start_world()
        start_deepspeed()
        sweep(given, data, world=world)
        stop_world()
    print_table(given.out)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", type=float, nargs="+", default=BUDGETS, help="training FLOPs of each run")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="ascending; each budget takes 4 of them")
    parser.add_argument("--learning-rate", type=float, default=4e-3, help="peak of the cosine, at a width of 128")
    parser.add_argument("--stop-after-s", type=float, default=float("inf"), help="start no further run after that")
    return parse_sweep(parser, vocabulary=0, sequence_length=128, threads=1)


def widths_of(number: int, given: argparse.Namespace) -> list[int]:
    """Four for the n-th budget: wider ones for larger budgets."""
    first = min(number, len(given.widths) - WIDTHS_A_BUDGET)
    return given.widths[max(0, first) : first + WIDTHS_A_BUDGET]


def sweep(given: argparse.Namespace, data: Path, *, world: World) -> None:
    """Every run that is not yet in OUT/runs.jsonl, the cheap ones first."""
    (given.out / "runs.jsonl").touch()
    done = {(run["budget"], run["width"]) for run in read_runs(given.out)}
    started = time.perf_counter()
    for number, budget in enumerate(sorted(given.budgets)):
        for width in widths_of(number, given):
            if (budget, width) not in done and time.perf_counter() - started < given.stop_after_s:
                run = train(width, budget, given, data, world=world)
                with open(given.out / "runs.jsonl", "a", encoding="utf-8") as file:
                    file.write(json.dumps(run) + "\n")
                world.say(f"{budget:g} FLOPs on width {width}: {run['seconds']:.0f} s, {run['loss']:.4f}")


def train(width: int, budget: float, given: argparse.Namespace, data: Path, *, world: World) -> dict:
    """One run: as many steps as the budget pays for."""
    shape = Shape(NUM_LAYERS, width, NUM_EXPERTS, TOP_K, width // 2, HEAD_DIM)
    rate = given.learning_rate * AT_WIDTH / width
    settings = Settings(
        data=str(data), shapes=[], minutes=0.0, rows=given.rows, sequence_length=given.sequence_length,
        learning_rate=rate, threads=given.threads,
    )  # fmt: skip
    training = Training(shape, settings, seed=0, steps=1, world=world)
    vocab_size = training.data.tokenizer.vocabulary.size
    flops = training_flops_per_token(
        build_model(shape, vocab_size=vocab_size, context=given.sequence_length).config, context=given.sequence_length
    )
    tokens_per_step = given.rows * given.sequence_length
    steps = max(2, round(budget / flops / tokens_per_step))
    training.steps, training.optim = steps, replace(training.optim, warmup_steps=1 + steps // 25)
    began = time.process_time()
    for step in range(steps):
        training.step(step)
    return {
        "budget": budget, "width": width, "learning_rate": rate, "active": active_parameters(training), "flops_per_token": flops,
        "steps": steps, "tokens": steps * tokens_per_step, "seconds": time.process_time() - began,
        **training.heldout(),
    }  # fmt: skip


def active_parameters(training: Training) -> int:
    """Of attention, router, norms and active experts; the embedding, which is also the output, is left out."""
    counts = {name: weight.numel() for name, weight in training.engine.model.named_parameters()}
    experts = sum(count for name, count in counts.items() if ".experts." in name)
    embedding = sum(count for name, count in counts.items() if "embed" in name)
    return sum(counts.values()) - embedding - experts * (NUM_EXPERTS - TOP_K) // NUM_EXPERTS


def print_table(out: Path) -> None:
    """The curves, their valleys and the exponents."""
    curves: dict[float, list[dict]] = {}
    for run in sorted(read_runs(out), key=lambda run: (run["budget"], run["active"])):
        curves.setdefault(run["budget"], []).append(run)
    print(
        "| FLOPs | width | active parameters | tokens | steps | CPU s | held-out loss |\n|---|---|---|---|---|---|---|"
    )
    for budget, runs in curves.items():
        for run in runs:
            counts = f"{run['active']:,} | {run['tokens']:,} | {run['steps']} | {run['seconds']:.0f}"
            print(f"| {budget:.2e} | {run['width']} | {counts} | {run['loss']:.4f} |")
    print_fits({budget: runs for budget, runs in curves.items() if len(runs) >= WIDTHS_A_BUDGET})


def print_fits(curves: dict[float, list[dict]]) -> None:
    """Best sizes by budget, exponents of parameters and of FLOPs a token, and the law through all runs."""
    for name, key in (("active parameters", "active"), ("FLOPs a token", "flops_per_token")):
        arrays = {
            budget: (np.array([run[key] for run in runs], dtype=float), np.array([run["loss"] for run in runs]))
            for budget, runs in curves.items()
        }
        print()
        for budget, (sizes, losses) in arrays.items():
            best = valley(budget, sizes, losses)
            place = "" if best.is_inside else ", outside of the sizes trained"
            print(f"{budget:.2e} FLOPs: best {name} {best.size:,.0f}{place}, loss {best.loss:.4f}")
        if len(arrays) >= 2:
            found = best_size_exponent(arrays)
            print(f"best {name} grow with compute to the {found.exponent:.3f} +- {found.error:.3f}")
    print("tokens grow with the rest of what FLOPs a token do")
    runs = [run for runs in curves.values() for run in runs]
    if len(runs) >= 12:
        law = size_and_tokens(*(np.array([run[name] for run in runs], dtype=float) for name in ("active", "tokens")))
        grid = starts([-2, 0, 0.5], [0, 3, 6], [0.1, 0.3, 0.6], [0, 3, 6], [0.1, 0.3, 0.6])
        found = fit(law, np.array([run["loss"] for run in runs]), grid)
        names = ("ln c", "ln A", "alpha", "ln B", "beta")
        values = zip(names, found.theta_P, found.errors_P, strict=True)
        print("L = c + A N^-alpha + B D^-beta: " + ", ".join(f"{n} {v:.3f} +- {e:.3f}" for n, v, e in values), end="")
        print(f"; residual {found.rms:.2%}")


if __name__ == "__main__":
    main()
