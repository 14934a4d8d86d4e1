"""Losses of pairs against their papers' equations, and figures that mean what they say."""

import math
from dataclasses import replace

import pytest
import torch

from mai1.objective.pair_losses import Answers, Normalization, PreferenceConfig, PreferenceMethod, pair_losses

LOGPS = torch.tensor([[-12.0, -15.5], [-30.0, -8.25], [-7.5, -7.5]], dtype=torch.float64)
REFERENCE = torch.tensor([[-14.0, -13.5], [-29.0, -10.0], [-7.5, -7.5]], dtype=torch.float64)
LENGTHS = torch.tensor([[6.0, 5.0], [10.0, 3.0], [4.0, 4.0]], dtype=torch.float64)


def of(**settings) -> torch.Tensor:
    return pair_losses(Answers(LOGPS, LENGTHS, REFERENCE), PreferenceConfig(**settings)).loss_P


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_dpo_is_equation_7():
    for pair, loss in enumerate(of(beta=0.3)):
        (better, worse), (reference_better, reference_worse) = LOGPS[pair].tolist(), REFERENCE[pair].tolist()
        expected = -math.log(sigmoid(0.3 * (better - reference_better) - 0.3 * (worse - reference_worse)))
        assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_a_pair_that_has_not_moved_costs_the_logarithm_of_two():
    assert of()[2].item() == pytest.approx(math.log(2), rel=1e-12)


def test_label_smoothing_takes_a_share_of_the_labels_as_wrong():
    turned = Answers(LOGPS.flip(1), LENGTHS.flip(1), REFERENCE.flip(1))
    mixed = 0.9 * of() + 0.1 * pair_losses(turned, PreferenceConfig()).loss_P
    assert torch.allclose(of(label_smoothing=0.1), mixed, rtol=1e-12)


def test_normalization_by_length_uses_means_instead_of_sums():
    means = pair_losses(
        Answers(LOGPS / LENGTHS, torch.ones_like(LENGTHS), REFERENCE / LENGTHS), PreferenceConfig()
    ).loss_P
    assert torch.allclose(of(normalization=Normalization.length), means, rtol=1e-12)
    assert not torch.allclose(of(), means, rtol=1e-3)


def test_the_sft_term_adds_the_better_answers_nats_per_token():
    assert torch.allclose(of(sft_weight=0.5) - of(), -0.5 * (LOGPS / LENGTHS)[:, 0], rtol=1e-12)


def test_orpo_is_equations_4_to_7():
    losses = pair_losses(
        Answers(LOGPS, LENGTHS), PreferenceConfig(method=PreferenceMethod.orpo, odds_weight=0.25)
    ).loss_P
    for pair, loss in enumerate(losses):
        chances = [
            math.exp(logp / length) for logp, length in zip(LOGPS[pair].tolist(), LENGTHS[pair].tolist(), strict=True)
        ]
        odds = [p / (1 - p) for p in chances]
        expected = -math.log(chances[0]) - 0.25 * math.log(sigmoid(math.log(odds[0] / odds[1])))
        assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_orpo_has_finite_gradients_for_certain_answers():
    logps = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    loss = pair_losses(Answers(logps, LENGTHS[:1]), PreferenceConfig(method=PreferenceMethod.orpo)).loss_P.sum()
    [gradient] = torch.autograd.grad(loss, logps)
    assert torch.isfinite(loss) and torch.isfinite(gradient).all()


GOLDEN_ANSWERS = Answers(
    torch.tensor([[-9.5, -11.25], [-20.0, -18.0]], dtype=torch.float64),
    torch.tensor([[5.0, 9.0], [8.0, 6.0]], dtype=torch.float64),
    torch.tensor([[-10.0, -10.5], [-21.5, -17.0]], dtype=torch.float64),
)


OF_TRL = {
    "dpo": (
        PreferenceConfig(beta=0.3),
        [0.5231232643, 0.3868710101],
        [[-0.1222000346, 0.1222000346], [-0.0962463915, 0.0962463915]],
    ),
    "length": (
        PreferenceConfig(beta=2.0, normalization=Normalization.length),
        [0.5265260935, 0.4004286230],
        [[-0.1637386829, 0.0909659341], [-0.0824918002, 0.1099890694]],
    ),
    "smoothed": (
        PreferenceConfig(beta=0.3, label_smoothing=0.1),
        [0.5606232285, 0.4618709981],
        [[-0.0922000259, 0.0922000259], [-0.0662463829, 0.0662463829]],
    ),
    "orpo": (
        PreferenceConfig(method=PreferenceMethod.orpo, odds_weight=0.25),
        [2.1972029209, 2.6152904034],
        [[-0.2408861369, 0.0270739570], [-0.1375777274, 0.0162002724]],
    ),
}
"""Loss of each pair and its gradient by the answers' log-probabilities, as TRL 1.16.0 computes them from the same numbers: its
DPOTrainer with loss types sigmoid, sigmoid_norm and, of one pair at a time, aot; ORPOTrainer.odds_ratio_loss and the better
answer's mean loss."""


@pytest.mark.parametrize("name", OF_TRL)
def test_losses_and_gradients_are_those_of_trl(name: str):
    config, expected, gradients = OF_TRL[name]
    logps_PA = GOLDEN_ANSWERS.logps_PA.clone().requires_grad_()
    losses = pair_losses(replace(GOLDEN_ANSWERS, logps_PA=logps_PA), config).loss_P
    [found] = torch.autograd.grad(losses.sum(), logps_PA)
    assert losses.tolist() == pytest.approx(expected, rel=1e-5)
    assert torch.allclose(found, torch.tensor(gradients, dtype=torch.float64), rtol=1e-5)


def test_figures_say_what_they_are_named_for():
    figures = pair_losses(Answers(LOGPS, LENGTHS, REFERENCE), PreferenceConfig(beta=0.5)).figures
    assert tuple(figures) == PreferenceConfig().figures
    assert figures["reward_chosen"].tolist() == [1.0, -0.5, 0.0]
    assert figures["reward_rejected"].tolist() == [-1.0, 0.875, 0.0]
    assert figures["reward_margin"].tolist() == [2.0, -1.375, 0.0]
    assert figures["preference_accuracy"].tolist() == [1.0, 0.0, 0.5]
    assert figures["likelier"].tolist() == [1.0, 0.0 if -3.0 < -2.75 else 1.0, 0.5]
    assert figures["logp_chosen"].tolist() == LOGPS[:, 0].tolist()
    assert figures["nats_chosen"].tolist() == [2.0, 3.0, 1.875]
    assert figures["log_ratio"][0].item() == pytest.approx((2 / 6 - 2 / 5) / 2)
    assert all(not value.requires_grad for value in figures.values())


def test_without_a_reference_nothing_is_said_of_it():
    config = PreferenceConfig(method=PreferenceMethod.orpo)
    assert "log_ratio" not in config.figures and not config.needs_reference
    assert tuple(pair_losses(Answers(LOGPS, LENGTHS), config).figures) == config.figures


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"beta": 0.0}, "preference.beta=0.0 must be above 0"),
        ({"label_smoothing": 0.5}, "preference.label_smoothing=0.5 must be at least 0 and below 0.5"),
        ({"sft_weight": -1.0}, "preference.sft_weight=-1.0 must not be negative"),
        ({"odds_weight": math.inf}, "preference.odds_weight=inf must be above 0"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_their_mend(settings: dict, said: str):
    with pytest.raises(ValueError, match=said):
        PreferenceConfig(**settings)
