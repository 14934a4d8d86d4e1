"""What is said of a logged step, on rank 0: one record for the files, one line for the console, and alarms.

Legend: L MoE layers, E experts.
"""

import sys
from dataclasses import asdict, dataclass

import torch
from tqdm import tqdm

from mai1.checkpoint.checkpoint import TrainerState
from mai1.model.moe.router import Router
from mai1.train.alarms import AlarmConfig, AlarmWatch
from mai1.train.expert_figures import RouterDrift, StepChoices, choice_figures, layer_records
from mai1.train.metrics import MetricsLog


@dataclass(slots=True)
class StepFigures:
    """What one optimizer step did, over all ranks."""

    loss: float
    language_loss: float
    mtp_loss: float
    z_loss: float
    balance_loss: float
    grad_norm: float
    learning_rate: float
    num_tokens: int
    tokens_per_expert_LE: torch.Tensor
    choices: StepChoices | None
    """Counted for steps that are due to be logged, not for one that a signal makes the last."""


class StepLog:
    """Turns figures into records; it remembers where the routers stood and which alarms were said."""

    def __init__(
        self,
        metrics: MetricsLog,
        routers: dict[int, Router],
        *,
        alarms: AlarmConfig,
        source_names: list[str],
        expert_parallel: int,
    ) -> None:
        self.metrics, self.alarms, self.drift = metrics, AlarmWatch(alarms), RouterDrift(routers.values())
        self._layers, self._source_names, self._expert_parallel = list(routers), source_names, expert_parallel

    def write(self, figures: StepFigures, state: TrainerState, *, speed: dict, bar: tqdm) -> None:
        """The record of the state's last step."""
        layers = self._layer_records(figures)
        news = self.alarms.check(state.step, layers)
        for message in news.messages:
            tqdm.write(message, file=sys.stderr)
            self.metrics.alert(message)
        self.metrics.write(
            {
                "kind": "train",
                "step": state.step,
                "tokens": state.tokens,
                "loss": figures.loss,
                "lm_loss": figures.language_loss,
                "mtp_loss": figures.mtp_loss,
                "z_loss": figures.z_loss,
                "balance_loss": figures.balance_loss,
                "lr": figures.learning_rate,
                "grad_norm": figures.grad_norm,
                **speed,
                "seconds": state.seconds,
                "layers": layers,
                "alarms": [asdict(alarm) for alarm in news.active],
            }
        )
        troubles = {"dead": sum(layer["dead_experts"] for layer in layers.values()), "alarms": len(news.active)}
        bar.set_postfix(
            refresh=sys.stderr.isatty(),
            loss=f"{figures.language_loss:.3f}",
            tok_s=f"{speed['tokens_per_s']:,.0f}",
            mfu=f"{speed['mfu']:.0%}",
            max_violation=f"{max(layer['max_violation'] for layer in layers.values()):.2f}",
            **{name: count for name, count in troubles.items() if count},
        )

    def _layer_records(self, figures: StepFigures) -> dict[str, dict]:
        choices = None
        if figures.choices is not None:
            choices = choice_figures(
                figures.choices, source_names=self._source_names, expert_parallel=self._expert_parallel
            )
        return layer_records(self._layers, figures.tokens_per_expert_LE, drifts=self.drift.measure(), choices=choices)
