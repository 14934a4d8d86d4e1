"""What holds for laws and lost time at any budget and any rate of failures."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mai1.plan.goodput import best_interval, daly_interval, effective_share, young_interval
from mai1.plan.laws import fine_grained, joint, ling
from mai1.plan.laws.recommendation import lowest
from mai1.plan.laws.side_by_side import recommend, spread

quick = settings(max_examples=40, deadline=None, derandomize=True)
budgets = st.floats(17, 27).map(lambda power: 10**power)
times = st.floats(-1, 4).map(lambda power: 10**power)


@quick
@given(budgets, st.sampled_from([fine_grained.OF_64, fine_grained.OF_16, fine_grained.DENSE]))
def test_no_nearby_allocation_is_better(flops: float, law: fine_grained.FineGrainedLaw):
    best = law.best(flops)
    for size in (0.5, 0.9, 1.1, 2.0):
        for granularity in (1,) if not law.g else (best.granularity, best.granularity * 2, best.granularity / 2):
            active = best.active * size
            tokens = flops / law.flops_per_token(active, granularity)
            assert law.loss(law.total(active), tokens, granularity) >= best.loss


@quick
@given(budgets, st.integers(1, 32))
def test_the_closed_form_of_the_joint_law_is_its_lowest_point(flops: float, experts: int):
    law = joint.with_experts(experts)
    active = law.best_active(flops)
    best = lowest(lambda size: law.loss(size, flops / 6 / size), active / 100, active * 100)
    assert active == pytest.approx(best, rel=1e-3)


@quick
@given(budgets, st.floats(0.02, 0.5), st.floats(1, 64))
def test_sparser_is_always_more_leverage(flops: float, ratio: float, granularity: float):
    leverage = ling.efficiency_leverage(ratio, granularity, flops)
    sparser = ling.efficiency_leverage(ratio / 2, granularity, flops)
    assert (sparser > leverage) == (sparser > 1)  # below any gain, experts only cost
    best = ling.best_granularity(ratio, flops)
    assert leverage <= ling.efficiency_leverage(ratio, best, flops) * (1 + 1e-9)


@quick
@given(budgets, st.sampled_from([512, 4096, 131072]))
def test_answers_are_finite_positive_and_inside_their_spread(flops: float, context: int):
    answers = recommend(flops, context=context)
    for name, (low, high) in spread(answers).items():
        values = [getattr(answer, name) for answer in answers if answer.experts]
        assert all(low <= value <= high for value in values if value is not None)
        assert 0 < low <= high < math.inf


@quick
@given(times, st.floats(1.5, 5).map(lambda power: 10**power))
def test_the_best_interval_is_below_youngs_and_near_dalys(stall_s: float, mtbf_s: float):
    best = best_interval(stall_s, mtbf_s)
    assert 0 < best <= min(young_interval(stall_s, mtbf_s), mtbf_s) * (1 + 1e-9)
    if stall_s < mtbf_s / 10:
        assert best == pytest.approx(daly_interval(stall_s, mtbf_s), rel=0.01)


@quick
@given(times, times, times, times, st.floats(2, 5).map(lambda power: 10**power))
def test_time_is_spent_once_and_more_failures_never_help(
    interval_s: float, stall_s: float, write_s: float, recovery_s: float, mtbf_s: float
):
    cost = {"stall_s": stall_s, "write_s": write_s, "recovery_s": recovery_s}
    if max(interval_s, recovery_s, write_s) / mtbf_s > 100:
        return  # exp overflows where nothing is ever achieved
    shares = effective_share(interval_s, mtbf_s=mtbf_s, **cost)
    parts = (shares.effective, shares.saving, shares.repeating, shares.recovery)
    assert all(part >= -1e-12 for part in parts) and sum(parts) == pytest.approx(1)
    assert effective_share(interval_s, mtbf_s=mtbf_s * 2, **cost).effective >= shares.effective
    for name in cost:
        dearer = cost | {name: cost[name] * 1.5}
        assert effective_share(interval_s, mtbf_s=mtbf_s, **dearer).effective <= shares.effective
