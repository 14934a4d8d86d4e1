"""What is said of steps and evaluations, on rank 0: records for the files, lines for the console, and alarms.

Legend: L MoE layers, E experts.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

import torch
from tqdm import tqdm

from mai1.checkpoint.checkpoint import TrainerState
from mai1.data.loader import Rows
from mai1.data.mixed_stream import MixedStream
from mai1.evaluate.heldout import SourceLoss
from mai1.train.alarms import AlarmConfig, AlarmWatch
from mai1.train.expert_figures import DriftFigures, StepChoices, choice_figures, layer_records
from mai1.train.metrics import MetricsLog
from mai1.train.rerun import BadStep
from mai1.train.rollback import Rollback
from mai1.train.routing_probe import RoutingShift
from mai1.train.step_sums import StepSums
from mai1.watch.stragglers import Straggler

OF_PAIRS = {"margin": "reward_margin", "accuracy": "preference_accuracy"}
"""What the console shows of a step that learns from pairs, by its name there."""


@dataclass(slots=True)
class StepFigures:
    """What one optimizer step did, over all ranks."""

    means: dict[str, float]
    """Of the step: total loss, its parts, and what the objective reports besides, by the names of the record."""
    grad_norm: float
    learning_rate: float
    num_tokens: int
    tokens_per_expert_LE: torch.Tensor
    choices: StepChoices | None
    """Counted for steps that are due to be logged, not for one that a signal makes the last."""
    bad_step: BadStep | None = None
    """What the guard refused of it, at first or for good."""
    sources: dict[str, dict[str, float]] = field(default_factory=dict)
    """Of each source that has targets in a step that is due to be logged: see `source_figures`."""

    ledger: dict = field(default_factory=dict)
    """What its FLOPs went into, and those of the run so far: `Ledger.record`."""

    @property
    def loss(self) -> float:
        """What was minimised."""
        return self.means["loss"]

    @property
    def is_applied(self) -> bool:
        """Whether the weights moved."""
        return self.bad_step is None or not self.bad_step.is_skipped


class StepLog:
    """Turns figures into records; it remembers which alarms were said."""

    def __init__(
        self,
        metrics: MetricsLog,
        layers: Iterable[int],
        *,
        alarms: AlarmConfig,
        source_names: list[str],
        expert_parallel: int,
    ) -> None:
        self.metrics, self.alarms = metrics, AlarmWatch(alarms)
        self._slow_ranks: set[int] = set()
        self._layers, self._source_names, self._expert_parallel = list(layers), source_names, expert_parallel

    def write(
        self,
        figures: StepFigures,
        state: TrainerState,
        *,
        drifts: list[DriftFigures],
        speed: dict,
        bar: tqdm,
        stragglers: Sequence[Straggler] = (),
    ) -> None:
        """The record of the state's last step."""
        layers = self._layer_records(figures, drifts)
        news = self.alarms.check(state.step, layers)
        for message in news.messages + self._straggler_news(state.step, stragglers):
            self._say(message)
        self.metrics.write(
            {
                "kind": "train",
                "step": state.step,
                "tokens": state.tokens,
                **figures.means,
                "lr": figures.learning_rate,
                "grad_norm": figures.grad_norm,
                **speed,
                "seconds": state.seconds,
                **figures.ledger,
                "sources": figures.sources,
                "layers": layers,
                "alarms": [asdict(alarm) for alarm in news.active],
                "stragglers": [asdict(straggler) for straggler in stragglers],
            }
        )
        troubles = {"dead": sum(layer["dead_experts"] for layer in layers.values()), "alarms": len(news.active)}
        bar.set_postfix(
            refresh=sys.stderr.isatty(),
            loss=f"{figures.means['lm_loss']:.3f}",
            tok_s=f"{speed['tokens_per_s']:,.0f}",
            mfu=f"{speed['mfu']:.0%}",
            max_violation=f"{max(layer['max_violation'] for layer in layers.values()):.2f}",
            **{label: f"{figures.means[name]:.2f}" for label, name in OF_PAIRS.items() if name in figures.means},
            **{name: count for name, count in troubles.items() if count},
        )

    def write_heldout(
        self, mean: SourceLoss, losses: dict[str, SourceLoss], state: TrainerState, *, flops: int
    ) -> None:
        """The record of a held-out evaluation, of all text and of each source."""
        self.metrics.write(
            {
                "kind": "heldout",
                "step": state.step,
                "tokens": state.tokens,
                "loss": mean.loss,
                "bits_per_byte": mean.bits_per_byte,
                "flops": flops,
                "sources": {name: asdict(loss) for name, loss in losses.items()},
            }
        )
        bits = f"{mean.bits_per_byte:.3f} bits per byte"
        tqdm.write(f"step {state.step}: held-out loss {mean.loss:.4f} ({bits})", file=sys.stderr)

    def write_tasks(self, scores: dict[str, dict[str, float | None]], state: TrainerState) -> None:
        """The record of an evaluation of tasks: each one's scores and their standard errors."""
        self.metrics.write({"kind": "tasks", "step": state.step, "tokens": state.tokens, "tasks": scores})
        for name, figures in scores.items():
            shown = ", ".join(
                f"{key} {x:.4f}" for key, x in figures.items() if x is not None and not key.endswith("_error")
            )
            tqdm.write(f"step {state.step}: {name}: {shown}", file=sys.stderr)

    def write_routing(self, shifts: dict[int, RoutingShift], state: TrainerState) -> None:
        """The record of how far each layer's routing has moved from the start model's."""
        kl, changed = (sum(getattr(s, key) for s in shifts.values()) / len(shifts) for key in ("kl", "changed"))
        layers = {str(layer): asdict(shift) for layer, shift in shifts.items()}
        record = {"kind": "routing", "step": state.step, "tokens": state.tokens, "kl": kl, "changed": changed}
        self.metrics.write(record | {"layers": layers})
        most = max(shifts, key=lambda layer: shifts[layer].kl)
        tqdm.write(
            f"step {state.step}: routing against the start: KL {kl:.2e} (layer {most}: {shifts[most].kl:.2e}), "
            f"{changed:.1%} of tokens to other experts",
            file=sys.stderr,
        )

    def write_pairs(self, figures: dict[str, float], state: TrainerState, *, num_pairs: int) -> None:
        """The record of held-out pairs."""
        record = {"kind": "pairs", "step": state.step, "tokens": state.tokens, "pairs": num_pairs}
        self.metrics.write(record | figures)
        likelier = f", {figures['likelier']:.1%} by likelihood" if "likelier" in figures else ""
        tqdm.write(
            f"step {state.step}: {num_pairs} held-out pairs: {figures['preference_accuracy']:.1%} ranked rightly by reward "
            f"(margin {figures['reward_margin']:.3f}){likelier}",
            file=sys.stderr,
        )

    def write_bad_step(self, bad_step: BadStep) -> None:
        """The record of a step that the guard refused."""
        self._say(str(bad_step))
        self.metrics.write(bad_step.record())

    def go_back(self, rollback: Rollback) -> None:
        """Take back the records of undone steps; of what was wrong with them, the rollback's own record tells."""
        self._say(str(rollback))
        undone = self.metrics.rewind(rollback.state.step)
        kept = [record for record in undone if record.get("kind") in ("skipped", "fault", "rollback")]
        self.metrics.write(rollback.record() | {"undone": kept})

    def _say(self, message: str) -> None:
        tqdm.write(message, file=sys.stderr)
        self.metrics.alert(message)

    def _straggler_news(self, step: int, stragglers: Sequence[Straggler]) -> list[str]:
        """A line for each rank that was no straggler at the last logged step."""
        before, self._slow_ranks = self._slow_ranks, {straggler.rank for straggler in stragglers}
        return [f"step {step}: ALARM: {straggler}" for straggler in stragglers if straggler.rank not in before]

    def _layer_records(self, figures: StepFigures, drifts: list[DriftFigures]) -> dict[str, dict]:
        choices = None
        if figures.choices is not None:
            choices = choice_figures(
                figures.choices, source_names=self._source_names, expert_parallel=self._expert_parallel
            )
        return layer_records(self._layers, figures.tokens_per_expert_LE, drifts=drifts, choices=choices)


def source_figures(rows: Rows, sums: StepSums, *, step: int) -> dict[str, dict[str, float]]:
    """Each source's mean loss in nats and its targets; where rows are mixed by weights, also its weight at this step of data."""
    weights = rows.weights_at(step) if isinstance(rows, MixedStream) else {}
    values = zip(rows.source_names, sums.nats_S, sums.targets_S, strict=True)
    figures = {name: {"loss": nats / count, "targets": int(count)} for name, nats, count in values if count}
    for name, weight in weights.items():
        figures.setdefault(name, {})["weight"] = weight
    return figures


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
