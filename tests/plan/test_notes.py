"""Remarks on a plan: gradients that travel too often, and device counts that divide badly."""

from dataclasses import replace

import pytest

from mai1.plan.layout import Layout
from mai1.plan.memory.memory import memory_of
from mai1.plan.notes import about_gradients, notes_of
from mai1.plan.search.candidate import candidate_of
from mai1.plan.search.nearby import best_nearby, counts_near, divides_badly, factors_of
from mai1.plan.search.search import search
from mai1.plan.timing.step_time import step_time
from tests.plan.test_search import DEVICE, question


def found(layout: Layout, **changes):
    asked = question(num_devices=layout.num_devices, **changes)
    workload = asked.workload(asked.sequences_per_step)
    return asked, candidate_of(asked, workload, layout, memory=memory_of(workload, layout))


def test_zero_1_is_named_where_gradients_travel_after_every_microbatch():
    asked, candidate = found(Layout(num_devices=4, zero_stage=2))  # eight microbatches
    note = about_gradients(asked, candidate)
    once = step_time(candidate.workload, replace(candidate.layout, zero_stage=1), DEVICE).total
    assert "after each of 8 microbatches" in note and f"save {1 - once / candidate.time.total:.1%} of the step" in note
    assert "but engine.zero_stage=1 with bf16" in note  # this version's reason


@pytest.mark.parametrize("layout", [Layout(num_devices=4, zero_stage=1), Layout(num_devices=4, microbatch=8)])
def test_nothing_is_said_where_gradients_travel_once(layout: Layout):
    assert about_gradients(*found(layout)) == ""


@pytest.mark.parametrize(
    ("count", "is_bad", "near"),
    [
        (15_000, True, [14_336, 15_360]),
        (1000, True, [960, 1024]),
        (4096, False, []),
        (96, False, []),
        (7, True, [6, 8]),
        (1, False, []),
        (999_999, True, [983_040, 1_048_576]),
    ],
)
def test_counts_that_divide_badly_have_better_ones_nearby(count: int, is_bad: bool, near: list[int]):
    assert divides_badly(count) == is_bad
    if is_bad:
        assert counts_near(count) == near


@pytest.mark.parametrize(
    ("count", "text"), [(15_000, "2^3 x 3 x 5^4"), (15_360, "2^10 x 3 x 5"), (1, "1"), (97, "97"), (12, "2^2 x 3")]
)
def test_factors_are_written_as_powers(count: int, text: str):
    assert factors_of(count) == text


def test_a_count_nearby_gains_what_its_own_search_finds():
    asked = question(num_devices=7, sequences_per_step=56, rounds_rows=True)
    best = search(asked, limit=1).best[0]
    nearby = best_nearby(asked, best)
    assert [candidate.layout.num_devices for candidate in nearby] == [6, 8]
    whole = search(replace(asked, num_devices=8), limit=1).best[0]
    assert nearby[1].seconds_per_token >= whole.seconds_per_token
    ratio = best.seconds_per_token / nearby[1].seconds_per_token
    (note,) = (note for note in notes_of(asked, best, [], nearby) if "divide" in note)
    assert note.startswith("7 devices = 7:") and f"8 devices (2^3): {ratio - 1:+.1%} tokens/s" in note
    assert best_nearby(question(), best) == []
