"""Weights that follow the losses: the published formula, and the same rows on any topology and after any interruption."""

import json
import math
import pydoc_data.topics
import random
from pathlib import Path

import numpy as np
import pytest

from mai1.checkpoint.checkpoint import TrainerState, load_checkpoint
from mai1.data.mixed_stream import MixedStream
from mai1.data.mixture import MixtureConfig
from mai1.data.online_mixing import PARTS, OnlineConfig, as_parts, exploration, policy, smooth
from mai1.data.shards import Shard, ShardWriter
from mai1.dist import World
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.train.guard import GuardConfig
from mai1.train.online_mixing import OnlineMixing
from mai1.train.step_sums import StepSums
from tests.support.checkpoints import ALONE
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT
from tests.train.test_guard import _with_log, differing, guarded, of_steps, poison, state_of

ROWS = 8
"""Of a step of the tiny trainer."""


def write_sources(folder: Path) -> None:
    """Text, the same few bytes again and again, and random bytes; and one that is not used."""
    text = " ".join(text for _, text in sorted(pydoc_data.topics.topics.items())).encode()
    noise = random.Random(0).randbytes(60_000)
    for name, data in (("easy", b"abcd" * 15_000), ("hard", noise), ("text", text[:60_000]), ("unused", text[:1000])):
        with ShardWriter(folder / name, vocab_size=384) as writer:
            for first in range(0, len(data), 90):
                writer.add(np.array([*data[first : first + 90], END_OF_TEXT]))
            writer.close({})


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("sources")
    write_sources(folder)
    return str(folder)


def mixed_rows(folder: str, **online: float) -> MixedStream:
    """Noting what is read."""
    shards = [Shard.open(Path(folder) / name) for name in ("easy", "hard", "text", "unused")]
    weights = {"easy": 1, "hard": 1, "text": 1, "unused": 0}
    config = MixtureConfig(weights=weights, online=OnlineConfig(**({"every_steps": 2, "warmup_steps": 3} | online)))
    rows = MixedStream(shards, config, sequence_length=32, seed=1, rows_per_step=ROWS)
    rows.places, read = {}, rows.read

    def noting(sample: int):
        rows.places[sample] = rows.plan.place_of(sample)
        return read(sample)

    rows.read = noting
    return rows


def test_the_policy_is_the_published_one():
    rewards, turn = [2.0, 5.5, 3.1, 0.0], 40
    explored = min(1 / 4, math.sqrt(math.log(4) / (4 * turn)))
    explored_before = min(1 / 4, math.sqrt(math.log(4) / (4 * (turn - 1))))
    total = sum(math.exp(explored_before * reward) for reward in rewards)
    expected = [(1 - 4 * explored) * math.exp(explored_before * reward) / total + explored for reward in rewards]
    assert policy(rewards, turn) == pytest.approx(expected) and sum(policy(rewards, turn)) == pytest.approx(1)
    assert policy(rewards, 1) == pytest.approx([0.25] * 4)  # all is exploration at first
    assert exploration(4, 0) == 0.25 and exploration(1, 7) == 0.0 and policy([3.0], 5) == [1.0]
    assert policy([1e6, 0.0], 10)[0] < 1  # no overflow
    assert smooth(2.0, 4.0, 0.9) == pytest.approx(2.2)


def test_every_source_keeps_a_part():
    parts = as_parts([0.998, 0.0015, 0.0005, 0.0])
    assert sum(parts) == PARTS and parts[3] == 1 and parts == sorted(parts, reverse=True)


def _state(**changes: object) -> TrainerState:
    return TrainerState(step=0, tokens=0, seconds=0.0, data_fingerprint="", run={}, **changes)


def _sums(nats: list[float], targets: list[float]) -> StepSums:
    sums = StepSums.__new__(StepSums)
    sums.nats_S, sums.targets_S = nats, targets
    return sums


def test_intervals_are_decided_in_time_from_their_own_losses(sources):
    rows = mixed_rows(sources, smoothing=0.5)
    mixing, state = OnlineMixing.of(rows, ALONE), _state()
    mixing.resume(state)
    for step in range(9):
        for sample in range(step * ROWS, (step + 1) * ROWS):
            rows.read(sample)
        mixing.learn(state, _sums([10.0 * step, 80.0, 0.0, 0.0], [10.0, 10.0, 0.0, 0.0]))
        mixing.decide(state, done=step + 1)
    # steps 0 is before the first interval that counts; then 1 and 2, 3 and 4, 5 and 6, 7 and 8
    assert state.mixing["turn"] == 4 and len(state.mixing["history"]) == 4
    easy = 0.0
    for first in (1, 3, 5, 7):
        easy = 0.5 * easy + 0.5 * (first + 0.5)
    assert state.mixing["rewards"] == pytest.approx([easy, 8 * (1 - 0.5**4), 0.0])
    shares = as_parts(policy(state.mixing["rewards"], 4))
    assert state.mixing["history"][-1] == [*shares, 0] and shares[1] > shares[0] > shares[2]
    assert rows.weights_at(9) == {n: p / PARTS for n, p in zip(rows.source_names, [*shares, 0], strict=True)}
    assert "nats" not in state.mixing
    with pytest.raises(AssertionError, match="not decided yet"):
        rows.read(11 * ROWS)


def test_rows_are_a_function_of_the_history(sources):
    rows, state = mixed_rows(sources), _state()
    mixing = OnlineMixing.of(rows, ALONE)
    for step in range(20):
        mixing.learn(state, _sums([1.0 + step, 9.0, 4.0, 0.0], [1.0, 1.0, 1.0, 0.0]))
        mixing.decide(state, done=step + 1)
    straight = [rows.plan.place_of(sample) for sample in range(20 * ROWS)]
    resumed = mixed_rows(sources)
    kept = _state(mixing=json.loads(json.dumps(state.mixing)))
    kept.step = 20
    OnlineMixing.of(resumed, ALONE).resume(kept)
    assert [resumed.plan.place_of(sample) for sample in reversed(range(20 * ROWS))][::-1] == straight
    counts = np.bincount([place.source for place in straight], minlength=4)
    assert counts[3] == 0 and counts[1] > counts[0]


def test_a_run_that_had_no_online_mixing_goes_on_with_its_weights_for_an_interval(sources):
    rows, state = mixed_rows(sources), _state()
    state.step = 10
    OnlineMixing.of(rows, ALONE).resume(state)
    assert len(state.mixing["history"]) == 4
    assert rows.weights_at(10) == {
        "easy": pytest.approx(1 / 3),
        "hard": pytest.approx(1 / 3),
        "text": pytest.approx(1 / 3),
        "unused": 0,
    }
    rows.read(11 * ROWS - 1)


def test_without_online_mixing_there_is_nothing_to_follow(sources):
    shards = [Shard.open(Path(sources) / name) for name in ("easy", "hard")]
    config = MixtureConfig(weights={"easy": 1, "hard": 2})
    assert OnlineMixing.of(MixedStream(shards, config, sequence_length=32, seed=1, rows_per_step=8), ALONE) is None


def _run(world: World, folder: Path, sources: str, *, steps: int, stop_after: int = 0, **settings):
    """A run in its folder, resumed where it stands."""
    rows = mixed_rows(sources)
    trainer = guarded(world, folder, steps=steps, rows=rows, guard=GuardConfig(max_skips=2), **settings)
    trainer.checkpoints.every_steps, trainer.checkpoints.keep = 2, 0
    trainer.config.log_every, trainer.config.stop_after_steps = 1, stop_after
    if (folder / "latest").exists():
        trainer.state = load_checkpoint((folder / "latest").resolve(), trainer.engine)
    _with_log(trainer, folder).fit()
    return trainer


def _records(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def _interrupted(world: World, folder: str, sources: str) -> dict:
    straight = _run(world, Path(folder) / "straight", sources, steps=11)
    places = dict(straight.loader.rows.places)
    for stop in (4, 3, 0):  # at a border of intervals, and inside one
        resumed = _run(world, Path(folder) / "resumed", sources, steps=11, stop_after=stop)
        mine = resumed.loader.rows.places
        assert mine == {sample: places[sample] for sample in mine}
    return {
        "differing": differing(state_of(straight), state_of(resumed)),
        "mixing": [straight.state.mixing, resumed.state.mixing],
        "records": _records(Path(folder) / "straight"),
    }


def test_an_interrupted_run_mixes_like_an_uninterrupted_one_and_the_hard_source_comes_more_often(sources, tmp_path):
    [result] = run_ranks(_interrupted, 1, str(tmp_path), sources)
    assert result["differing"] == [] and result["mixing"][0] == result["mixing"][1]
    assert len(result["mixing"][0]["history"]) == 5
    records = [record for record in result["records"] if record["kind"] == "train"]
    first, last = records[0]["sources"], records[-1]["sources"]
    assert first["easy"]["weight"] == pytest.approx(1 / 3) and first["unused"] == {"weight": 0}
    assert last["hard"]["weight"] > last["text"]["weight"] > last["easy"]["weight"] > 0
    assert last["hard"]["loss"] > last["easy"]["loss"] and sum(s.get("targets", 0) for s in last.values()) == ROWS * 32
    means = [sum(s["loss"] * s["targets"] for s in r["sources"].values() if "loss" in s) / 256 for r in records]
    assert means == pytest.approx([record["lm_loss"] for record in records], rel=1e-5)


def _topology(world: World, folder: str, sources: str, settings: dict) -> dict:
    rows = mixed_rows(sources)
    trainer = guarded(world, Path(folder), steps=12, rows=rows, **settings)
    trainer.fit()
    return {
        "places": rows.places,
        "history": trainer.state.mixing["history"],
        "rewards": trainer.state.mixing["rewards"],
    }


def test_two_ranks_equal_one(sources, tmp_path):
    [alone] = run_ranks(_topology, 1, str(tmp_path / "one"), sources, {})
    for name, settings in (
        ("data", {}),
        ("experts", {"expert_parallel": 2}),
        ("pipeline", {"pipeline_parallel": 2, "zero_stage": 1}),
    ):
        found = run_ranks(_topology, 2, str(tmp_path / name), sources, settings)
        assert {sample: place for result in found for sample, place in result["places"].items()} == alone["places"]
        for result in found:
            assert result["history"] == alone["history"], name
            assert result["rewards"] == pytest.approx(alone["rewards"], rel=1e-4)


def _go_back(world: World, folder: str, sources: str) -> dict:
    """Steps 6 and 7 of the run's order are bad: back to the checkpoint of step 6 or before."""
    folder = Path(folder)
    settings = {"balance": BalanceConfig(method=BalanceMethod.global_loss, loss_weight=0.5)}
    poison(of_steps(6, 7))
    trainer = _run(world, folder / "gone_back", sources, steps=12, **settings)
    resumed = folder / "resumed"
    _run(world, resumed, sources, steps=12, stop_after=7, **settings)
    again = _run(world, resumed, sources, steps=12, **settings)
    return {
        "offset": trainer.state.data_offset,
        "places": trainer.loader.rows.places,
        "mixing": [trainer.state.mixing, again.state.mixing],
        "differing": differing(state_of(trainer), state_of(again)),
    }


def test_going_back_leaves_rows_out_and_repeats_none(sources, tmp_path):
    [result] = run_ranks(_go_back, 1, str(tmp_path), sources)
    assert result["offset"] == 2
    read = list(result["places"].values())
    assert (
        len(set(read)) == len(read) == (12 + 2) * ROWS
    )  # each row of each source once, those of undone steps included
    assert len(result["mixing"][0]["history"]) == (14 - 3) // 2 + 1
    assert result["mixing"][0] == result["mixing"][1] and result["differing"] == []
