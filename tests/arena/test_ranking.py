"""Ratings against another program's, and their intervals against the truth of simulated battles."""

from dataclasses import replace

import evalica
import numpy as np
import pytest

from mai1.arena.battles import Judgement
from mai1.arena.ranking import ELO, RankingConfig, contrasts, rate
from mai1.arena.strengths import Battles, fit_strengths, separate_groups
from mai1.arena.uncertainty import bootstrap, sandwich_errors


def simulated(strengths: list[float], *, prompts: int, seed: int, ties: float = 0.1) -> list[Judgement]:
    """Battles of models m0, m1, ... whose outcome Bradley-Terry decides, one pair a prompt."""
    generator = np.random.default_rng(seed)
    judgements = []
    for number in range(prompts):
        left, right = generator.choice(len(strengths), 2, replace=False)
        chance = 1 / (1 + np.exp(strengths[right] - strengths[left]))
        verdict = "left" if generator.random() < chance else "right"
        # a tie replaces a win as often as a loss, so that its half keeps the mean
        verdict = "tie" if generator.random() < ties * min(chance, 1 - chance) * 2 else verdict
        judgements.append(Judgement(f"p{number}", f"m{left}", f"m{right}", verdict, "simulation"))
    return judgements


def evalica_strengths(judgements: list[Judgement]) -> dict[str, float]:
    winners = {"left": evalica.Winner.X, "right": evalica.Winner.Y, "tie": evalica.Winner.Draw}
    result = evalica.bradley_terry(
        [each.left for each in judgements],
        [each.right for each in judgements],
        [winners[each.verdict] for each in judgements],
        tolerance=1e-15,
        limit=100_000,
    )
    logs = np.log(result.scores)
    return (logs - logs.mean()).to_dict()


@pytest.mark.parametrize(("num_models", "prompts", "seed"), [(2, 60, 0), (5, 500, 1), (8, 4000, 2), (12, 3000, 3)])
def test_strengths_are_those_of_evalica_to_a_millionth(num_models: int, prompts: int, seed: int):
    judgements = simulated(list(np.linspace(-1.5, 1.5, num_models)), prompts=prompts, seed=seed)
    battles = Battles.of(judgements)
    strengths = dict(zip(battles.models, fit_strengths(battles, ridge=0.0), strict=True))
    for model, expected in evalica_strengths(judgements).items():
        assert strengths[model] == pytest.approx(expected, abs=1e-6)


def test_newton_finds_what_a_slow_ascent_finds():
    battles = Battles.of(simulated([0.0, 0.5, 1.2], prompts=200, seed=4))
    slow = np.zeros(3)
    for _ in range(20_000):
        gap = slow[battles.left_N] - slow[battles.right_N]
        surprise = battles.score_N - 1 / (1 + np.exp(-gap))
        gradient = -0.5 * slow
        np.add.at(gradient, battles.left_N, surprise)
        np.add.at(gradient, battles.right_N, -surprise)
        slow += 0.01 * gradient
    assert np.allclose(fit_strengths(battles, ridge=0.5), slow, atol=1e-8)


def test_intervals_hold_the_truth_as_often_as_they_say():
    truth = np.array([-1.0, -0.4, 0.0, 0.5, 0.9])
    held, rounds = 0, 250
    for seed in range(rounds):
        battles = Battles.of(simulated(list(truth), prompts=300, seed=seed, ties=0.0))
        strengths = fit_strengths(battles, ridge=0.0)
        errors = sandwich_errors(battles, strengths, contrasts(battles.models, ""), ridge=0.0)
        held += (np.abs(strengths - (truth - truth.mean())) < 1.96 * errors).sum()
    assert 0.92 <= held / (rounds * len(truth)) <= 0.98


def test_battles_of_one_prompt_are_not_taken_for_independent():
    once = simulated([0.0, 0.6, 1.0], prompts=100, seed=5)
    four_times = [each for each in once for _ in range(4)]  # the same prompt says the same four times
    (alone, repeated) = (Battles.of(judgements) for judgements in (once, four_times))
    settings = {"ridge": 0.0}
    differences = contrasts(alone.models, "")
    errors = [
        sandwich_errors(each, fit_strengths(each, **settings), differences, **settings) for each in (alone, repeated)
    ]
    assert np.allclose(*errors, rtol=1e-9)


def test_the_bootstrap_agrees_with_the_sandwich():
    battles = Battles.of(simulated([0.0, 0.4, 1.0], prompts=400, seed=6))
    differences = contrasts(battles.models, "m0")
    drawn = bootstrap(battles, differences, ridge=0.0625, rounds=400, seed=0)
    errors = sandwich_errors(battles, fit_strengths(battles, ridge=0.0625), differences, ridge=0.0625)
    assert np.allclose(drawn.std(axis=0)[1:], errors[1:], rtol=0.2)
    assert drawn[:, 0].std() < 1e-12 and errors[0] < 1e-12  # the anchor is certain


def test_ratings_are_on_elos_scale_and_anchored():
    judgements = [Judgement(f"p{i}", "a", "b", "left" if i < 3000 else "right", "x") for i in range(4000)]
    first, second = rate(judgements, RankingConfig(anchor="b", anchor_rating=1200.0, bootstrap_rounds=0, ridge=0.0))
    assert first.model == "a" and second.rating == pytest.approx(1200.0)
    assert first.rating - second.rating == pytest.approx(ELO * np.log(3), abs=1e-6)  # 190.8 points for 3 : 1
    assert (first.wins, first.losses, first.ties, first.battles) == (3000, 1000, 0, 4000)
    assert first.low < first.rating < first.high and first.bootstrap_low is None
    mean = rate(judgements, RankingConfig(bootstrap_rounds=50))
    assert sum(each.rating for each in mean) / 2 == pytest.approx(1000.0)
    assert mean[0].bootstrap_low < mean[0].rating < mean[0].bootstrap_high


def test_a_model_that_won_everything_is_finite_with_a_ridge_and_refused_without():
    judgements = [Judgement(f"p{i}", "a", "b", "left", "x") for i in range(20)]
    ratings = rate(judgements, RankingConfig(bootstrap_rounds=10))
    assert ratings[0].model == "a" and np.isfinite(ratings[0].high)
    with pytest.raises(ValueError, match=r"ranking\.ridge=0 .* ridge above 0"):
        rate(judgements, RankingConfig(ridge=0.0))


@pytest.mark.parametrize(("gap", "battles"), [(2.0, 10), (3.0, 20), (4.0, 20)])
def test_the_interval_of_a_model_that_never_lost_holds_the_truth(gap: float, battles: int):
    judgements = [Judgement(f"p{i}", "a", "b", "left", "x") for i in range(battles)]
    first, second = rate(judgements, RankingConfig())
    assert first.low < 1000 + ELO * gap / 2 < first.high and second.low < 1000 - ELO * gap / 2 < second.high
    assert first.bootstrap_low is None  # every sample of prompts says the same, which is not certainty


@pytest.mark.parametrize("ridge", [0.0, 0.0625])
@pytest.mark.parametrize("prompts", [1, 3, 40])
def test_ties_alone_are_not_certainty(prompts: int, ridge: float):
    judgements = [Judgement(f"p{i}", "a", "b", "tie", "x") for i in range(prompts)]
    first = rate(judgements, RankingConfig(ridge=ridge))[0]
    assert first.rating == pytest.approx(1000.0) and first.bootstrap_low is None
    # each of two sides has half of the gap's error, 2 / sqrt(battles) at even strengths
    assert first.high - 1000 == pytest.approx(1.96 * ELO / np.sqrt(prompts + 2 * ridge), rel=1e-3)


def test_one_prompt_tells_no_more_than_its_battles():
    verdicts = {("a", "b"): "left", ("b", "c"): "left", ("c", "a"): "left"}  # a ring: strengths are finite and equal
    judgements = [Judgement("only", *pair, verdict, "x") for pair, verdict in verdicts.items()]
    assert all(each.high - each.rating > 200 for each in rate(judgements, RankingConfig(ridge=0.0)))


def test_models_that_never_met_are_named_and_far_from_certain():
    judgements = simulated([0.0, 0.3], prompts=200, seed=9)
    judgements += [replace(each, left=f"x{each.left}", right=f"x{each.right}") for each in judgements]
    assert separate_groups(judgements) == [["m0", "m1"], ["xm0", "xm1"]]
    assert all(each.high - each.low > 1000 for each in rate(judgements, RankingConfig()))
    with pytest.raises(ValueError, match=r"ridge=0 .* how far apart m0, m1 \| xm0, xm1 are"):
        rate(judgements, RankingConfig(ridge=0.0))
    bridge = [Judgement("bridge", "m0", "xm1", "tie", "x")]
    assert separate_groups(judgements + bridge) == [["m0", "m1", "xm0", "xm1"]]


def test_groups_stand_in_the_order_in_which_they_win():
    always = [Judgement(f"p{i}", "weak", "strong", "right", "x") for i in range(5)]
    among = [Judgement(f"q{i}", "strong", "other", ("left", "right")[i % 2], "x") for i in range(6)]
    assert separate_groups(always + among) == [["other", "strong"], ["weak"]]
    assert separate_groups([*always, Judgement("r", "weak", "other", "tie", "x")]) == [["strong"], ["other", "weak"]]


def test_skipped_battles_count_for_nothing():
    judgements = simulated([0.0, 1.0], prompts=50, seed=7)
    skipped = [Judgement(f"s{i}", "m0", "m1", "skip", "x") for i in range(50)]
    assert rate(judgements, RankingConfig()) == rate(judgements + skipped, RankingConfig())
    with pytest.raises(ValueError, match="no battle"):
        rate(skipped, RankingConfig())


@pytest.mark.parametrize("settings", [{"ridge": -1.0}, {"bootstrap_rounds": -1}])
def test_settings_outside_their_range_are_refused(settings: dict):
    with pytest.raises(ValueError, match=rf"ranking\.{next(iter(settings))}="):
        RankingConfig(**settings)
    with pytest.raises(ValueError, match=r"ranking\.anchor=z must be one of m0, m1"):
        rate(simulated([0.0, 1.0], prompts=20, seed=8), RankingConfig(anchor="z"))
