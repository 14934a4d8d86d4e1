"""The training loop of every stage: pretraining, instruction and preference tuning differ in data and objective only.

Legend: L MoE layers, E experts.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from mai1.checkpoint.checkpoint import CheckpointConfig, ModelFiles, TrainerState
from mai1.checkpoint.saver import Saver
from mai1.data.batch import Batch
from mai1.data.loader import Loader
from mai1.dist import World, sum_over_ranks
from mai1.engine.engine import Engine, Update
from mai1.loss import Losses, StepTotals, counted_tokens
from mai1.model.moe.balance import BalanceMethod, update_selection_bias
from mai1.objective.objective import Objective
from mai1.optim.adamw import OptimConfig
from mai1.train.evaluation import Evaluation
from mai1.train.expert_figures import RouterDrift, drifts_of_all
from mai1.train.guard import Guard, GuardConfig, Reason
from mai1.train.ledger import Ledger
from mai1.train.metrics import Speed
from mai1.train.online_mixing import OnlineMixing
from mai1.train.replicas import replicas_of
from mai1.train.rerun import BadStep, Probe, describe
from mai1.train.rollback import roll_back
from mai1.train.step_log import StepFigures, StepLog, progress_bar, source_figures
from mai1.train.step_sums import StepSums
from mai1.train.stop import StopRequest
from mai1.watch.heartbeat import Phase
from mai1.watch.rank_watch import RankWatch
from mai1.watch.replicas import Replica


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


@dataclass(slots=True)
class Attempt:
    """One computation of a step."""

    update: Update
    sums: StepSums
    refusal: Reason | None
    """Why nothing of it was applied."""
    bad_step: BadStep | None = None
    """What the guard refused, at first or for good."""
    num_runs: int = 1
    """Times the step was computed, this one included."""


@dataclass(kw_only=True)
class Trainer:
    """Everything a run is made of, and the loop over it."""

    engine: Engine
    loader: Loader
    objective: Objective
    evaluation: Evaluation
    config: TrainConfig
    optim: OptimConfig
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
    watch: RankWatch
    guard: Guard = field(default_factory=lambda: Guard(GuardConfig()))
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        layers = self.engine.model.moe_layers().values() if self.engine.place.is_first_of_stage else ()
        self.drift = RouterDrift(layer.router for layer in layers)
        self.probe = Probe(self.engine.model)
        self.mixing = OnlineMixing.of(self.loader.rows, self.world)
        self.saver = Saver(self.checkpoint_folder, self.engine, self.checkpoints, files=self.files)
        self.evaluation.measuring.on_batch = lambda: self.watch.beat(Phase.evaluate, self.state.step)

    def fit(self) -> bool:
        """Train from the state's step to the last; True when done, False when stopped early with a checkpoint."""
        first, self.started = self.state.step, time.monotonic() - self.state.seconds
        stop_at = first + self.config.stop_after_steps if self.config.stop_after_steps else self.config.steps
        last, is_stopping = min(self.config.steps, stop_at), False
        if self.mixing is not None:
            self.mixing.resume(self.state)
        if first == 0:
            self.evaluate()
            self.evaluate_tasks()
        self.engine.model.train()
        self.speed.start(self.state.tokens)
        with progress_bar(self.config.steps, first, disable=not self.world.is_main) as bar:
            while self.state.step < last and not is_stopping:
                is_stopping = self._go_on(bar, last=last)
            self.saver.wait()
        self.guard.refuse_faulty_rank()
        return self.state.step >= self.config.steps

    def _go_on(self, bar: tqdm, *, last: int) -> bool:
        """The next step and what is due after it; True where it has to be this launch's last."""
        step = self.state.step + 1
        is_logged = step % self.config.log_every == 0 or step == last
        with self.watch.timed(is_measured=is_logged):
            figures, is_stopping = self.train_step(self.state.step, is_logged=is_logged)
        self.state.step, self.state.heldout_loss = step, None
        stragglers = self.watch.after_step(step, self._replicas)
        self.state.tokens += figures.num_tokens
        self.state.seconds = time.monotonic() - self.started
        bar.update()
        if self.log is not None and figures.bad_step is not None:
            self.log.write_bad_step(figures.bad_step)
        if self.state.skips_in_a_row >= self.guard.config.max_skips:
            self._roll_back(bar)
            return False  # who asked to stop asks again after the next step, which can be saved
        is_last = step == last or is_stopping
        if figures.is_applied and (is_logged or is_last):
            drifts = drifts_of_all(self.drift.measure(), self.world)
            speed = self.speed.read(self.state.tokens)
            if self.log is not None:
                self.log.write(figures, self.state, drifts=drifts, speed=speed, bar=bar, stragglers=stragglers)
        self._do_what_is_due(step, is_last=is_last)
        return is_stopping

    def _do_what_is_due(self, step: int, *, is_last: bool) -> None:
        """After a step: held-out losses, tasks, samples and a checkpoint, each at its own interval."""
        end, tasks, samples = self.config.steps, self.evaluation.tasks, self.evaluation.samples
        if step % self.config.heldout_every == 0 or step == end:
            self.evaluate()
        if tasks is not None and tasks.are_due(step, last=end):
            self.evaluate_tasks()
        if samples is not None and samples.are_due(step, last=end):
            self.write_samples()
        if step % self.checkpoints.every_steps == 0 or is_last:
            self.save()

    def train_step(self, step: int, *, is_logged: bool = False) -> tuple[StepFigures, bool]:
        """One optimizer step: every microbatch forward and backward, clip, update, move the selection bias.

        What the guard refuses is computed once more, and skipped if it is refused again. A step that will be logged also
        counts where the choices of each source went. The second value says whether to stop: a rank was asked to, or is
        faulty.
        """
        batches = self.loader.microbatches(step + self.state.data_offset)
        learning_rate, totals = self.optim.learning_rate_at(step, steps=self.config.steps), self._totals(batches, step)
        losses_of = partial(self.objective.losses, step=step, totals=totals, last_load_LE=self._last_load())
        compute = partial(self._compute, batches, losses_of, learning_rate=learning_rate, is_logged=is_logged)
        attempt = compute()
        if attempt.refusal is not None:
            attempt = self._reconsider(attempt, compute, step=step)
        sums, is_applied = attempt.sums, attempt.refusal is None
        if sums.has_save_failed:
            self.saver.settle()
        if is_applied:
            self._balance_experts(sums.tokens_per_expert_LE)
            self.guard.remember(self.state, loss=sums.loss, grad_norm=sums.grad_norm)
            if self.mixing is not None:
                self.mixing.learn(self.state, sums)
        if self.mixing is not None:
            self.mixing.decide(self.state, done=step + self.state.data_offset + 1)
        figures = StepFigures(
            means=sums.means,
            grad_norm=attempt.update.grad_norm,
            learning_rate=learning_rate,
            num_tokens=int(totals.num_tokens),
            tokens_per_expert_LE=sums.tokens_per_expert_LE,
            choices=sums.choices() if is_applied else None,
            bad_step=attempt.bad_step,
            sources=source_figures(self.loader.rows, sums, step=step + self.state.data_offset) if is_logged else {},
            ledger=self.ledger.book(self.state, sums.spent, is_applied=is_applied, num_runs=attempt.num_runs),
        )
        return figures, sums.is_asked_to_stop or self.guard.has_faulty_rank

    def _compute(
        self, batches: list[Batch], losses_of: Callable[..., Losses], *, learning_rate: float, is_logged: bool
    ) -> Attempt:
        """Losses and gradients of a step, applied if the guard agrees; else nothing is left of it."""
        sums = StepSums(
            self.engine,
            num_sources=len(self.loader.rows.source_names),
            figures=self.objective.figures,
            ledger=self.ledger,
            expert_parallel=self.expert_parallel,
            counts_choices=is_logged,
        )
        refusal = None
        self.probe.start()

        def compute(batch: Batch, x_BTD: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
            batch = batch.to(self.world.device)
            self.probe.begin(batch)
            output = self.engine.model(
                batch.tokens_BT,
                positions_BT=batch.positions_BT,
                segments_BT=batch.isolating_segments_BT,
                counted_BT=counted_tokens(batch, self.objective.balance.counted),
                samples_B=batch.samples_B,
                x_BTD=x_BTD,
            )
            losses = losses_of(output, batch)
            self.probe.end(losses.total)
            sums.add(losses, output.routings, batch)
            return output.hidden_BTD, losses.total

        def accept(grad_norm: float) -> bool:
            nonlocal refusal
            sums.finish(grad_norm, is_asked_to_stop=bool(self.stop), has_save_failed=self.saver.has_failed)
            refusal = self.guard.judge(self.state, loss=sums.loss, grad_norm=sums.grad_norm)
            return refusal is None

        update = self.engine.train_batch(batches, compute, learning_rate=learning_rate, accept=accept)
        return Attempt(update, sums, refusal)

    def _reconsider(self, refused: Attempt, compute: Callable[[], Attempt], *, step: int) -> Attempt:
        """Compute a refused step once more, if so configured; what comes of it carries what the step was about."""
        first_RMF, again_RMF, attempt = self.probe.over_ranks(self.world), None, refused
        if self.guard.config.rerun:
            with self.probe.layers_watched():
                attempt = compute()
            attempt.num_runs, again_RMF = 2, self.probe.over_ranks(self.world)
        attempt.bad_step = describe(
            step=step + 1,
            reason=refused.refusal.value,
            loss=refused.sums.loss,
            grad_norm=refused.sums.grad_norm,
            first_RMF=first_RMF,
            again_RMF=again_RMF,
            is_skipped=attempt.refusal is not None,
            rows_at_once=self.loader.config.sequences_per_microbatch,
            world=self.world,
        )
        self.guard.count(self.state, attempt.bad_step)
        return attempt

    def _roll_back(self, bar: tqdm) -> None:
        """Too many steps in a row were skipped: go on from a checkpoint from before them, without their data."""
        self.watch.beat(Phase.start, self.state.step)
        self.saver.wait()
        rollback = roll_back(self.checkpoint_folder, self.engine, self.state, self.guard.config)
        self.state = rollback.state
        if self.log is not None:
            self.log.go_back(rollback)
        self.drift.restart()
        self.speed.start(self.state.tokens)
        bar.update(self.state.step - bar.n)

    def evaluate(self) -> None:
        """Measure what there is to measure on held-out rows."""
        with self._beside_training(Phase.evaluate):
            self.evaluation.measure(self.state, self.log, flops=self.ledger.total(self.state.spent))

    def evaluate_tasks(self) -> None:
        """Ask the model the items of the tasks, if there are any."""
        if self.evaluation.tasks is not None:
            with self._beside_training(Phase.evaluate):
                self.evaluation.measure_tasks(self.state, self.log)

    def write_samples(self) -> None:
        """Let the model say something to the prompts."""
        with self._beside_training(Phase.evaluate):
            self.evaluation.samples.write(self.state.step)

    def save(self) -> None:
        """Copy what a checkpoint holds; it is written and published in the background."""
        with self._beside_training(Phase.save):
            self.saver.save(self.state)
            self.drift.restart()

    @contextmanager
    def _beside_training(self, phase: Phase) -> Iterator[None]:
        """What the monitor is told a rank does now, and whose time is no training time."""
        self.watch.beat(phase, self.state.step)
        paused = time.perf_counter()
        yield
        self.speed.pause(time.perf_counter() - paused)

    @property
    def _layers_here(self) -> slice:
        """Where the MoE layers of this rank's pipeline stage stand among all."""
        return self.engine.model.config.places_of(self.engine.model.moe_layers())

    def _replicas(self) -> Iterator[Replica]:
        stage = self.engine.place.stage
        return replicas_of(self.engine.model, self.world, expert_parallel=self.expert_parallel, stage=stage)

    def _totals(self, batches: list[Batch], step: int) -> StepTotals:
        counts = self.objective.count(batches, step=step)
        num_stages = self.engine.place.num_stages  # all of them read the same rows
        return self.objective.totals([count / num_stages for count in sum_over_ranks(counts, self.world)])

    def _last_load(self) -> torch.Tensor | None:
        load = self.state.tokens_per_expert
        return torch.tensor(load[self._layers_here], device=self.world.device) if load else None

    def _balance_experts(self, tokens_per_expert_LE: torch.Tensor) -> None:
        """Once a step, with the counts of all ranks: move the selection bias, keep the load for the next step's loss."""
        self.state.tokens_per_expert = tokens_per_expert_LE.tolist()
        balance = self.objective.balance
        if balance.method is BalanceMethod.bias:
            layers, here_LE = self.engine.model.moe_layers().values(), tokens_per_expert_LE[self._layers_here]
            for layer, counts_E in zip(layers, here_LE, strict=True):
                update_selection_bias(layer.router, counts_E, rate=balance.bias_rate)
