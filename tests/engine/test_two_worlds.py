"""One process trains twice, one world after the other: the second training is that of a process of its own."""

import os
import tempfile
from pathlib import Path

import pytest

from mai1.dist import start_world, stop_world
from mai1.engine.engine import start_deepspeed
from tests.support.ranks import _free_port, run_ranks
from tests.support.tiny import tiny_trainer, train


def _train(world, settings: dict) -> list:
    return train(tiny_trainer(world, Path(tempfile.mkdtemp()), **settings), 2)


def _train_twice(world, first: dict, second: dict, port: int) -> list:
    _train(world, first)
    stop_world()
    os.environ["MASTER_PORT"] = str(port)
    world = start_world(timeout_s=60)
    start_deepspeed()
    return _train(world, second)


EXPERTS, SHARDED = {"expert_parallel": 2, "zero_stage": 2}, {"zero_stage": 3}
STAGES = {"pipeline_parallel": 2, "zero_stage": 1}


@pytest.mark.parametrize(
    ("first", "second"),
    [(EXPERTS, EXPERTS), (EXPERTS, SHARDED), (STAGES, EXPERTS), (SHARDED | {"sequence_parallel": 2}, STAGES)],
    ids=["experts twice", "experts, ZeRO-3", "stages, experts", "sequences, stages"],
)
def test_a_second_training_of_a_process_is_as_its_first_would_be(first, second):
    assert run_ranks(_train_twice, 2, first, second, _free_port()) == run_ranks(_train, 2, second)
