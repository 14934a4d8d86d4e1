"""Equal FLOPs, other tokens: does filtering, deduplication, selection or mixing teach more of clean text?

usage: python benchmarks/token_selection.py --text DIR [--output runs/token-selection] [--seeds 0 1 2] [--arms ...] [--quick]

DIR holds books_pd_1800_1925.jsonl.gz, c4_demo.jsonl, tinyshakespeare.txt and wiki_demo.txt. A noisy corpus is made of them
(`planted_text.py`: a quarter near copies, a quarter spam, all in the web source), and each arm trains the same model on what
it makes of it, through the same commands a user would. All arms have the same tokenizer and spend the same FLOPs; what
scoring costs is taken off an arm's training. Held-out text is clean and of no page that was trained on. The reference model
of `rho` learns from other clean pages; its own training is not charged, but printed. One core: set OMP_NUM_THREADS=1.

Bound by: training. Scoring, the only cost that is charged besides, is a forward over the corpus.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from planted_text import FULL, write_texts

MODEL = [
    "model.d_model=128",
    "model.num_layers=4",
    "model.dense_width=384",
    "model.attention.num_heads=4",
    "model.attention.num_kv_heads=2",
    "model.attention.head_dim=32",
    "model.moe.num_experts=8",
    "model.moe.expert_width=128",
    "model.init_std=0.088",
]
REFERENCE = [
    "model.d_model=64",
    "model.num_layers=3",
    "model.dense_width=192",
    "model.attention.num_heads=2",
    "model.attention.num_kv_heads=1",
    "model.moe.expert_width=64",
    "model.init_std=0.125",
]
"""What is smaller about the model that scores: it passes over the whole corpus."""
ROWS, LENGTH = 8, 256
RUN = [
    f"data.sequence_length={LENGTH}",
    f"batch.sequences_per_step={ROWS}",
    "batch.sequences_per_microbatch=8",
    "optim.learning_rate=4e-3",
    "optim.warmup_steps=30",
    "optim.decay_fraction=0.3",
    "balance.bias_rate=1e-2",
    "train.heldout_every=100000",
    "train.heldout_rows=64",
    "train.log_every=20",
    "train.self_check=false",
    "checkpoint.every_steps=100000",
    "samples.count=0",
]
RAW = ["dedup.exact=false", "dedup.minhash.is_on=false"]
"""What turns off all of prepare's curation but the rules that every text must keep."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the benchmark keeps things, and how long it trains."""

    output: Path
    steps: int
    """Of an arm that pays for nothing but training."""
    reference_steps: int

    def corpus(self, name: str) -> Path:
        """What `mai1 prepare` wrote for an arm."""
        return self.output / "corpora" / name


@dataclass(frozen=True, slots=True)
class Prepared:
    """What an arm trains on and how."""

    corpus: Path
    settings: list[str]
    scoring_flops: int = 0


def mai1(*arguments: object) -> None:
    """One command, as a user gives it; its output goes to a log unless it fails."""
    done = subprocess.run([sys.executable, "-m", "mai1", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"mai1 {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")


def prepare(place: Place, name: str, texts: Path, *settings: str) -> Path:
    """A corpus of the texts with the tokenizer of all others; its held-out text is the clean corpus's."""
    corpus = place.corpus(name)
    sources = ", ".join(f"{path.stem}: {{path: {path.resolve()}}}" for path in sorted(texts.glob("*.jsonl")))
    clean = place.corpus("clean")
    if clean != corpus:
        settings = ("heldout_fraction=0", f"tokenizer_from={clean}", *settings)
    mai1("prepare", f"output={corpus}", f"sources={{{sources}}}", "questions=0", *settings)
    if clean != corpus:
        shutil.copytree(clean / "heldout", corpus / "heldout", dirs_exist_ok=True)
    return corpus


def prepare_clean(place: Place) -> None:
    """The reference model's text, everybody's tokenizer, and the held-out text."""
    prepare(place, "clean", place.output / "text/clean", "tokenizer.vocab_size=4000", "heldout_fraction=0.3", *RAW)


def pretrain(place: Place, name: str, corpus: Path, *, steps: int, seed: int, settings: list[str]) -> Path:
    """One training run, unless it is there already."""
    run = place.output / "runs" / name
    where = [f"data.path={corpus}", f"run.directory={run.parent}", f"run.name={name}", f"run.seed={seed}"]
    mai1("pretrain", *MODEL, *RUN, *where, f"train.steps={steps}", *settings)
    return run


def arm_none(place: Place) -> Prepared:
    """All text as it is."""
    return Prepared(prepare(place, "raw", place.output / "text/noisy", *RAW), [])


def arm_prior(place: Place) -> Prepared:
    """The fifth of the documents whose words are least usual is dropped (prior filter, arXiv 2509.18577)."""
    scorer = "scores.scorers={prior: {kind: prior, keep: {min_quantile: 0.2}}}"
    return Prepared(prepare(place, "prior", place.output / "text/noisy", *RAW, scorer), [])


def arm_dedup(place: Place) -> Prepared:
    """Exact copies and near ones are dropped (MinHash)."""
    return Prepared(prepare(place, "dedup", place.output / "text/noisy"), [])


def arm_rho(place: Place) -> Prepared:
    """All text, and of each row the 60% of the tokens that exceed the reference's loss most (Rho-1, arXiv 2404.07965)."""
    corpus, reference = prepare(place, "scored", place.output / "text/noisy", *RAW), place.output / "runs/reference"
    pretrain(place, "reference", place.corpus("clean"), steps=place.reference_steps, seed=100, settings=REFERENCE)
    mai1("score", f"checkpoint={reference}", f"data={corpus}", f"sequence_length={LENGTH}", "rows_at_once=16")
    described = [json.loads(path.read_text()) for path in (corpus / "train").glob("*.ref.json")]
    settings = ["selection.method=rho", f"selection.over_steps={place.steps // 10}"]
    return Prepared(corpus, settings, sum(manifest["flops"] for manifest in described))


def arm_online(place: Place) -> Prepared:
    """All text, and the sources mixed by their losses as training goes on (ODM, arXiv 2312.02406)."""
    every = max(1, place.steps // 20)
    online = [f"data.mixture.online.every_steps={every}", f"data.mixture.online.warmup_steps={every}"]
    return Prepared(prepare(place, "raw", place.output / "text/noisy", *RAW), online)


ARMS: dict[str, Callable[[Place], Prepared]] = {
    "none": arm_none,
    "prior filter": arm_prior,
    "dedup": arm_dedup,
    "rho": arm_rho,
    "online mixing": arm_online,
}


def main() -> None:
    """Make the text, train every arm on every seed, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="folder of the texts")
    parser.add_argument("--output", type=Path, default=Path("runs/token-selection"), help="folder for all of it")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: does it run?")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    place = Place(given.output, *((30, 30) if given.quick else (300, 300)))
    if not (place.output / "text").is_dir():  # made once: what is there of corpora and runs is used again
        write_texts(given.text, place.output / "text.new", FULL.scaled(0.1 if given.quick else 1.0))
        (place.output / "text.new").rename(place.output / "text")
    prepare_clean(place)
    results = {name: run_arm(name, place, given.seeds) for name in given.arms}
    (place.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print_table(results, place)


def run_arm(name: str, place: Place, seeds: list[int]) -> dict:
    """The figures of an arm's runs, one a seed."""
    prepared, found = ARMS[name](place), []
    steps = place.steps - -(-prepared.scoring_flops // flops_per_step(prepared.corpus, place))
    for seed in seeds:
        run_name = f"{name.replace(' ', '-')}-{seed}"
        run = pretrain(place, run_name, prepared.corpus, steps=steps, seed=seed, settings=prepared.settings)
        found.append(figures(run))
        print(f"{name:<14} seed {seed}: {found[-1]['bits_per_byte']:.4f} bits per byte", file=sys.stderr, flush=True)
    return {
        "steps": steps,
        "scoring_flops": prepared.scoring_flops,
        "tokens": corpus_tokens(prepared.corpus),
        "runs": found,
    }


def flops_per_step(corpus: Path, place: Place) -> int:
    """Of this model; from what a run of one step says that it spent."""
    run = pretrain(place, "one-step", place.corpus("clean"), steps=1, seed=0, settings=[])
    return sum(records(run, "train")[-1]["ledger"].values())


def corpus_tokens(corpus: Path) -> int:
    """Tokens there are to train on."""
    return sum(json.loads(path.with_suffix(".json").read_text())["tokens"] for path in (corpus / "train").glob("*.idx"))


def figures(run: Path) -> dict:
    """Of one run: where held-out text began and ended, what that cost, and what it went into."""
    first, last = (records(run, "heldout")[place] for place in (0, -1))
    ledger = {part: flops for part, flops in records(run, "train")[-1]["ledger"].items() if flops}
    gained = first["bits_per_byte"] - last["bits_per_byte"]
    return {
        "bits_per_byte": last["bits_per_byte"],
        "by_source": {name: source["bits_per_byte"] for name, source in last["sources"].items()},
        "flops": last["flops"],
        "gain_per_eflop": gained / last["flops"] * 1e18,
        "useful": ledger["useful"] / sum(ledger.values()),
        "ledger": ledger,
    }


def records(run: Path, kind: str) -> list[dict]:
    """Of metrics.jsonl."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record for record in lines if record["kind"] == kind]


def print_table(results: dict[str, dict], place: Place) -> None:
    """Mean and standard deviation over the seeds."""
    print("| arm | tokens of text | steps | FLOPs | of it useful | held-out bits per byte | gained per EFLOP |")
    print("|---|---|---|---|---|---|---|")
    for name, arm in results.items():
        runs = arm["runs"]
        cells = [_spread(runs, "bits_per_byte", ".4f"), _spread(runs, "gain_per_eflop", ".3g")]
        flops, useful = (statistics.mean(run[key] for run in runs) for key in ("flops", "useful"))
        print(f"| {name} | {arm['tokens']:,} | {arm['steps']} | {flops:.4g} | {useful:.1%} | {cells[0]} | {cells[1]} |")
    if "rho" in results:
        reference = records(place.output / "runs/reference", "heldout")[-1]
        print(
            f"\nreference of rho: {reference['flops']:.4g} FLOPs of training, not charged; scoring "
            f"{results['rho']['scoring_flops']:.4g}, charged; its own held-out text {reference['bits_per_byte']:.4f}"
        )


def _spread(runs: list[dict], key: str, digits: str) -> str:
    values = [run[key] for run in runs]
    deviation = f" ± {statistics.stdev(values):{digits}}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{digits}}{deviation}"


if __name__ == "__main__":
    main()
