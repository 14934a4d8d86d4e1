"""Small MoE models against dense ones: held-out loss after the same time of training on one device.

usage: python benchmarks/moe_vs_dense.py --out runs/moe_vs_dense (--data DIR | --text FILE [--vocabulary 2048])
           [--shapes 2x128/16/4/64 ...] [--minutes 1] [--seeds 1] [--kernels torch]
       python benchmarks/moe_vs_dense.py --out runs/moe_vs_dense --table

A shape is layers x width/experts/top-k/expert width. Each MoE has two dense opponents of the same width and depth: its
twin, whose feed-forward networks are as wide as the experts that one token passes through together (equal active
parameters, faster steps, so more tokens), and one whose networks are so much wider that its step takes as long as the
MoE's. All models' steps are first timed in turn; every run then has as many steps as fit into its minutes, with the whole
learning-rate schedule, so noise on the machine costs nobody tokens. Engine, loss and balancing are those of
`mai1 pretrain` on one rank. Evaluation and start-up are not counted. Held-out loss is over the same rows for all, at the end.

Every run is one line of OUT/runs.jsonl when it is done; the same command goes on where it was cut, and a larger --seeds adds
runs. --table prints what there is.

Bound by: on a CPU, small matrix products and, below a width of about 256, by routing and other passes over memory.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from mai1.data.batch import Batch
from mai1.data.loader import BatchConfig, Loader
from mai1.dist import World, start_world, stop_world
from mai1.engine.ds_config import EngineConfig
from mai1.engine.engine import Engine, start_deepspeed
from mai1.evaluate.heldout import heldout_losses, mean_loss
from mai1.loss import LossConfig, as_totals, compute_losses, count_totals, counted_tokens
from mai1.model.attention import AttentionConfig
from mai1.model.cross_entropy import chunked_cross_entropy
from mai1.model.expert_kernels import ExpertKernels, use_kernels
from mai1.model.ffn import SwiGLU
from mai1.model.init import initialize
from mai1.model.moe.balance import BalanceConfig, update_selection_bias
from mai1.model.moe.layer import MoEConfig
from mai1.model.transformer import ModelConfig, ModelOutput, MoETransformer
from mai1.optim.config import Method, OptimConfig
from mai1.run.datasets import StageData, open_pretraining

HEAD_DIM, HELDOUT_ROWS = 64, 256
BALANCE = BalanceConfig(bias_rate=1e-2)
TIMED_ROUNDS, WARM_UP_ROUNDS = 12, 3
SHAPES = ["2x128/16/4/64", "2x128/32/4/64", "2x128/16/4/128"]


@dataclass(frozen=True, slots=True)
class Shape:
    """One model of the sweep; without experts it is dense."""

    num_layers: int
    width: int
    num_experts: int
    top_k: int
    inner_width: int
    """Of one expert, or of the dense network."""
    head_dim: int = HEAD_DIM

    @classmethod
    def parse(cls, text: str) -> "Shape":
        """From layers x width/experts/top-k/expert width."""
        return cls(*map(int, text.replace("x", "/").split("/")))

    @property
    def name(self) -> str:
        """What identifies its runs."""
        experts = f"{self.num_experts} experts top-{self.top_k} of" if self.num_experts else "dense"
        return f"{self.num_layers} x {self.width}, {experts} {self.inner_width}"

    def dense(self, widening: float = 1.0) -> "Shape":
        """The dense model whose network is that many times the active experts; widths in steps of 16."""
        active_width = max(1, self.top_k) * self.inner_width
        return Shape(self.num_layers, self.width, 0, 0, round(active_width * widening / 16) * 16)


@dataclass(slots=True)
class Settings:
    """What all runs of a sweep share; kept in OUT/settings.json."""

    data: str
    shapes: list[str]
    minutes: float
    rows: int
    sequence_length: int
    learning_rate: float
    threads: int
    kernels: str = ExpertKernels.torch.value
    """What computes experts: `engine.expert_kernels`."""


def main() -> None:
    """Run what is missing, then print the table."""
    given = parse_arguments()
    if not given.table:
        torch.set_num_threads(given.threads)
        world = start_world()
        start_deepspeed()
        sweep(settle(given), range(given.seeds), out=given.out, world=world)
        stop_world()
    print_table(given.out)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=SHAPES, help="layers x width/experts/top-k/expert width")
    parser.add_argument("--minutes", type=float, default=1.0, help="training time of each run")
    parser.add_argument(
        "--seeds", type=int, default=1, help="runs of each model: other weights, other order of the data"
    )
    parser.add_argument("--learning-rate", type=float, default=4e-3, help="peak of the cosine")
    parser.add_argument(
        "--kernels", choices=[kernels.value for kernels in ExpertKernels], default="torch", help="what computes experts"
    )
    given = parse_sweep(parser, vocabulary=2048, sequence_length=256, threads=2)
    if given.kernels == ExpertKernels.triton.value and not torch.cuda.is_available():
        parser.error("--kernels triton needs a GPU")
    return given


def parse_sweep(
    parser: argparse.ArgumentParser, *, vocabulary: int, sequence_length: int, threads: int
) -> argparse.Namespace:
    """The command line with what every sweep of small runs is told besides; these are defaults."""
    parser.add_argument("--out", type=Path, required=True, help="directory of results")
    parser.add_argument("--data", type=Path, help="directory that `mai1 prepare` wrote")
    parser.add_argument("--text", type=Path, help="text file to prepare into OUT/data instead")
    parser.add_argument("--vocabulary", type=int, default=vocabulary, help="text pieces for --text; 0: characters")
    parser.add_argument("--rows", type=int, default=16, help="rows of a step")
    parser.add_argument("--sequence-length", type=int, default=sequence_length, help="tokens of a row")
    parser.add_argument("--threads", type=int, default=threads, help="torch threads")
    parser.add_argument("--table", action="store_true", help="run nothing, only print the table")
    given = parser.parse_args()
    if not given.table and bool(given.data) == bool(given.text):
        parser.error("one of --data and --text is needed")
    return given


def settle(given: argparse.Namespace) -> Settings:
    """The sweep's settings, written down at its first start and the same ever after."""
    given.out.mkdir(parents=True, exist_ok=True)
    data = given.data or given.out / "data"
    shared = {key: getattr(given, key) for key in Settings.__slots__ if key != "data"}
    settings, path = Settings(data=str(data.resolve()), **shared), given.out / "settings.json"
    if path.is_file() and json.loads(path.read_text()) != asdict(settings):
        raise ValueError(f"{path} has other settings than this command: use another --out")
    if given.text and not data.is_dir():
        prepare(given.text, data, vocabulary=given.vocabulary)
    path.write_text(json.dumps(asdict(settings), indent=2) + "\n")
    return settings


def prepare(text: Path, output: Path, *, vocabulary: int) -> None:
    """Token shards of a text; the end of every document is held out."""
    kind = ["tokenizer.kind=bpe", f"tokenizer.vocab_size={vocabulary}"] if vocabulary else ["tokenizer.kind=char"]
    source, tail = f"sources={{text: {{path: {text.resolve()}}}}}", ["heldout=tail", "heldout_fraction=0.05"]
    rest = ["questions=0", "tokenizer.reserved_size=0"]
    subprocess.run(
        [sys.executable, "-m", "mai1", "prepare", f"output={output}", source, *tail, *kind, *rest], check=True
    )


def sweep(settings: Settings, seeds: range, *, out: Path, world: World) -> None:
    """Every run that is not yet in OUT/runs.jsonl, all models of a seed before the next seed."""
    experts = [Shape.parse(text) for text in settings.shapes]
    step_ms = step_times(experts, settings, out=out, world=world)
    (out / "runs.jsonl").touch()
    done = {(run["name"], run["seed"]) for run in read_runs(out)}
    for seed in seeds:
        for shape, milliseconds in models_to_train(experts, step_ms).items():
            if (shape.name, seed) not in done:
                steps = max(2, round(settings.minutes * 60e3 / milliseconds))
                run = train(shape, settings, seed=seed, steps=steps, world=world)
                with open(out / "runs.jsonl", "a", encoding="utf-8") as file:
                    file.write(json.dumps(run) + "\n")
                world.say(f"{shape.name}, seed {seed}: {steps} steps in {run['seconds']:.0f} s, loss {run['loss']:.4f}")


def models_to_train(experts: list[Shape], step_ms: dict[str, float]) -> dict[Shape, float]:
    """Each MoE, its twin and its opponent of equal step time, once each, with the milliseconds of a step."""
    models = {}
    for shape in experts:
        opponent = equal_time_opponent(shape, step_ms)
        models |= {shape: step_ms[shape.name], shape.dense(): step_ms[shape.dense().name]}
        models.setdefault(opponent, step_ms[shape.name])
    return models


def equal_time_opponent(shape: Shape, step_ms: dict[str, float]) -> Shape:
    """The dense model as slow as the MoE: step time grows with the network's width as from the twin to twice its width."""
    moe, twin, doubled = (step_ms[s.name] for s in (shape, shape.dense(), shape.dense(2.0)))
    return shape.dense(1.0 + max(0.0, moe - twin) / max(doubled - twin, 1e-3))


def step_times(experts: list[Shape], settings: Settings, *, out: Path, world: World) -> dict[str, float]:
    """Median milliseconds of every model's step, all taken in turn; measured once for a sweep."""
    path = out / "step_ms.json"
    if path.is_file():
        return json.loads(path.read_text())
    shapes = {s.name: s for moe in experts for s in (moe, moe.dense(), moe.dense(2.0))}
    trainings = {name: Training(shape, settings, seed=0, steps=1000, world=world) for name, shape in shapes.items()}
    seconds = defaultdict(list)
    for step in range(WARM_UP_ROUNDS + TIMED_ROUNDS):
        for name, training in trainings.items():
            started = time.perf_counter()
            training.step(step)
            seconds[name].append(time.perf_counter() - started)
    step_ms = {name: statistics.median(times[WARM_UP_ROUNDS:]) * 1e3 for name, times in seconds.items()}
    path.write_text(json.dumps(step_ms, indent=2) + "\n")
    return step_ms


def train(shape: Shape, settings: Settings, *, seed: int, steps: int, world: World) -> dict:
    """One run from its first step to its held-out loss."""
    training = Training(shape, settings, seed=seed, steps=steps, world=world)
    started = time.perf_counter()
    for step in range(steps):
        training.step(step)
    seconds = time.perf_counter() - started
    heldout = training.heldout()
    total, active = count_parameters(training.engine.model, shape)
    return {
        "name": shape.name, "seed": seed, **asdict(shape), "total": total, "active": active, "steps": steps,
        "tokens": steps * settings.rows * settings.sequence_length, "seconds": seconds, **heldout,
    }  # fmt: skip


class Training:
    """One model and what its steps need."""

    def __init__(
        self, shape: Shape, settings: Settings, *, seed: int, steps: int, world: World, method: Method = Method.adamw
    ) -> None:
        self.steps, self.world = steps, world
        self.optim = OptimConfig(
            method=method, learning_rate=settings.learning_rate, warmup_steps=1 + steps // 25, final_factor=0.02
        )
        self.data = _open(settings, seed=seed)
        model = build_model(shape, vocab_size=self.data.tokenizer.vocabulary.size, context=settings.sequence_length)
        initialize(model, seed=seed)
        use_kernels(model, ExpertKernels(settings.kernels), key="--kernels")
        batch = BatchConfig(sequences_per_step=settings.rows, sequences_per_microbatch=settings.rows)
        end_of_text_id = self.data.tokenizer.end_of_text_id
        self.loader = Loader(self.data.rows, batch, end_of_text_id=end_of_text_id)
        engine_config = EngineConfig()
        self.engine = Engine(model, engine_config, self.optim, world=world, microbatch=settings.rows, accumulation=1)

    def step(self, step: int) -> None:
        """One optimizer step, as the trainer makes it."""
        model, tokens_per_expert = self.engine.model.train(), {}

        def compute(batch: Batch, x_BTD: None) -> tuple[torch.Tensor, torch.Tensor]:
            batch = batch.to(self.world.device)
            output = model(
                batch.tokens_BT,
                positions_BT=batch.positions_BT,
                segments_BT=batch.isolating_segments_BT,
                counted_BT=counted_tokens(batch, BALANCE.counted),
                samples_B=batch.samples_B,
            )
            for layer, routing in output.routings.items():
                tokens_per_expert[layer] = routing.tokens_per_expert_E
            return output.hidden_BTD, loss_of(output, batch)

        self.engine.train_batch(
            self.loader.microbatches(step),
            compute,
            learning_rate=self.optim.learning_rate_at(step, steps=self.steps),
            accept=lambda grad_norm: True,
        )
        for layer, counts_E in tokens_per_expert.items():
            update_selection_bias(model.moe_layers()[layer].router, counts_E, rate=BALANCE.bias_rate)

    def heldout(self) -> dict:
        """Nats per token and bits per byte of the held-out rows."""
        loss = mean_loss(
            heldout_losses(
                self.engine.model,
                self.data.heldout,
                world=self.world,
                rows_at_once=self.loader.config.sequences_per_microbatch,
                end_of_text_id=self.loader.end_of_text_id,
            )
        )
        return {"loss": loss.loss, "bits_per_byte": loss.bits_per_byte}


def _open(settings: Settings, *, seed: int) -> StageData:
    length = settings.sequence_length
    return open_pretraining(Path(settings.data), sequence_length=length, seed=seed, heldout_rows=HELDOUT_ROWS)


def build_model(shape: Shape, *, vocab_size: int, context: int) -> MoETransformer:
    """An MoE in every layer or in none."""
    num_heads = shape.width // shape.head_dim
    config = ModelConfig(
        vocab_size=vocab_size, d_model=shape.width, num_layers=shape.num_layers, num_dense_layers=0,
        dense_width=shape.inner_width, max_positions=context, tie_embeddings=True, init_std=shape.width**-0.5,
        attention=AttentionConfig(num_heads=num_heads, num_kv_heads=max(1, num_heads // 2), head_dim=shape.head_dim),
    )  # fmt: skip
    if shape.num_experts:
        moe = MoEConfig(
            num_experts=shape.num_experts, top_k=shape.top_k, expert_width=shape.inner_width, num_shared_experts=0,
            scaling_factor=shape.top_k,  # weights sum to 1: so the sum begins as large as a dense network's answer
        )  # fmt: skip
        return MoETransformer(replace(config, moe=moe))
    model = MoETransformer(
        replace(config, num_dense_layers=shape.num_layers - 1)
    )  # the configuration insists on one MoE layer
    model.layers[-1].ffn = SwiGLU(shape.width, width=shape.inner_width)
    return model


def loss_of(output: ModelOutput, batch: Batch) -> torch.Tensor:
    """What to minimise; a dense model has nothing to balance."""
    totals = as_totals(count_totals([batch], counted=BALANCE.counted, num_mtp_layers=0))
    if output.routings:
        return compute_losses(output, batch, loss=LossConfig(), balance=BALANCE, totals=totals).total
    hidden_ND, targets_N = output.hidden_BTD.flatten(0, 1), batch.targets_BT.flatten()
    entropy = chunked_cross_entropy(hidden_ND, output.unembedding_VD, targets_N, batch.loss_mask_BT.flatten())
    return entropy.total / totals.num_targets


def count_parameters(model: MoETransformer, shape: Shape) -> tuple[int, int]:
    """All parameters, and those one token passes through."""
    total = sum(weight.numel() for weight in model.parameters())
    experts = sum(weight.numel() for name, weight in model.named_parameters() if ".experts." in name)
    return total, total - (experts * (shape.num_experts - shape.top_k) // shape.num_experts if experts else 0)


def read_runs(out: Path) -> list[dict]:
    """The runs that are done."""
    return [json.loads(line) for line in (out / "runs.jsonl").read_text().splitlines()]


def print_table(out: Path) -> None:
    """One row per MoE, against its twin and its opponent of equal step time; then the best model of each kind."""
    settings = Settings(**json.loads((out / "settings.json").read_text()))
    step_ms = json.loads((out / "step_ms.json").read_text())
    runs = defaultdict(dict)
    for run in read_runs(out):
        runs[run["name"]][run["seed"]] = run
    tokens_per_step = settings.rows * settings.sequence_length
    print(f"{settings.minutes:g} minutes a run, {tokens_per_step:,} tokens a step\n")
    print(
        "| MoE | M parameters, active | ms a step: MoE, twin | M tokens: MoE, twin | held-out loss: MoE | twin |",
        end="",
    )
    print(" dense of equal step time | MoE less the better | |\n|---|---|---|---|---|---|---|---|---|")
    for shape in map(Shape.parse, settings.shapes):
        opponent = equal_time_opponent(shape, step_ms)
        trio = [runs[s.name] for s in (shape, shape.dense(), opponent)]
        if seeds := set.intersection(*map(set, trio)):
            moes, twins, wides = ([run[seed] for seed in sorted(seeds)] for run in trio)
            print_row(shape, opponent, step_ms, moes, twins, wides)
    for kind, is_moe in (("MoE", True), ("dense", False)):
        means = {name: _mean(list(r.values())) for name, r in runs.items() if r and ("experts" in name) is is_moe}
        best = min(means, key=means.get, default=None)
        if best:
            print(f"\nbest {kind}: {best}, {means[best]:.4f}", end="")
    print()


def print_row(
    shape: Shape, opponent: Shape, step_ms: dict[str, float], moes: list[dict], twins: list[dict], wides: list[dict]
) -> None:
    """Means over seeds; a win has to hold for every seed. Steps are as they were timed in turn, before any run."""
    apart = [m["loss"] - min(t["loss"], w["loss"]) for m, t, w in zip(moes, twins, wides, strict=True)]
    verdict = "win" if max(apart) < 0 else "loss" if min(apart) > 0 else "even"
    cells = [
        shape.name,
        f"{moes[0]['total'] / 1e6:.1f}, {moes[0]['active'] / 1e6:.1f}",
        ", ".join(f"{step_ms[each.name]:.0f}" for each in (shape, shape.dense())),
        ", ".join(f"{run['tokens'] / 1e6:.2f}" for run in (moes[0], twins[0])),
        *(f"{_mean(kind):.4f}" for kind in (moes, twins)),
        f"{_mean(wides):.4f} ({opponent.inner_width})",
        f"{statistics.mean(apart):+.4f}",
        verdict,
    ]
    print(f"| {' | '.join(cells)} |")


def _mean(runs: list[dict]) -> float:
    return statistics.mean(run["loss"] for run in runs)


if __name__ == "__main__":
    main()
