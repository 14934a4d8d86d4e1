"""A slow rank is named, wherever in the step it is slow, and the ranks that wait for it are not."""

import time

import pytest

from mai1.dist import World
from mai1.watch.config import WatchConfig
from mai1.watch.heartbeat import Heartbeat
from mai1.watch.rank_watch import RankWatch
from mai1.watch.stragglers import StragglerWatch
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer

SLEEP_S = 0.5


def _slow_steps(world: World, folder, where: str, expert_parallel: int) -> list[list[tuple[int, bool]]]:
    """The stragglers after each of five steps, of which rank 1 sleeps a while, and whether their time is about right."""
    trainer = tiny_trainer(world, folder / str(world.rank), expert_parallel=expert_parallel, microbatch=4)
    config = WatchConfig(stuck_after_s=0, straggler_factor=2.0, straggler_steps=3, digest_every=0)
    watch, found = RankWatch(config, world, heartbeat=Heartbeat()), []
    for step in range(6):  # the first is no measure: everything is done for the first time
        if world.rank == 1 and step == 1:
            part = {"experts": trainer.engine.model.layers[1].ffn.experts, "embedding": trainer.engine.model.embedding}[
                where
            ]
            part.register_forward_pre_hook(lambda *_: time.sleep(SLEEP_S))
        with watch.timed(is_measured=step > 0):
            trainer.train_step(step)
        stragglers = watch.after_step(step, list)
        found.append([(s.rank, SLEEP_S < s.own_s < SLEEP_S + 4) for s in stragglers])
    return found[1:]


@pytest.mark.parametrize(("where", "expert_parallel"), [("embedding", 1), ("experts", 2)])
def test_a_rank_that_sleeps_in_every_step_is_named_at_the_third(tmp_path, where, expert_parallel):
    both = run_ranks(_slow_steps, 2, tmp_path, where, expert_parallel)
    assert both[0] == both[1] == [[], [], [(1, True)], [(1, True)], [(1, True)]]


def _judged(world: World, times: list[list[float]], changes: dict) -> list[list[int]]:
    watch = StragglerWatch(WatchConfig(**changes), world)
    return [[s.rank for s in watch.judge(of_ranks[world.rank])] for of_ranks in times]


def test_factor_and_steps_decide_who_is_a_straggler():
    times = [[1.0, 1.0, 1.6]] * 2 + [[1.0, 1.0, 1.0]] + [[1.0, 1.0, 1.6]] * 3
    cases = [
        ({"straggler_factor": 1.5, "straggler_steps": 3}, [[], [], [], [], [], [2]]),
        ({"straggler_factor": 1.5, "straggler_steps": 1}, [[2], [2], [], [2], [2], [2]]),
        ({"straggler_factor": 1.7, "straggler_steps": 1}, [[]] * 6),
        ({"straggler_factor": 0, "straggler_steps": 1}, [[]] * 6),
    ]
    assert run_ranks(_judge_all, 3, times, cases) == [[wanted for _, wanted in cases]] * 3


def _judge_all(world: World, times: list[list[float]], cases: list[tuple[dict, list]]) -> list:
    return [_judged(world, times, changes) for changes, _ in cases]


def test_tiny_steps_make_no_stragglers():
    watch = StragglerWatch(WatchConfig(straggler_steps=1), World(0, 1, 0, None))
    assert watch.judge(1.0) == []
    times = [[0.001, 0.015]] * 3
    assert run_ranks(_judged, 2, times, {"straggler_steps": 1}) == [[[]] * 3] * 2
