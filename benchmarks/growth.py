"""What growth is good for, on real text: new experts for a new domain, and experts made of a dense model.

usage: python benchmarks/growth.py domain|upcycling --text DIR [--output runs/growth] [--seeds 0 1 2] [--quick]

DIR holds books_pd_1800_1925.jsonl.gz. Source `prose` is of these books, source `python` the source code of Python's standard
library; both have one tokenizer and held-out text of their own. Every arm is the same commands a user would give.

domain     a model learns prose, then python alone, for as many steps in every arm, which all cost the same FLOPs but for
           the routers' new rows: all of it is tuned (as it is, or grown first), or the experts that were added alone.
           Bits per byte of both, held out.
upcycling  a dense model (one expert, which every token goes to) learns prose, then all arms have the same FLOPs more: the
           dense model goes on; it is upcycled, with its optimizer state, and goes on; a mixture begins from nothing, with
           these FLOPs alone and with those of the dense model before too.

Printed are means over the seeds with their standard errors, and of each arm's difference from one of them, seed by seed.
Runs that are there already are used again. One core: set OMP_NUM_THREADS=1. Bound by: training.
"""

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from mai1.model.flops import training_flops_per_token
from mai1.run.compose import compose_config
from mai1.run.config import PretrainConfig

VOCABULARY, LENGTH = 4000, 256
MODEL = [
    "model.d_model=128",
    "model.num_layers=4",
    "model.dense_width=384",
    "model.attention.num_heads=4",
    "model.attention.num_kv_heads=2",
    "model.attention.head_dim=32",
    "model.init_std=0.088",
]
RUN = [
    f"data.sequence_length={LENGTH}",
    "batch.sequences_per_step=8",
    "batch.sequences_per_microbatch=8",
    "optim.learning_rate=4e-3",
    "optim.warmup_steps=20",
    "train.heldout_every=100000",
    "train.heldout_rows=48",
    "train.log_every=50",
    "checkpoint.every_steps=100000",
    "samples.count=0",
]
SPARSE = ["model.moe.num_experts=8", "model.moe.top_k=2", "model.moe.expert_width=128"]
DENSE = ["model.num_dense_layers=0", "model.moe.num_experts=1", "model.moe.top_k=1", "model.moe.expert_width=384"]
DENSE += ["model.moe.num_shared_experts=0"]
TUNING = ["optim.learning_rate=1e-3", "balance.method=none", "balance.z_loss_weight=0.0"]
TOP_2 = ["model.moe.num_experts=8", "model.moe.top_k=2"]
FINE = ["model.moe.num_experts=16", "model.moe.top_k=2", "model.moe.expert_width=192"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the benchmark keeps things, and how long it trains."""

    output: Path
    steps: int
    """Of the first training."""
    further_steps: int
    """Of tuning on the new domain; of the dense model that goes on."""
    characters: int
    """Of each source."""


def main() -> None:
    """Make the corpus, train every arm on every seed, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=list(QUESTIONS))
    parser.add_argument("--text", type=Path, required=True, help="folder of the texts")
    parser.add_argument("--output", type=Path, default=Path("runs/growth"), help="folder for all of it")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="a twentieth of the steps: does it run?")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sizes = {"steps": 30, "further_steps": 20, "characters": 300_000}
    if not given.quick:
        sizes = {"steps": 600, "further_steps": 200, "characters": 4_000_000}
        sizes |= {"steps": 300, "further_steps": 300} if given.question == "upcycling" else {}
    place = Place(given.output, **sizes)
    corpus = prepare(place, given.text)
    results = [QUESTIONS[given.question](place, corpus, seed) for seed in given.seeds]
    (place.output / f"{given.question}.json").write_text(json.dumps(results, indent=1) + "\n")
    print_table(results, *TABLES[given.question])


def domain(place: Place, corpus: Path, seed: int) -> dict[str, dict]:
    """Figures of every arm."""
    base = pretrain(place, f"prose-{seed}", corpus, "prose", seed, *SPARSE, f"train.steps={place.steps}")
    texts = [f"text=[{place.output}/text/prose.jsonl]", f"new_text=[{place.output}/text/python.jsonl]"]
    apart = grow(place, f"apart-{seed}", base, "method=add", "experts=2", "rows=apart", *texts, f"seed={seed}")
    steps = f"train.steps={place.further_steps}"
    grown = [*SPARSE[1:], "model.moe.num_experts=10", *TUNING, steps]
    starts = {
        "all of it": (base, [*SPARSE, *TUNING, steps]),
        "all of it, with 2 experts more": (apart, grown),
        "the 2 new experts": (apart, [*grown, "trainable.part=experts"]),
        "the 2 new experts and their router rows": (apart, [*grown, "trainable.part=experts_and_rows"]),
    }
    found = {"before": figures(base)}
    for number, (name, (start, settings)) in enumerate(starts.items()):
        run = pretrain(
            place, f"tuned-{number}-{seed}", corpus, "python", seed, f"checkpoint.init_from={start}", *settings
        )
        found |= {"before, grown": figures(run, first=True)} if start == apart else {}
        found[name] = figures(run)
    return found


def upcycling(place: Place, corpus: Path, seed: int) -> dict[str, dict]:
    """Figures of every arm."""
    together = place.steps + place.further_steps
    whole = f"train.steps={together}"
    until = [f"train.stop_after_steps={place.steps}", f"train.heldout_every={place.steps}"]
    base = pretrain(place, f"dense-{seed}", corpus, "prose", seed, *DENSE, whole, *until)
    found = {"dense, before": figures(base)}
    on = place.output / "runs" / f"dense-on-{seed}"
    if not on.exists():
        shutil.copytree(base, on.with_suffix(".new"), symlinks=True)
        rename(on.with_suffix(".new"), on)
    found["dense, goes on"] = figures(pretrain(place, on.name, corpus, "prose", seed, *DENSE, whole))
    arms = {
        "upcycled, 8 experts top-2": (["experts=8", "top_k=2"], TOP_2),
        "upcycled, half of each drawn anew": (["experts=8", "top_k=2", "redrawn=0.5"], TOP_2),
        "upcycled, 16 half experts top-2": (["experts=16", "top_k=2", "expert_width=192"], FINE),
    }
    for number, (name, (how, shape)) in enumerate(arms.items()):
        run = grow(place, f"up-{number}-{seed}", base, "method=upcycle", *how, f"seed={seed}")
        steps = place.steps + equal_steps(place.further_steps, shape)
        found[name] = figures(pretrain(place, run.name, corpus, "prose", seed, *DENSE, *shape, f"train.steps={steps}"))
    fresh = {
        "from nothing, 8 experts top-2": ("2", place.further_steps, TOP_2),
        "from nothing, 16 half experts top-2": ("3", place.further_steps, FINE),
        "from nothing, 8 experts top-2, FLOPs of both": ("whole", together, TOP_2),
    }
    for name, (key, dense_steps, shape) in fresh.items():
        steps = f"train.steps={equal_steps(dense_steps, shape)}"
        run = pretrain(place, f"nothing-{key}-{seed}", corpus, "prose", seed, *DENSE, *shape, steps)
        found[name] = figures(run)
    return found


QUESTIONS = {"domain": domain, "upcycling": upcycling}
TABLES = {"domain": ("before", ["prose", "python"]), "upcycling": ("dense, goes on", ["prose"])}


def equal_steps(dense_steps: int, shape: list[str]) -> int:
    """Steps of a mixture that cost what so many steps of the dense model cost."""
    costs = []
    for settings in (DENSE, [*DENSE, *shape]):
        config = compose_config("pretrain", PretrainConfig, [*MODEL, *settings, f"model.vocab_size={VOCABULARY}"])
        costs.append(training_flops_per_token(config.model, context=LENGTH))
    return round(dense_steps * costs[0] / costs[1])


def prepare(place: Place, texts: Path) -> Path:
    """Both sources under one tokenizer."""
    corpus = place.output / "corpus"
    folder = place.output / "text"
    if corpus.exists():
        return corpus
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(texts / "books_pd_1800_1925.jsonl.gz", "rt", encoding="utf-8") as file:
        write_text(folder / "prose.jsonl", (json.loads(line)["text"] for line in file), place.characters)
    library = Path(sysconfig.get_paths()["stdlib"])
    code = sorted(path for path in library.rglob("*.py") if not {"test", "site-packages"} & set(path.parts))
    write_text(folder / "python.jsonl", (path.read_text("utf-8", "replace") for path in code), place.characters)
    sources = ", ".join(f"{name}: {{path: {folder.resolve()}/{name}.jsonl}}" for name in ("prose", "python"))
    settings = [f"tokenizer.vocab_size={VOCABULARY}", "heldout_fraction=0.1", "questions=0"]
    mai1("prepare", f"output={corpus}", f"sources={{{sources}}}", *settings)
    return corpus


def write_text(path: Path, documents: object, characters: int) -> None:
    """Documents in parts of 3,000 characters, until there are enough."""
    written = 0
    with open(path, "w", encoding="utf-8") as file:
        for text in documents:
            for start in range(0, len(text), 3000):
                file.write(json.dumps({"text": text[start : start + 3000]}) + "\n")
            written += len(text)
            if written > characters:
                return


def pretrain(place: Place, name: str, corpus: Path, source: str, seed: int, *settings: str) -> Path:
    """One training run on one of the sources, or what is left of it."""
    run = place.output / "runs" / name
    others = {"prose": 0, "python": 0} | {source: 1}
    mixture = ", ".join(f"{key}: {value}" for key, value in others.items())
    where = [f"data.path={corpus}", f"run.directory={run.parent}", f"run.name={name}", f"run.seed={seed}"]
    where.append(f"data.mixture.weights={{{mixture}}}")
    ends = [int(s.partition("=")[2]) for s in settings if s.startswith(("train.steps=", "train.stop_after_steps="))]
    if not (run / "checkpoints" / f"step_{min(ends):08d}").is_dir():
        mai1("pretrain", *MODEL, *RUN, *where, *settings)
    return run


def grow(place: Place, name: str, source: Path, *settings: str) -> Path:
    """A grown run, unless it is there already; what changed is said."""
    run = place.output / "runs" / name
    if not run.exists():
        said = mai1("grow", f"checkpoint={source}", f"output={run}", "compared_rows=8", *settings)
        print(f"{name}: {said.splitlines()[1]}", file=sys.stderr, flush=True)
    return run


def mai1(*arguments: object) -> str:
    """One command, as a user gives it; its output, which is shown when it fails."""
    done = subprocess.run([sys.executable, "-m", "mai1", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"mai1 {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")
    return done.stdout


def rename(path: Path, to: Path) -> None:
    """A copied run gets the name of its new directory."""
    config = path / "config.yaml"
    config.write_text(config.read_text().replace(f"name: {to.name.replace('-on-', '-')}\n", f"name: {to.name}\n"))
    path.rename(to)


def figures(run: Path, *, first: bool = False) -> dict:
    """Held-out bits per byte by source at a run's end or beginning."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    measured = [record for record in lines if record["kind"] == "heldout"]
    record = measured[0 if first else -1]
    return {"steps": record["step"]} | {name: source["bits_per_byte"] for name, source in record["sources"].items()}


def print_table(results: list[dict[str, dict]], reference: str, sources: list[str]) -> None:
    """Bits per byte of each arm, and how many more than the reference's."""
    columns = [column for source in sources for column in (f"{source}, bits per byte", f"against `{reference}`")]
    print(f"| arm | steps | {' | '.join(columns)} |\n|{'---|' * (2 + len(columns))}")
    for name, first in results[0].items():
        cells = []
        for source in sources:
            cells.append(_spread([result[name][source] for result in results]))
            cells.append(_spread([result[name][source] - result[reference][source] for result in results], sign="+"))
        print(f"| {name} | {first['steps']} | {' | '.join(cells)} |")


def _spread(values: list[float], *, sign: str = "") -> str:
    error = f" ± {statistics.stdev(values) / len(values) ** 0.5:.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.4f}{error}"


if __name__ == "__main__":
    main()
