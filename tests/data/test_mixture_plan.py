"""Which source a row is from: exact shares, any access, caps that hold."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mai1.data.mixture_plan import MixturePlan
from mai1.data.shares import LEAST, WHOLE, apportion, deal, shares_of

WEIGHTS = st.lists(st.floats(0.001, 1.0), min_size=1, max_size=6)
QUICK = settings(max_examples=40, deadline=None, derandomize=True)


def plan_of(*changes: tuple[list[float], int | None], caps: list[int | None] | None = None, **options) -> MixturePlan:
    num_sources = len(changes[0][0])
    plan = MixturePlan(caps or [None] * num_sources, **({"seed": 5, "repeats": False} | options))
    for weights, end in changes:
        plan.extend(shares_of(weights), end)
    return plan


def sources_of(plan: MixturePlan, num_rows: int) -> np.ndarray:
    """Row by row; every source's rows must come in order, none left out."""
    seen, sources = {}, []
    for row in range(num_rows):
        place = plan.place_of(row)
        assert place.number == seen.get(place.source, 0)
        seen[place.source] = place.number + 1
        sources.append(place.source)
    return np.array(sources)


@QUICK
@given(WEIGHTS, st.integers(1, 10**9))
def test_parts_sum_to_the_whole_and_are_within_one_of_their_share(weights, total):
    parts = apportion(weights, total)
    exact = [Fraction(w) * total / sum(map(Fraction, weights)) for w in weights]
    assert sum(parts) == total and all(abs(part - value) < 1 for part, value in zip(parts, exact, strict=True))


def test_largest_remainders_are_rounded_up_and_ties_go_to_the_first():
    assert apportion([5, 3, 2], 7) == [4, 2, 1]  # 3.5, 2.1, 1.4
    assert apportion([1, 1, 1], 5) == [2, 2, 1]
    assert apportion([0, 3, 0], 4) == [0, 4, 0]


def test_a_share_below_one_in_a_million_is_left_out():
    assert shares_of([1.0, 1e-9, 1.0]) == [WHOLE // 2, 0, WHOLE // 2]
    assert all(share == 0 or share >= LEAST for share in shares_of([1.0, 1.5e-6, 1e-7]))


@QUICK
@given(WEIGHTS, st.integers(0, 10**6), st.text(max_size=5))
def test_rows_dealt_out_sum_up_and_are_rounded_by_less_than_one(weights, num_rows, key):
    shares = shares_of(weights)
    dealt = deal(shares, num_rows, key=key)
    assert sum(dealt) == num_rows
    assert all(abs(got - Fraction(share * num_rows, WHOLE)) < 1 for got, share in zip(dealt, shares, strict=True))


def test_rounding_favours_no_source():
    shares = shares_of([0.6, 0.25, 0.1, 0.05])
    mean = np.mean([deal(shares, 3, key=str(key)) for key in range(4000)], axis=0)
    assert np.allclose(mean, [1.8, 0.75, 0.3, 0.15], atol=0.03)


@QUICK
@given(WEIGHTS, st.lists(st.integers(0, 3000), max_size=12), st.data())
def test_any_row_is_placed_as_if_all_before_it_had_been_counted(weights, rows, data):
    others = data.draw(st.lists(st.floats(0.001, 1.0), min_size=len(weights), max_size=len(weights)))
    changes = [(weights, 700), (others, 1100), (weights, None)]
    caps = [None] + [data.draw(st.one_of(st.none(), st.integers(0, 400))) for _ in weights[1:]]
    plan, fresh = plan_of(*changes, caps=caps), plan_of(*changes, caps=caps)
    sequence = [plan.place_of(row) for row in range(3001)]
    assert [fresh.place_of(row) for row in rows] == [sequence[row] for row in rows]
    for row in rows:
        counts = np.bincount([place.source for place in sequence[:row]], minlength=len(weights))
        assert fresh.given_before(row) == counts.tolist()
        sources_of(fresh, 50)


@pytest.mark.parametrize(
    "weights", [[0.5, 0.3, 0.2], [0.97, 0.01, 0.02], [1, 1, 1, 1, 1, 1, 1], [0.9] + [0.005] * 20, [1]]
)
def test_at_no_blocks_end_is_a_source_off_by_a_whole_row(weights):
    plan = plan_of((weights, 3001), (weights[::-1], None))
    sources = sources_of(plan, 6000)
    first, second = plan.stretches
    assert (first.end, second.first) == (3001, 3001)
    for stretch, last in ((first, 3001), (second, 6000)):
        row = stretch.first
        while row < last:
            _, row = stretch.block_of(row)
            counts = np.bincount(sources[stretch.first : row], minlength=len(weights)) if row <= 6000 else None
            if counts is not None:
                wanted = np.array(stretch.shares) / WHOLE * (row - stretch.first)
                assert np.abs(counts - wanted).max() < 1


def test_a_block_is_as_short_as_the_smallest_share_allows_and_shuffled():
    plan = plan_of(([0.5, 0.5], None))
    assert plan.stretches[0].block_rows == 64
    assert plan_of(([0.999, 0.001], None)).stretches[0].block_rows == 1024
    blocks = sources_of(plan, 640).reshape(10, 64)
    assert (blocks.sum(1) == 32).all() and len({tuple(block) for block in blocks}) == 10
    assert (sources_of(plan_of(([0.5, 0.5], None), seed=6), 64) != blocks[0]).any()


def test_short_stretches_starve_nobody():
    """Twelve sources and eight rows at a time: over many stretches the small ones get what they are due."""
    weights = [0.5, 0.2] + [0.03] * 10
    plan = plan_of(*[(weights, 8 * (i + 1)) for i in range(1500)])
    counts = np.bincount(sources_of(plan, 12_000))
    assert np.abs(counts / 12_000 - weights).max() < 0.004


@pytest.mark.parametrize("caps", [[100, None, None], [100, 37, None], [0, 50, None], [1, 2, None]])
def test_a_spent_source_gives_its_share_to_the_others(caps):
    weights = np.array([0.5, 0.3, 0.2])
    plan = plan_of((weights.tolist(), None), caps=caps)
    sources = sources_of(plan, 4000)
    counts = np.bincount(sources, minlength=3)
    for source, cap in enumerate(caps):
        if cap is not None:
            assert max(0, cap - 1) <= counts[source] <= cap
    active = np.array([cap is None for cap in caps])
    wanted = np.where(active, weights, 0) / weights[active].sum()
    tail = np.bincount(sources[-1000:], minlength=3) / 1000
    assert np.abs(tail - wanted).max() < 0.03


def test_when_all_are_spent_the_rows_end_or_all_start_again():
    plan = plan_of(([0.5, 0.5], None), caps=[100, 200])
    assert plan.is_exhausted and 298 <= plan.end <= 300
    sources_of(plan, plan.end)
    with pytest.raises(ValueError, match="data.mixture.max_epochs times.*on_exhausted=repeat"):
        plan.place_of(plan.end)
    again = plan_of(([0.5, 0.5], None), caps=[100, 200], repeats=True)
    assert not again.is_exhausted
    assert (sources_of(again, plan.end) == sources_of(plan, plan.end)).all()
    rest = sources_of(again, 2000)[plan.end :]
    assert abs((rest == 0).mean() - 0.5) < 0.02


def test_shares_change_where_they_are_told_to():
    plan = plan_of(([1, 0, 0], 100), ([0, 1, 0], 150), ([0, 0.5, 0.5], None))
    sources = sources_of(plan, 400)
    assert (sources[:100] == 0).all() and (sources[100:150] == 1).all() and set(sources[150:]) == {1, 2}
    assert [plan.shares_at(row)[1] for row in (0, 99, 100, 149, 150)] == [0, 0, WHOLE, WHOLE, WHOLE // 2]


def test_what_is_not_decided_yet_is_not_guessed():
    plan = plan_of(([1, 1], 100))
    plan.place_of(99)
    with pytest.raises(AssertionError, match="row 100 are not decided yet"):
        plan.place_of(100)
