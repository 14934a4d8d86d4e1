import random

import pytest

from data_prep.splitting import choose_heldout, split_tail, uniform


def test_purposes_and_seeds_give_independent_numbers():
    keys = [str(i).encode() for i in range(4000)]
    first = [uniform(key, seed=0, purpose="heldout") for key in keys]
    second = [uniform(key, seed=0, purpose="sample") for key in keys]
    assert 0.47 < sum(first) / len(first) < 0.53
    assert 0.2 < sum(a < 0.5 and b < 0.5 for a, b in zip(first, second, strict=True)) / len(keys) < 0.3
    assert first != [uniform(key, seed=1, purpose="heldout") for key in keys]


def test_the_heldout_choice_does_not_depend_on_order_or_on_other_documents():
    families = [str(i).encode() for i in range(500)]
    chosen = choose_heldout(families, fraction=0.1, seed=0)
    assert 30 < len(chosen) < 70
    shuffled = random.Random(0).sample(families, len(families))
    assert choose_heldout(shuffled, fraction=0.1, seed=0) == chosen
    assert choose_heldout(families[:250], fraction=0.1, seed=0) == chosen & set(families[:250])


@pytest.mark.parametrize("fraction", [0.001, 0.5])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_two_or_more_documents_leave_both_sides_something(fraction: float, count: int):
    for seed in range(20):
        chosen = choose_heldout([str(i).encode() for i in range(count)], fraction=fraction, seed=seed)
        assert 1 <= len(chosen) < count


def test_nothing_is_held_out_of_one_document_or_at_fraction_zero():
    assert choose_heldout([b"a"], fraction=0.5, seed=0) == set() == choose_heldout([b"a", b"b"], fraction=0.0, seed=0)


def test_the_tail_joins_its_head():
    assert split_tail("0123456789", fraction=0.3) == ("0123456", "789")
