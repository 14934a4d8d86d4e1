"""Losses of pairs of answers, as functions of the answers' log-probabilities alone.

KTO's answers are judged one by one: a pair may hold one alone. Legend: P pairs, A answers of a pair, the better one first: 2.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import torch
import torch.nn.functional as F

from mai1.loss import PairTotals


class PreferenceMethod(Enum):
    """What is minimised of a pair."""

    dpo = "dpo"  # Rafailov et al. 2023, arXiv 2305.18290, eq. 7
    orpo = "orpo"  # Hong et al. 2024, arXiv 2403.07691, eq. 6 and 7; needs no reference
    kto = "kto"  # Ethayarajh et al. 2024, arXiv 2402.01306, eq. 7; needs no pairs


class Normalization(Enum):
    """What an answer's log-probability is, for DPO."""

    none = "none"  # the sum over its tokens, as in the paper
    length = "length"  # the mean, so that long answers weigh no more: Lambert et al. 2024, arXiv 2411.15124, eq. 6


@dataclass(kw_only=True, slots=True)
class PreferenceConfig:
    method: PreferenceMethod = PreferenceMethod.dpo
    """dpo (against the start model) | orpo (without a reference, imitation included) | kto (answers judged one by one)."""
    beta: float = 0.1
    """Of dpo and kto: how strongly the model is held to the start model; larger holds more. With normalization=length about 5."""
    label_smoothing: float = 0.0
    """Of dpo: the share of pairs that are taken to be labelled the wrong way round (cDPO)."""
    normalization: Normalization = Normalization.none
    """Of dpo: none (log-probabilities summed over an answer) | length (their mean)."""
    sft_weight: float = 0.0
    """Of dpo: factor of the better answer's loss in nats per token, which keeps it likely (RPO: 1.0)."""
    odds_weight: float = 0.1
    """Of orpo: factor of the odds ratio's loss, the paper's lambda."""
    desirable_weight: float = 1.0
    """Of kto: factor of the losses of desirable answers. Times their number it should be 1 to 4/3 times the same product of
    the undesirable ones."""
    undesirable_weight: float = 1.0
    """Of kto: factor of the losses of undesirable answers."""

    def __post_init__(self) -> None:
        for key in ("beta", "odds_weight", "desirable_weight", "undesirable_weight"):
            if not 0 < getattr(self, key) < math.inf:
                raise ValueError(f"preference.{key}={getattr(self, key)} must be above 0")
        if not 0 <= self.label_smoothing < 0.5:
            raise ValueError(
                f"preference.label_smoothing={self.label_smoothing} must be at least 0 and below 0.5, from where on labels "
                "would tell nothing: use 0 to trust them"
            )
        if not 0 <= self.sft_weight < math.inf:
            raise ValueError(f"preference.sft_weight={self.sft_weight} must not be negative: use 0 for no such loss")

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of what is reported of pairs: see docs/metrics.md."""
        if self.judges_one_by_one:
            return tuple(name for name in FIGURES if name != "likelier") + ("reference_point",)
        return FIGURES if self.needs_reference else FIGURES[:-1]

    @property
    def needs_reference(self) -> bool:
        """Whether the start model's log-probabilities enter the loss."""
        return self.method is not PreferenceMethod.orpo

    @property
    def judges_one_by_one(self) -> bool:
        """Whether answers need no partner, but a reference point from mismatched ones."""
        return self.method is PreferenceMethod.kto


@dataclass(slots=True)
class Answers:
    """What is known of the answers of some pairs, the better one first; differentiable by `logps_PA`."""

    logps_PA: torch.Tensor
    """Log-probability of each answer, in nats, summed over its tokens."""
    lengths_PA: torch.Tensor
    """Tokens of each; 0 where there is no such answer, and then its log-probabilities are 0."""
    reference_PA: torch.Tensor | None = None
    """The start model's log-probabilities; None without a reference."""
    totals: PairTotals | None = None
    """Of all answers that the mean is over; for KTO."""

    @property
    def mean_logps_PA(self) -> torch.Tensor:
        """Per token."""
        return self.logps_PA / self.lengths_PA.clamp(min=1)


@dataclass(slots=True)
class PairLosses:
    """Of some pairs; what a step or a file has of them is the mean over its pairs."""

    loss_P: torch.Tensor
    figures: dict[str, torch.Tensor]
    """What is reported of each pair, by name, `[P]`, without gradients."""


FIGURES = (
    "reward_chosen",
    "reward_rejected",
    "reward_margin",
    "preference_accuracy",
    "likelier",
    "logp_chosen",
    "logp_rejected",
    "nats_chosen",
    "log_ratio",
)
"""What is reported of pairs; the last one only with a reference."""


def pair_losses(answers: Answers, config: PreferenceConfig) -> PairLosses:
    """The configured loss of each pair, and its figures."""
    loss_of: Callable[[Answers, PreferenceConfig], tuple[torch.Tensor, torch.Tensor]]
    loss_of = {PreferenceMethod.dpo: _dpo, PreferenceMethod.orpo: _orpo, PreferenceMethod.kto: _kto}[config.method]
    loss_P, rewards_PA = loss_of(answers, config)
    figures = _figures(answers, rewards_PA.detach())
    if config.judges_one_by_one:
        figures = _one_by_one(figures, answers, rewards_PA.detach(), config)
    return PairLosses(loss_P, figures)


def _dpo(answers: Answers, config: PreferenceConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Direct preference optimization: loss and implicit rewards `beta * log(policy / reference)` (eq. 5 without log Z).

    With label smoothing eps: `-(1 - eps) log sigmoid(margin) - eps log sigmoid(-margin)` (Mitchell 2023, cDPO, eq. 3); with
    `sft_weight` the better answer's nats per token besides (Pang et al. 2024, RPO, arXiv 2404.19733, eq. 1).
    """
    assert answers.reference_PA is not None, "without a reference the run is refused before it starts"
    ratios_PA = answers.logps_PA - answers.reference_PA
    if config.normalization is Normalization.length:
        ratios_PA = ratios_PA / answers.lengths_PA.clamp(min=1)
    rewards_PA = config.beta * ratios_PA
    margin_P, eps = rewards_PA[:, 0] - rewards_PA[:, 1], config.label_smoothing
    loss_P = -(1 - eps) * F.logsigmoid(margin_P) - eps * F.logsigmoid(-margin_P)
    return loss_P - config.sft_weight * answers.mean_logps_PA[:, 0], rewards_PA


def _orpo(answers: Answers, config: PreferenceConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Odds ratio preference optimization: the better answer's nats per token, and `-lambda log sigmoid(log odds ratio)`.

    Probabilities are of a whole answer, to the power of 1 / its length (eq. 1, 3, 4). Rewards are lambda times their logs.
    """
    means_PA = answers.mean_logps_PA.clamp(max=-1e-12)  # a certain answer would have infinite odds
    log_odds_PA = means_PA - torch.log(-torch.expm1(means_PA))
    loss_P = -config.odds_weight * F.logsigmoid(log_odds_PA[:, 0] - log_odds_PA[:, 1])
    return loss_P - means_PA[:, 0], config.odds_weight * means_PA


def _kto(answers: Answers, config: PreferenceConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Kahneman-Tversky optimization: `lambda_y - v(x, y)` (eq. 7), with v the weight times sigmoid(+-(reward - beta z0)).

    Rewards are DPO's. The mean is over answers: of a pair with both, the losses are added, and brought to a mean over pairs.
    """
    assert answers.reference_PA is not None and answers.totals is not None, "refused before the run starts"
    totals, rewards_PA = answers.totals, config.beta * (answers.logps_PA - answers.reference_PA)
    above_PA = rewards_PA - config.beta * totals.reference_point
    weights_A = rewards_PA.new_tensor([config.desirable_weight, config.undesirable_weight])
    losses_PA = weights_A * torch.sigmoid(above_PA * above_PA.new_tensor([-1.0, 1.0]))
    loss_P = (losses_PA * (answers.lengths_PA > 0)).sum(1)
    return loss_P * (totals.num_pairs / totals.num_answers), rewards_PA


def _figures(answers: Answers, rewards_PA: torch.Tensor) -> dict[str, torch.Tensor]:
    """Those of FIGURES, in their order; where two are equal, half a point is given."""
    logps_PA, means_PA = answers.logps_PA.detach(), answers.mean_logps_PA.detach()
    margin_P = rewards_PA[:, 0] - rewards_PA[:, 1]
    values = [
        *rewards_PA.unbind(1),
        margin_P,
        (1 + margin_P.sign()) / 2,
        (1 + (means_PA[:, 0] - means_PA[:, 1]).sign()) / 2,
        *logps_PA.unbind(1),
        -means_PA[:, 0],
    ]
    if answers.reference_PA is not None:
        values.append(((logps_PA - answers.reference_PA) / answers.lengths_PA.clamp(min=1)).mean(1))
    return dict(zip(FIGURES, values, strict=False))


def _one_by_one(
    figures: dict[str, torch.Tensor], answers: Answers, rewards_PA: torch.Tensor, config: PreferenceConfig
) -> dict[str, torch.Tensor]:
    """KTO's figures: means over the answers of a kind, brought to means over pairs; 0 where there is none of a kind.

    Ranked rightly is a pair by its rewards, an answer alone by the side of the reference point on which its reward is.
    """
    totals, is_there_PA = answers.totals, answers.lengths_PA > 0
    is_whole_P = is_there_PA.all(1)
    of_kind = {
        "chosen": totals.num_pairs / max(totals.num_desirable, 1.0),
        "rejected": totals.num_pairs / max(totals.num_undesirable, 1.0),
    }
    found = {name: value_P * of_kind.get(name.rpartition("_")[2], 1.0) for name, value_P in figures.items()}
    found["reward_margin"] = found["reward_chosen"] - found["reward_rejected"]
    above_PA = (rewards_PA - config.beta * totals.reference_point).sign() * is_there_PA
    alone_P = (1 + above_PA[:, 0] - above_PA[:, 1]) / 2
    found["preference_accuracy"] = torch.where(is_whole_P, figures["preference_accuracy"], alone_P)
    found["log_ratio"] = figures["log_ratio"] * (2 * totals.num_pairs / totals.num_answers)
    found["reference_point"] = torch.full_like(alone_P, totals.reference_point)
    if not is_whole_P.all():
        del found["likelier"]
    return found
