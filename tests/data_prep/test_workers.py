import os
import time

import pytest

from data_prep.workers import Workers


def square(number: int) -> int:
    time.sleep(0.01 if number % 5 == 0 else 0)
    return number * number


def fail(number: int) -> int:
    raise ValueError(f"prepare.number={number} is wrong: use another")


@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_come_in_the_order_of_the_items(num_workers: int):
    with Workers(num_workers) as workers:
        assert list(workers.map(square, range(50))) == [n * n for n in range(50)]


def test_only_a_few_items_are_taken_ahead():
    taken = []
    with Workers(2) as workers:
        results = workers.map(square, (taken.append(n) or n for n in range(1000)))
        for _ in range(3):
            next(results)
        assert len(taken) <= 3 + 2 * 3 + 1
        results.close()


def test_a_users_mistake_in_a_worker_arrives_as_it_is():
    with Workers(2) as workers, pytest.raises(ValueError, match="^prepare.number=0 is wrong: use another$"):
        list(workers.map(fail, range(3)))


def test_one_worker_is_this_process():
    with Workers(1) as workers:
        assert list(workers.map(lambda _: os.getpid(), [0])) == [os.getpid()]
