"""A short soak: a run that is struck by faults ends like one that was left alone."""

import pytest

from benchmarks.soak import KINDS, plan, soak


@pytest.mark.slow
def test_a_run_struck_by_faults_ends_bitwise_like_an_undisturbed_one(tmp_path):
    outcome = soak(tmp_path, restarts=3, seed=1)
    assert outcome.differing == []
    assert outcome.restarts >= 3


def test_the_faults_are_seeded_and_of_every_kind():
    assert plan(50, seed=3) == plan(50, seed=3) != plan(50, seed=4)
    assert {fault.kind for fault in plan(50, seed=0)} == set(KINDS)
