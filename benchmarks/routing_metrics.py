"""What the figures of the experts cost: training steps that are logged against steps that are not, alternating.

usage: python benchmarks/routing_metrics.py [--steps 40] [--model tiny] [--tokens 4096] [--threads 2]

One process, one rank, random tokens of four sources, the configuration that `mai1 pretrain model=MODEL` has. A logged step
counts every choice by source and expert, measures the routers' drift, checks the alarms and writes its record. The first
table compares the medians of whole steps, whose noise is larger than the difference; the second times the parts of a
logged step by themselves, and their sum is the figure to trust. With the default train.log_every=10 a run pays a tenth.

Bound by: on a CPU, by one scatter of the choices per layer and microbatch, a few nanoseconds a choice, and by Python turning
L x S x E counts into shares and JSON. The model's work per choice is 12 x width x expert width operations: wider is cheaper.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mai1.checkpoint.checkpoint import ModelFiles, TrainerState
from mai1.data.batch import Row
from mai1.data.loader import BatchConfig, Loader
from mai1.dist import World, start_world, stop_world
from mai1.engine.engine import Engine, start_deepspeed
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from mai1.objective.next_token import NextToken
from mai1.run.compose import compose_config
from mai1.run.config import PretrainConfig
from mai1.train.evaluation import Evaluation, measuring_with
from mai1.train.expert_figures import ChoiceCounter, RouterDrift, choice_figures
from mai1.train.metrics import MetricsLog, Speed
from mai1.train.step_log import StepLog
from mai1.train.trainer import Trainer
from mai1.watch.rank_watch import RankWatch

SEQUENCE_LENGTH, VOCABULARY = 512, 8192
SPEED = {"tokens_per_s": 0.0, "mfu": 0.0}


class RandomRows:
    """Rows of random ids, each token from one of four sources."""

    rows_per_epoch, sequence_length, fingerprint = 10**6, SEQUENCE_LENGTH, "random"
    source_names = ["books", "code", "papers", "web"]

    def read(self, sample: int) -> Row:
        """The row with this number."""
        generator = np.random.default_rng(sample)
        length = self.sequence_length + 1
        ids, sources = generator.integers(VOCABULARY, size=length), generator.integers(4, size=length)
        return Row(ids, np.ones(length, dtype=np.uint8), num_valid=length, sources=sources)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40, help="timed steps of each kind")
    parser.add_argument("--model", default="tiny", help="a shape of configs/model")
    parser.add_argument("--tokens", type=int, default=4096, help="tokens of a step, in microbatches of 2,048")
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    world = start_world()
    start_deepspeed()
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(given.model, given.tokens, Path(folder), world)
        plain, logged = steps_in_turn(trainer, rounds=given.steps)
        parts = time_parts(trainer)
    print_tables(trainer, plain, logged, parts)
    stop_world()


def build_trainer(model_name: str, tokens_per_step: int, folder: Path, world: World) -> Trainer:
    """A trainer as `mai1 pretrain` makes it, over random rows."""
    config = compose_config("pretrain", PretrainConfig, [f"model={model_name}", f"model.vocab_size={VOCABULARY}"])
    model, rows = MoETransformer(config.model), RandomRows()
    initialize(model, seed=0)
    batch = BatchConfig(sequences_per_step=tokens_per_step // SEQUENCE_LENGTH, sequences_per_microbatch=4)
    loader = Loader(rows, batch, end_of_text_id=0)
    engine = Engine(model, config.engine, config.optim, world=world, microbatch=4, accumulation=loader.num_microbatches)
    metrics = MetricsLog(folder, from_step=0, wandb=config.wandb, run_name="benchmark", config={})
    routers = {layer: moe.router for layer, moe in model.moe_layers().items()}
    log = StepLog(metrics, routers, alarms=config.alarms, source_names=rows.source_names, expert_parallel=1)
    return Trainer(
        engine=engine,
        loader=loader,
        objective=NextToken(balance=config.balance, loss=config.loss),
        evaluation=Evaluation(measuring=measuring_with(engine, rows_at_once=4, end_of_text_id=0)),
        config=config.train,
        optim=config.optim,
        checkpoints=config.checkpoint,
        checkpoint_folder=folder,
        files=ModelFiles(folder, end_of_text_id=0, stop_ids=[0], pad_id=0),
        expert_parallel=1,
        speed=Speed(flops_per_token=1, peak_flops=1.0),
        log=log,
        stop=False,
        state=TrainerState(step=0, tokens=0, seconds=0.0, data_fingerprint="", run={}),
        world=world,
        watch=RankWatch.off(world),
    )


def steps_in_turn(trainer: Trainer, *, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of steps that are not logged and of steps that are, three of each left out as a warm-up."""
    trainer.engine.model.train()
    seconds = {False: [], True: []}
    with tqdm(disable=True) as bar:
        for step in range(2 * (rounds + 3)):
            is_logged, started = step % 2 == 1, time.perf_counter()
            figures, _ = trainer.train_step(step, is_logged=is_logged)
            trainer.state.step = step + 1
            if is_logged:
                trainer.log.write(figures, trainer.state, drifts=trainer.drift.measure(), speed=SPEED, bar=bar)
            seconds[is_logged].append(time.perf_counter() - started)
    return seconds[False][3:], seconds[True][3:]


def time_parts(trainer: Trainer) -> dict[str, float]:
    """Median seconds of what a logged step does besides training, for all its microbatches together."""
    layers, names = trainer.engine.model.moe_layers(), trainer.loader.rows.source_names
    batches = trainer.loader.microbatches(0)
    with torch.no_grad():
        routings = [trainer.engine.model(batch.tokens_BT).routings.values() for batch in batches]
    num_experts = next(iter(layers.values())).router.weight.shape[0]
    counter = ChoiceCounter(
        num_layers=len(layers), num_sources=len(names), num_experts=num_experts, device=trainer.world.device
    )
    drift = RouterDrift(layer.router for layer in layers.values())
    figures, _ = trainer.train_step(0, is_logged=True)

    def count() -> None:
        for batch, routing in zip(batches, routings, strict=True):
            counter.add(routing, batch.sources_BT)

    def write() -> None:
        drifts = trainer.drift.measure()
        trainer.log.write(figures, trainer.state, drifts=drifts, speed=SPEED, bar=tqdm(disable=True))

    return {
        "count the choices": median_seconds(count),
        "add over ranks (one rank)": median_seconds(lambda: counter.over_ranks(trainer.world, expert_parallel=1)),
        "drift, shares, alarms, record": median_seconds(write),
        "of which drift": median_seconds(drift.measure),
        "of which shares": median_seconds(
            lambda: choice_figures(figures.choices, source_names=names, expert_parallel=1)
        ),
    }


def median_seconds(action: Callable[[], object], *, repeats: int = 200) -> float:
    """The middle of many timings."""
    timings = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        timings.append(time.perf_counter() - started)
    return statistics.median(timings)


def print_tables(trainer: Trainer, plain: list[float], logged: list[float], parts: dict[str, float]) -> None:
    """Whole steps, then the parts of a logged one, as shares of a step that is not logged."""
    step = statistics.median(plain)
    rows = {"step, not logged": step, "step, logged": statistics.median(logged)}
    print("| | ms | of a step |\n|---|---|---|")
    for name, seconds in rows.items():
        print(f"| {name} | {seconds * 1e3:.2f} | {seconds / step:.2%} |")
    middle = sorted(plain)[len(plain) // 4 : -len(plain) // 4]
    print(f"| half of the steps not logged lie within | ± {(middle[-1] - middle[0]) / 2 * 1e3:.2f} | |")
    total = sum(seconds for name, seconds in parts.items() if not name.startswith("of which"))
    every = trainer.config.log_every
    print("\n| part of a logged step | ms | of a step |\n|---|---|---|")
    for name, seconds in (parts | {"together": total, f"a step, with train.log_every={every}": total / every}).items():
        print(f"| {name} | {seconds * 1e3:.3f} | {seconds / step:.3%} |")


if __name__ == "__main__":
    main()
