"""Losses of pairs of answers, as functions of the answers' log-probabilities alone. Legend: P pairs, A answers of a pair: 2."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import torch
import torch.nn.functional as F


class PreferenceMethod(Enum):
    """What is minimised of a pair."""

    dpo = "dpo"  # Rafailov et al. 2023, arXiv 2305.18290, eq. 7
    orpo = "orpo"  # Hong et al. 2024, arXiv 2403.07691, eq. 6 and 7; needs no reference


class Normalization(Enum):
    """What an answer's log-probability is, for DPO."""

    none = "none"  # the sum over its tokens, as in the paper
    length = "length"  # the mean, so that long answers weigh no more: Lambert et al. 2024, arXiv 2411.15124, eq. 6


@dataclass(kw_only=True, slots=True)
class PreferenceConfig:
    method: PreferenceMethod = PreferenceMethod.dpo
    """dpo (against the start model) | orpo (without a reference, imitation included)."""
    beta: float = 0.1
    """Of dpo: how strongly the model is held to the start model; larger holds more. With normalization=length about 5."""
    label_smoothing: float = 0.0
    """Of dpo: the share of pairs that are taken to be labelled the wrong way round (cDPO)."""
    normalization: Normalization = Normalization.none
    """Of dpo: none (log-probabilities summed over an answer) | length (their mean)."""
    sft_weight: float = 0.0
    """Of dpo: factor of the better answer's loss in nats per token, which keeps it likely (RPO: 1.0)."""
    odds_weight: float = 0.1
    """Of orpo: factor of the odds ratio's loss, the paper's lambda."""

    def __post_init__(self) -> None:
        for key in ("beta", "odds_weight"):
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
        return FIGURES if self.needs_reference else FIGURES[:-1]

    @property
    def needs_reference(self) -> bool:
        """Whether the start model's log-probabilities enter the loss."""
        return self.method is PreferenceMethod.dpo


@dataclass(slots=True)
class Answers:
    """What is known of the answers of some pairs, the better one first; differentiable by `logps_PA`."""

    logps_PA: torch.Tensor
    """Log-probability of each answer, in nats, summed over its tokens."""
    lengths_PA: torch.Tensor
    """Tokens of each."""
    reference_PA: torch.Tensor | None = None
    """The start model's log-probabilities; None without a reference."""

    @property
    def mean_logps_PA(self) -> torch.Tensor:
        """Per token."""
        return self.logps_PA / self.lengths_PA.clamp(min=1)


@dataclass(slots=True)
class PairLosses:
    """Of some pairs."""

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
    loss_of = _dpo if config.method is PreferenceMethod.dpo else _orpo
    loss_P, rewards_PA = loss_of(answers, config)
    return PairLosses(loss_P, _figures(answers, rewards_PA.detach()))


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
