"""Learning on a known text: an MoE on the characters of Shakespeare, against published curves.

usage: python benchmarks/learning.py --text tinyshakespeare.txt [--output runs/shakespeare]

Prepares the text (first 90% to train on), trains `configs/experiment/shakespeare.yaml` through the same commands a user
would, and prints after how many tokens and how much CPU time each published loss was reached. CPU time is user + system
of the training process from its start, imports and evaluations included; losses are over the whole validation text.

Bound by: small matrix products. At these widths (192) the CPU reaches about half of its fp32 peak in them, and norms,
activations and copies take as long again.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

PUBLISHED = {
    "dense, 4 layers of 128, 1.5 M tokens (nanoGPT's CPU setting)": 1.886,
    "MoE, 8 experts top-2, 2.56 M tokens (makeMoE)": 1.7508,
}


def main() -> None:
    """Prepare, train, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="tinyshakespeare.txt")
    parser.add_argument("--output", type=Path, default=Path("runs/shakespeare"), help="run directory, must not exist")
    given = parser.parse_args()
    data = given.output.parent / "shakespeare-data"
    mai1 = [sys.executable, "-m", "mai1"]
    source = f"sources={{shakespeare: {{path: {given.text.resolve()}}}}}"
    tail = ["heldout=tail", "heldout_fraction=0.1", "questions=0", "tokenizer.kind=char", "tokenizer.reserved_size=0"]
    subprocess.run([*mai1, "prepare", f"output={data}", source, *tail], check=True)
    where = [f"data.path={data}", f"run.directory={given.output.parent}", f"run.name={given.output.name}"]
    process = subprocess.Popen([*mai1, "pretrain", "experiment=shakespeare", *where])
    rows = watch(process, given.output / "metrics.jsonl")
    if process.returncode:
        sys.exit(process.returncode)
    print_table(rows, json.loads((given.output / "run.json").read_text())["parameters"])


def watch(process: subprocess.Popen, metrics: Path) -> list[dict]:
    """Held-out records as they appear, with the process's CPU time by then."""
    rows, cpu_s = [], 0.0
    while process.poll() is None:
        try:
            times = psutil.Process(process.pid).cpu_times()
            cpu_s = times.user + times.system
        except psutil.NoSuchProcess:
            break
        lines = metrics.read_text().splitlines() if metrics.is_file() else []
        heldout = [record for record in map(_parse, lines) if record.get("kind") == "heldout"]
        rows += [record | {"cpu_minutes": cpu_s / 60} for record in heldout[len(rows) :]]
        time.sleep(0.2)
    process.wait()
    return rows


def _parse(line: str) -> dict:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return {}


def print_table(rows: list[dict], parameters: dict) -> None:
    """The curve, then when each published loss was passed."""
    print(f"\n{parameters['total'] / 1e6:.2f} M parameters, {parameters['active'] / 1e6:.2f} M active\n")
    print("| step | tokens | validation loss | CPU-minutes |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['step']} | {row['tokens']:,} | {row['loss']:.4f} | {row['cpu_minutes']:.2f} |")
    print()
    for name, loss in PUBLISHED.items():
        passed = next((row for row in rows if row["loss"] < loss), None)
        reached = f"{passed['tokens']:,} tokens, {passed['cpu_minutes']:.2f} CPU-minutes" if passed else "not reached"
        print(f"{name}: {loss}; passed after {reached}")


if __name__ == "__main__":
    main()
