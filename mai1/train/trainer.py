"""The training loop, for pretraining and instruction tuning alike: they differ in data, mask and steps only.

Legend: L MoE layers, E experts.
"""

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from mai1.checkpoint.checkpoint import CheckpointConfig, ModelFiles, TrainerState, prune, save_checkpoint
from mai1.data.batch import Batch
from mai1.data.heldout import HeldoutSource
from mai1.data.loader import Loader
from mai1.dist import World, sum_over_ranks, sum_tensor_over_ranks
from mai1.engine.engine import Engine
from mai1.evaluate.heldout import heldout_losses, mean_loss
from mai1.loss import LossConfig, StepTotals, as_totals, compute_losses, count_totals, counted_tokens
from mai1.model.moe.balance import BalanceConfig, BalanceMethod, update_selection_bias
from mai1.optim.adamw import OptimConfig
from mai1.train.expert_figures import ChoiceCounter
from mai1.train.metrics import Speed
from mai1.train.step_log import StepFigures, StepLog
from mai1.train.stop import StopRequest


@dataclass(kw_only=True, slots=True)
class TrainConfig:
    steps: int = 1000
    """Optimizer steps of the whole run."""
    log_every: int = 10
    """Steps between lines of metrics.jsonl."""
    heldout_every: int = 100
    """Steps between held-out evaluations; one is always made at the start and the end."""
    heldout_rows: int = 64
    """Held-out rows per source, evenly taken; 0 takes all."""
    stop_after_steps: int = 0
    """Stop, saved and resumable, after this many steps of this launch; 0 runs to the end. For queues with a time limit."""
    self_check: bool = True
    """Before the first step of each launch, show that experts, balancing and document isolation are right, or end the run."""

    def __post_init__(self) -> None:
        for key in ("steps", "log_every", "heldout_every"):
            if getattr(self, key) < 1:
                raise ValueError(f"train.{key}={getattr(self, key)} must be at least 1")
        for key in ("heldout_rows", "stop_after_steps"):
            if getattr(self, key) < 0:
                raise ValueError(f"train.{key}={getattr(self, key)} must not be negative")


@dataclass(kw_only=True)
class Trainer:
    """Everything a run is made of, and the loop over it."""

    engine: Engine
    loader: Loader
    heldout: list[HeldoutSource]
    config: TrainConfig
    optim: OptimConfig
    loss: LossConfig
    balance: BalanceConfig
    checkpoints: CheckpointConfig
    checkpoint_folder: Path
    files: ModelFiles
    expert_parallel: int
    speed: Speed
    log: StepLog | None
    """On rank 0 only."""
    stop: StopRequest
    state: TrainerState
    world: World

    def fit(self) -> bool:
        """Train from the state's step to the last; True when done, False when stopped early with a checkpoint."""
        first, started = self.state.step, time.monotonic() - self.state.seconds
        stop_at = first + self.config.stop_after_steps if self.config.stop_after_steps else self.config.steps
        last, is_stopping = min(self.config.steps, stop_at), False
        if first == 0:
            self.evaluate()
        self.engine.model.train()
        self.speed.start(self.state.tokens)
        with progress_bar(self.config.steps, first, disable=not self.world.is_main) as bar:
            while self.state.step < last and not is_stopping:
                step = self.state.step + 1
                is_logged = step % self.config.log_every == 0 or step == last
                figures, is_stopping = self.train_step(self.state.step, is_logged=is_logged)
                self.state.step = step
                self.state.tokens += figures.num_tokens
                self.state.seconds = time.monotonic() - started
                is_last = step == last or is_stopping
                bar.update()
                if self.log is not None and (is_logged or is_last):
                    self.log.write(figures, self.state, speed=self.speed.read(self.state.tokens), bar=bar)
                if step % self.config.heldout_every == 0 or step == self.config.steps:
                    self.evaluate()
                if step % self.checkpoints.every_steps == 0 or is_last:
                    self.save()
        return self.state.step >= self.config.steps

    def train_step(self, step: int, *, is_logged: bool = False) -> tuple[StepFigures, bool]:
        """One optimizer step: every microbatch forward and backward, clip, update, move the selection bias.

        A step that will be logged also counts where the choices of each source went. The second value says whether any
        rank was asked to stop.
        """
        batches = self.loader.microbatches(step)
        totals, last_load_LE = self._totals(batches), self._last_load()
        learning_rate = self.optim.learning_rate_at(step, steps=self.config.steps)
        sums = torch.zeros(5, dtype=torch.float64, device=self.world.device)
        tokens_per_expert_LE, grad_norm = 0, None
        counter = self._choice_counter() if is_logged else None
        for batch in batches:
            batch = batch.to(self.world.device)
            output = self.engine.model(
                batch.tokens_BT,
                positions_BT=batch.positions_BT,
                segments_BT=batch.isolating_segments_BT,
                counted_BT=counted_tokens(batch, self.balance.counted),
                samples_B=batch.samples_B,
            )
            losses = compute_losses(
                output, batch, loss=self.loss, balance=self.balance, totals=totals, last_load_LE=last_load_LE
            )
            self.engine.backward(losses.total)
            grad_norm = self.engine.step(learning_rate)
            parts = (losses.total, losses.language, losses.mtp, losses.router_z, losses.balance)
            sums += torch.stack([part.detach() for part in parts])
            tokens_per_expert_LE += torch.stack([r.tokens_per_expert_E for r in output.routings.values()])
            if counter is not None:
                counter.add(output.routings.values(), batch.sources_BT)
        sum_tensor_over_ranks(tokens_per_expert_LE, self.world)
        self._balance_experts(tokens_per_expert_LE)
        *means, asked_to_stop = sum_over_ranks([*sums.tolist(), float(bool(self.stop))], self.world)
        choices = counter.over_ranks(self.world, expert_parallel=self.expert_parallel) if counter else None
        figures = StepFigures(*means, grad_norm, learning_rate, int(totals.num_tokens), tokens_per_expert_LE, choices)
        self._refuse_divergence(figures, step)
        return figures, asked_to_stop > 0

    def evaluate(self) -> None:
        """Held-out loss of every source, logged on rank 0; the time it takes is not training time."""
        if not self.heldout:
            return
        paused = time.perf_counter()
        losses = heldout_losses(
            self.engine.model,
            self.heldout,
            world=self.world,
            rows_at_once=self.loader.config.sequences_per_microbatch,
            end_of_text_id=self.loader.end_of_text_id,
        )
        mean = mean_loss(losses)
        if self.log is not None:
            self.log.metrics.write(
                {
                    "kind": "heldout",
                    "step": self.state.step,
                    "tokens": self.state.tokens,
                    "loss": mean.loss,
                    "bits_per_byte": mean.bits_per_byte,
                    "sources": {name: asdict(loss) for name, loss in losses.items()},
                }
            )
            bits = f"{mean.bits_per_byte:.3f} bits per byte"
            tqdm.write(f"step {self.state.step}: held-out loss {mean.loss:.4f} ({bits})", file=sys.stderr)
        self.speed.pause(time.perf_counter() - paused)

    def save(self) -> None:
        """Write and publish a checkpoint, then delete the oldest."""
        paused = time.perf_counter()
        directory = self.checkpoint_folder / f"step_{self.state.step:08d}"
        save_checkpoint(directory, self.engine, self.state, files=self.files, expert_parallel=self.expert_parallel)
        if self.world.is_main:
            prune(self.checkpoint_folder, keep=self.checkpoints.keep)
        if self.log is not None:
            self.log.drift.restart()
        self.speed.pause(time.perf_counter() - paused)

    def _choice_counter(self) -> ChoiceCounter:
        layers = self.engine.model.moe_layers()
        num_experts = next(iter(layers.values())).router.weight.shape[0]
        num_sources = len(self.loader.rows.source_names)
        return ChoiceCounter(
            num_layers=len(layers), num_sources=num_sources, num_experts=num_experts, device=self.world.device
        )

    def _totals(self, batches: list[Batch]) -> StepTotals:
        num_mtp_layers = self.engine.model.config.num_mtp_layers
        counts = count_totals(batches, counted=self.balance.counted, num_mtp_layers=num_mtp_layers)
        return as_totals(sum_over_ranks(counts, self.world))

    def _last_load(self) -> torch.Tensor | None:
        load = self.state.tokens_per_expert
        return torch.tensor(load, device=self.world.device) if load else None

    def _balance_experts(self, tokens_per_expert_LE: torch.Tensor) -> None:
        """Once a step, with the counts of all ranks: move the selection bias, keep the load for the next step's loss."""
        self.state.tokens_per_expert = tokens_per_expert_LE.tolist()
        if self.balance.method is BalanceMethod.bias:
            for layer, counts_E in zip(self.engine.model.moe_layers().values(), tokens_per_expert_LE, strict=True):
                update_selection_bias(layer.router, counts_E, rate=self.balance.bias_rate)

    def _refuse_divergence(self, figures: StepFigures, step: int) -> None:
        if not torch.isfinite(torch.tensor([figures.loss, figures.grad_norm])).all():
            raise FloatingPointError(
                f"step {step}: loss={figures.loss} grad_norm={figures.grad_norm} is not finite and nothing of it was "
                "saved: lower optim.learning_rate or optim.clip_norm and run the same command to go on from the last "
                "checkpoint"
            )


def progress_bar(steps: int, first: int, *, disable: bool) -> tqdm:
    """Steps with an ETA; into a file instead of a terminal only one line every half minute."""
    every_s = 0.2 if sys.stderr.isatty() else 30.0
    return tqdm(
        total=steps,
        initial=first,
        unit="step",
        disable=disable,
        dynamic_ncols=True,
        mininterval=every_s,
        maxinterval=every_s,
    )
