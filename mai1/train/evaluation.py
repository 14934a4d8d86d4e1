"""What is measured between steps: held-out losses, routing against the start model, pairs that are ranked rightly.

Every rank takes part, rank 0 writes.
"""

from dataclasses import dataclass, field

import torch

from mai1.checkpoint.checkpoint import TrainerState
from mai1.data.heldout import HeldoutSource
from mai1.data.preferences import PackedPreferences
from mai1.engine.engine import Engine
from mai1.evaluate.heldout import heldout_losses, mean_loss
from mai1.evaluate.pairs import answer_logps
from mai1.evaluate.periodic import PeriodicTasks
from mai1.evaluate.periodic_samples import PeriodicSamples
from mai1.evaluate.rows import Measuring
from mai1.loss import PairTotals
from mai1.objective.pair_losses import Answers, PreferenceConfig, pair_losses
from mai1.objective.preference import reference_point_of
from mai1.train.routing_probe import RoutingProbe
from mai1.train.step_log import StepLog


@dataclass(kw_only=True, slots=True)
class HeldoutPairs:
    """Pairs that are not learned from, and what their loss is."""

    rows: PackedPreferences
    config: PreferenceConfig
    reference_PA: torch.Tensor | None
    """The start model's log-probabilities, by the pairs' numbers; None where the method needs none."""
    mismatched_PA: torch.Tensor | None = None
    """Those of the mismatched answers, for KTO."""

    def figures(self, measuring: Measuring) -> dict[str, float]:
        """The mean loss of the pairs and the means of their figures, on every rank; every rank must call this."""
        device = measuring.world.device
        logps_PA = answer_logps(self.rows.rows, measuring, num_pairs=len(self.rows.pairs))
        lengths_PA = torch.from_numpy(self.rows.lengths_PA).to(device)
        reference_PA = None if self.reference_PA is None else self.reference_PA.to(device)
        totals = self._totals(measuring) if self.config.judges_one_by_one else None
        losses = pair_losses(Answers(logps_PA, lengths_PA, reference_PA, totals), self.config)
        return {name: float(x_P.mean()) for name, x_P in ({"loss": losses.loss_P} | losses.figures).items()}

    def _totals(self, measuring: Measuring) -> PairTotals:
        """What KTO's losses of held-out answers depend on: all of them."""
        num_pairs, (num_desirable, num_undesirable) = len(self.rows.pairs), (self.rows.lengths_PA > 0).sum(0).tolist()
        logps_PA = answer_logps(self.rows.mismatched, measuring, num_pairs=num_pairs)
        log_ratios = float((logps_PA - self.mismatched_PA.to(logps_PA.device)).sum())
        reference_point = reference_point_of(log_ratios, num_answers=num_desirable + num_undesirable)
        return PairTotals(num_pairs, num_desirable, num_undesirable, reference_point)


@dataclass(kw_only=True, slots=True)
class Evaluation:
    """The measurements of a run."""

    measuring: Measuring
    heldout: list[HeldoutSource] = field(default_factory=list)
    probe: RoutingProbe | None = None
    pairs: HeldoutPairs | None = None
    tasks: PeriodicTasks | None = None
    samples: PeriodicSamples | None = None

    def measure_tasks(self, state: TrainerState, log: StepLog | None) -> None:
        """Ask the state's weights the items of the tasks; every rank must call this."""
        scores = self.tasks.measure(state.step)
        if log is not None:
            log.write_tasks(scores, state)

    def measure(self, state: TrainerState, log: StepLog | None, *, flops: int) -> None:
        """Everything there is to measure of the state's weights, of which `flops` went into; every rank must call this."""
        if self.heldout:
            self._measure_heldout(state, log, flops=flops)
        if self.probe is not None:
            shifts = self.probe.measure(self.measuring, step=state.step)
            if log is not None:
                log.write_routing(shifts, state)
        if self.pairs is not None:
            figures = self.pairs.figures(self.measuring)
            if log is not None:
                log.write_pairs(figures, state, num_pairs=len(self.pairs.rows.pairs))

    def _measure_heldout(self, state: TrainerState, log: StepLog | None, *, flops: int) -> None:
        measuring = self.measuring
        losses = heldout_losses(
            measuring.model,
            self.heldout,
            world=measuring.world,
            rows_at_once=measuring.rows_at_once,
            end_of_text_id=measuring.end_of_text_id,
            num_stages=measuring.num_stages,
            run=measuring.run,
        )
        mean = mean_loss(losses)
        state.heldout_loss = mean.loss
        if log is not None:
            log.write_heldout(mean, losses, state, flops=flops)


def measuring_with(engine: Engine, *, rows_at_once: int, end_of_text_id: int) -> Measuring:
    """How the engine's model is measured."""
    return Measuring(
        model=engine.model,
        world=engine.world,
        rows_at_once=rows_at_once,
        end_of_text_id=end_of_text_id,
        num_stages=engine.place.num_stages,
        run=engine.eval_batch,
    )
