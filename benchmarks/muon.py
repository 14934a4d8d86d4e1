"""Muon against AdamW: held-out loss of a small MoE after as many steps, and after as much time.

usage: python benchmarks/muon.py --out runs/muon (--data DIR | --text FILE [--vocabulary 2048])
           [--shape 2x128/16/4/64] [--steps 200] [--seeds 2] [--adamw 4e-3] [--muon 1.6e-2]
       python benchmarks/muon.py --out runs/muon --table

Each trains for the same steps at its own learning rate; then AdamW once more for as many steps as fit into the time Muon
took, with the whole learning-rate schedule. Model, data, engine and the rest of the settings are those of moe_vs_dense.py.
Start-up and evaluation are not counted. Every run is one line of OUT/runs.jsonl when it is done; the same command goes on
where it was cut.

Bound by: the model's own step; on a CPU, where a step has few tokens, Muon's products add a tenth to it.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from moe_vs_dense import Settings, Shape, Training, prepare

from mai1.dist import World, start_world, stop_world
from mai1.engine.engine import start_deepspeed
from mai1.optim.config import Method

KINDS = ("adamw", "muon", "adamw for muon's time")


def main() -> None:
    """Run what is missing, then print the table."""
    given = parse_arguments()
    runs_file = given.out / "runs.jsonl"
    if not given.table:
        given.out.mkdir(parents=True, exist_ok=True)
        data = given.data or given.out / "data"
        if given.text and not data.is_dir():
            prepare(given.text, data, vocabulary=given.vocabulary)
        torch.set_num_threads(given.threads)
        world = start_world()
        start_deepspeed()
        settings = {
            method: Settings(
                data=str(data.resolve()), shapes=[given.shape], minutes=0.0, rows=given.rows,
                sequence_length=given.sequence_length, learning_rate=learning_rate, threads=given.threads,
            )
            for method, learning_rate in ((Method.adamw, given.adamw), (Method.muon, given.muon))
        }  # fmt: skip
        for seed in range(given.seeds):
            compare(settings, steps=given.steps, seed=seed, runs_file=runs_file, world=world)
        stop_world()
    print_table(read_runs(runs_file))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="directory of results")
    parser.add_argument("--data", type=Path, help="directory that `mai1 prepare` wrote")
    parser.add_argument("--text", type=Path, help="text file to prepare into OUT/data instead")
    parser.add_argument("--vocabulary", type=int, default=2048, help="text pieces for --text; 0: characters")
    parser.add_argument("--shape", default="2x128/16/4/64", help="layers x width/experts/top-k/expert width")
    parser.add_argument("--steps", type=int, default=200, help="steps of the first two runs")
    parser.add_argument("--seeds", type=int, default=2, help="other weights, other order of the data")
    parser.add_argument("--adamw", type=float, default=4e-3, help="peak learning rate of AdamW")
    parser.add_argument("--muon", type=float, default=1.6e-2, help="peak learning rate of Muon")
    parser.add_argument("--rows", type=int, default=16, help="rows of a step")
    parser.add_argument("--sequence-length", type=int, default=256, help="tokens of a row")
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    parser.add_argument("--table", action="store_true", help="run nothing, only print the table")
    given = parser.parse_args()
    if not given.table and bool(given.data) == bool(given.text):
        parser.error("one of --data and --text is needed")
    return given


def compare(settings: dict[Method, Settings], *, steps: int, seed: int, runs_file: Path, world: World) -> None:
    """The three runs of one seed, but for those that are done."""
    done = {run["kind"]: run for run in read_runs(runs_file) if run["seed"] == seed}
    for kind in KINDS:
        if kind not in done:
            method, steps_of_kind = Method.muon if kind == "muon" else Method.adamw, steps
            if kind == KINDS[2]:
                steps_of_kind = round(steps * done["muon"]["seconds"] / done["adamw"]["seconds"])
            done[kind] = {"kind": kind, "seed": seed} | train(
                method, settings[method], steps=steps_of_kind, seed=seed, world=world
            )
            with open(runs_file, "a", encoding="utf-8") as file:
                file.write(json.dumps(done[kind]) + "\n")
            world.say(str(done[kind]))


def train(method: Method, settings: Settings, *, steps: int, seed: int, world: World) -> dict:
    """One run from its first step to its held-out loss."""
    training = Training(Shape.parse(settings.shapes[0]), settings, seed=seed, steps=steps, world=world, method=method)
    started = time.perf_counter()
    for step in range(steps):
        training.step(step)
    seconds = time.perf_counter() - started
    return {
        "learning_rate": settings.learning_rate, "steps": steps, "seconds": round(seconds, 2), **training.heldout()
    }  # fmt: skip


def read_runs(runs_file: Path) -> list[dict]:
    """The runs that are done."""
    return [json.loads(line) for line in runs_file.read_text().splitlines()] if runs_file.is_file() else []


def print_table(runs: list[dict]) -> None:
    """One row a kind of run."""
    print(
        "| optimizer | learning rate | steps | ms a step | held-out loss, each seed | mean |\n|---|---|---|---|---|---|"
    )
    for kind in KINDS:
        alike = sorted((run for run in runs if run["kind"] == kind), key=lambda run: run["seed"])
        if alike:
            milliseconds = statistics.mean(run["seconds"] / run["steps"] * 1e3 for run in alike)
            steps, losses = (" ".join(f"{run[key]:.5g}" for run in alike) for key in ("steps", "loss"))
            cells = [kind, f"{alike[0]['learning_rate']:g}", steps, f"{milliseconds:.0f}", losses]
            print(f"| {' | '.join(cells)} | {statistics.mean(run['loss'] for run in alike):.4f} |")


if __name__ == "__main__":
    main()
