"""A bad step never ruins a run: it is skipped on all ranks and leaves no trace, and many in a row end at a checkpoint."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mai1.checkpoint.checkpoint import TrainerState, load_checkpoint
from mai1.engine.ds_config import Precision
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.objective import next_token
from mai1.optim.config import Method, OptimConfig
from mai1.train.alarms import AlarmConfig
from mai1.train.guard import Guard, GuardConfig, Reason
from mai1.train.metrics import MetricsLog, WandbConfig
from mai1.train.rerun import Finding
from mai1.train.step_log import StepLog
from mai1.watch.faults import DivergedError, FaultyRankError
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer

ROWS = 8
"""Of one step of the tiny trainer."""
GLOBAL = {
    "balance": BalanceConfig(method=BalanceMethod.global_loss, loss_weight=0.5),
    "routing": RoutingConfig(jitter=0.1),
}
"""Each step needs the load of the one before."""


class Poison(torch.autograd.Function):
    """Leaves the value as it is and scales its gradient."""

    @staticmethod
    def forward(ctx, value, factor):
        ctx.factor = factor
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.factor, None


def poison(is_bad: Callable[[int], bool], *, factor: float = math.nan, gradient: float = 1.0) -> None:
    """From now on, in this process, scale the losses (and gradients) of microbatches whose first row is bad."""
    healthy = next_token.compute_losses.__dict__.get("healthy", next_token.compute_losses)

    def compute_losses(output, batch, **settings):
        losses = healthy(output, batch, **settings)
        if not is_bad(int(batch.samples_B[0])):
            return losses
        return replace(losses, total=Poison.apply(losses.total * factor, gradient))

    compute_losses.healthy = healthy
    next_token.compute_losses = compute_losses


def of_steps(*steps: int) -> Callable[[int], bool]:
    """The last rows of these steps of the run's order, which the last rank reads."""
    return lambda sample: sample // ROWS in steps and sample % ROWS == ROWS - 2


def once(is_bad: Callable[[int], bool]) -> Callable[[int], bool]:
    """The first time alone that each row comes."""
    seen: set[int] = set()

    def is_bad_now(sample: int) -> bool:
        is_first = sample not in seen
        seen.add(sample)
        return is_first and is_bad(sample)

    return is_bad_now


def state_of(trainer) -> dict[str, torch.Tensor]:
    """Everything that decides the next step on this rank: weights, buffers, masters, moments, step count, last load."""
    state = {name: tensor.clone() for name, tensor in trainer.engine.weights()}
    for fragment in trainer.engine.fragments():
        state[f"{fragment.name}|master"] = fragment.master.clone()
        state |= {f"{fragment.name}|{kind}": value.clone() for kind, value in fragment.moments.items()}
    counted = [trainer.engine.optimizer_step(), *np.ravel(trainer.state.tokens_per_expert)]
    memory = [*trainer.state.recent_losses, *trainer.state.recent_norms]
    return state | {"counts": torch.tensor(counted), "memory": torch.tensor(memory, dtype=torch.float64)}


def differing(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> list[str]:
    assert left.keys() == right.keys() and len(left) > 50
    return [name for name in left if not torch.equal(left[name], right[name])]


def guarded(world, folder: Path, *, guard: GuardConfig | None = None, steps: int = 12, **settings):
    """A tiny trainer with a guard, in training mode."""
    trainer = tiny_trainer(world, folder, steps=steps, **settings)
    trainer.guard = Guard(guard or GuardConfig())
    trainer.engine.model.train()
    return trainer


def step_once(trainer):
    """One step as `fit` makes it; its figures."""
    figures, _ = trainer.train_step(trainer.state.step)
    trainer.state.step += 1
    return figures


def _skip_three_kinds(world, folder: str, settings: dict) -> dict:
    """Steps 2, 3 and 4 are bad in the loss, the gradient and a layer's output of the last rank; 5 and 6 are good."""
    trainer = guarded(world, Path(folder), **settings)
    for _ in range(2):
        step_once(trainer)
    before, bad_steps = state_of(trainer), []
    poison(of_steps(2))
    bad_steps.append(step_once(trainer).bad_step)
    poison(of_steps(3), factor=1.0, gradient=math.nan)
    bad_steps.append(step_once(trainer).bad_step)
    poison(of_steps())
    is_last = world.rank == world.size - 1
    spoil = trainer.engine.model.layers[1].ffn_norm.register_forward_hook(lambda _m, _i, y: y * math.nan)
    if not is_last:
        spoil.remove()
    bad_steps.append(step_once(trainer).bad_step)
    spoil.remove()
    traces = differing(before, state_of(trainer))
    got = [step_once(trainer) for _ in range(2)]

    other = guarded(world, Path(folder) / "other", **settings)
    for _ in range(2):
        step_once(other)
    other.state.step += 3
    expected = [step_once(other) for _ in range(2)]
    return {
        "bad_steps": [bad_step.record() for bad_step in bad_steps],
        "traces": traces,
        "later": differing(state_of(other), state_of(trainer)),
        "figures": [[(f.loss, f.grad_norm, f.learning_rate) for f in run] for run in (expected, got)],
        "skipped": (trainer.state.num_skipped, trainer.state.skips_in_a_row),
    }


@pytest.mark.parametrize(
    ("num_ranks", "settings"),
    [
        pytest.param(1, {"precision": Precision.bf16} | GLOBAL, id="one rank, bf16, last step's load, jitter"),
        pytest.param(2, {"expert_parallel": 2}, id="two ranks, ZeRO-2, expert parallel"),
        pytest.param(2, {"zero_stage": 1, "optim": OptimConfig(method=Method.muon)}, id="two ranks, ZeRO-1, Muon"),
        pytest.param(2, {"zero_stage": 3, "expert_parallel": 2}, id="two ranks, ZeRO-3, expert parallel"),
    ],
)
def test_what_is_not_finite_on_one_rank_is_skipped_on_all_and_leaves_no_trace(tmp_path, num_ranks, settings):
    results = run_ranks(_skip_three_kinds, num_ranks, str(tmp_path), settings)
    last = num_ranks - 1
    for result in results:
        assert not result["traces"], "a skipped step changed something"
        assert not result["later"], "the run is not the one that never saw the skipped steps"
        expected, got = result["figures"]
        assert got == expected
        assert result["skipped"] == (3, 0)
        assert result["bad_steps"] == results[0]["bad_steps"]
    loss, gradient, layer = results[0]["bad_steps"]
    for step, bad_step in enumerate((loss, gradient, layer), start=3):
        assert (bad_step["kind"], bad_step["step"], bad_step["reason"]) == ("skipped", step, "not finite")
        assert bad_step["finding"] == "persistent"
        assert bad_step["samples"] == [(step - 1) * ROWS, step * ROWS - 1]
        assert {suspect["rank"] for suspect in bad_step["suspects"]} == {last}
        json.loads(json.dumps(bad_step, allow_nan=False))
    for bad_step in (loss, gradient):
        (suspect,) = bad_step["suspects"]
        assert suspect["samples"] == [bad_step["samples"][1] - 1, bad_step["samples"][1]]
        assert suspect["layer"] is None
    assert loss["loss"] == "nan" and math.isfinite(gradient["loss"])
    assert {suspect["layer"] for suspect in layer["suspects"]} == {1}


def _spikes(world, folder: str) -> dict:
    """One step's loss is a hundredfold; with the guard, without, too early to tell, and a gradient's spike alone."""
    spiky = GuardConfig(skip_spikes=True, window=8)
    found = {}
    for name, bad_step, config, changes in (
        ("guarded", 7, spiky, {"factor": 100.0}),
        ("unguarded", 7, GuardConfig(window=8), {"factor": 100.0}),
        ("early", 3, spiky, {"factor": 100.0}),
        ("gradient", 4, spiky, {"factor": 1.0, "gradient": 100.0}),
    ):
        poison(of_steps(bad_step), **changes)
        trainer = guarded(world, Path(folder) / name, guard=config)
        skipped = {}
        for step in range(9):
            before = state_of(trainer)
            if (bad_step := step_once(trainer).bad_step) is not None:
                skipped[step] = bad_step.reason, bad_step.finding.value, differing(before, state_of(trainer))
        found[name] = skipped, trainer.state.num_skipped, trainer.engine.optimizer_step()
    return found


def test_a_spike_is_skipped_once_half_the_window_is_full_and_only_if_so_configured(tmp_path):
    found = run_ranks(_spikes, 1, str(tmp_path))[0]
    assert found["guarded"] == ({7: ("spike of the loss", "persistent", [])}, 1, 8)
    assert found["gradient"] == ({4: ("spike of the gradient norm", "persistent", [])}, 1, 8)
    assert found["unguarded"] == found["early"] == ({}, 0, 9)


def _is_spike(values: list[float], *, window: int, deviations: float) -> bool:
    """Whether the last value stands out from those before, in the plainest words."""
    before = np.array(values[:-1][-window:])
    return len(before) >= window // 2 and values[-1] > before.mean() + deviations * before.std(ddof=1)


def test_spikes_are_those_of_a_plain_mean_and_deviation():
    random = np.random.default_rng(0)
    values = random.normal(3.0, 0.1, 400) + 0.7 * (random.random(400) < 0.03)
    config = GuardConfig(skip_spikes=True, window=32, max_deviations=4.0)
    guard, applied = Guard(config), []
    state = TrainerState(step=0, tokens=0, seconds=0.0, data_fingerprint="", run={})
    num_spikes = 0
    for value in values.tolist():
        refusal = guard.judge(state, loss=1.0, grad_norm=value)
        is_spike = _is_spike([*applied, value], window=32, deviations=4.0)
        assert (refusal is Reason.norm_spike) == is_spike
        num_spikes += is_spike
        if not is_spike:
            applied.append(value)
            guard.remember(state, loss=1.0, grad_norm=value)
    assert num_spikes > 5
    assert state.recent_norms == applied[-32:]


@pytest.mark.parametrize(
    ("loss", "grad_norm"), [(math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0), (1.0, math.inf), (-math.inf, 1.0)]
)
def test_what_is_not_finite_is_refused_whatever_is_configured(loss, grad_norm):
    state = TrainerState(step=0, tokens=0, seconds=0.0, data_fingerprint="", run={})
    for skip_spikes in (False, True):
        guard = Guard(GuardConfig(skip_spikes=skip_spikes))
        assert guard.judge(state, loss=loss, grad_norm=grad_norm) is Reason.not_finite


def _with_log(trainer, folder: Path):
    """The trainer with a step log on rank 0, as a run has it."""
    if trainer.world.is_main:
        folder.mkdir(parents=True, exist_ok=True)
        metrics = MetricsLog(folder, from_step=trainer.state.step, wandb=WandbConfig(), run_name="tiny", config={})
        routers = {layer: moe.router for layer, moe in trainer.engine.model.moe_layers().items()}
        names = trainer.loader.rows.source_names
        trainer.log = StepLog(
            metrics, routers, alarms=AlarmConfig(after_steps=10**6), source_names=names,
            expert_parallel=trainer.expert_parallel,
        )  # fmt: skip
    return trainer


def _run(world, folder: Path, settings: dict, *, guard: GuardConfig, every_steps: int, stop_after: int = 0):
    """A run in its folder, resumed where it stands, to its end or for some steps."""
    trainer = guarded(world, folder, guard=guard, **settings)
    trainer.checkpoints.every_steps, trainer.checkpoints.keep = every_steps, 0
    trainer.config.log_every, trainer.config.stop_after_steps = 1, stop_after
    if (folder / "latest").exists():
        trainer.state = load_checkpoint((folder / "latest").resolve(), trainer.engine)
    _with_log(trainer, folder).fit()
    return trainer


def _records(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def _go_back(world, folder: str, settings: dict) -> dict:
    """Steps 4, 5 and 6 of the run's order are bad; a checkpoint is made every other step, also among them."""
    folder, guard = Path(folder), GuardConfig(max_skips=3)
    poison(of_steps(4, 5, 6))
    trainer = _run(world, folder / "run", settings, guard=guard, every_steps=2)

    fresh = guarded(world, folder / "fresh", guard=guard, **settings)
    fresh.state = load_checkpoint(folder / "run" / "step_00000004", fresh.engine)
    assert fresh.state.data_offset == 0
    fresh.state.data_offset = 3
    figures = [step_once(fresh) for _ in range(8)]

    for part in (
        6,
        3,
        3,
    ):  # the first ends amidst the skipped steps; the second deletes that checkpoint when it goes back
        resumed = _run(world, folder / "parts", settings, guard=guard, every_steps=2, stop_after=part)
    return {
        "from the checkpoint": differing(state_of(fresh), state_of(trainer)),
        "in parts": differing(state_of(resumed), state_of(trainer)),
        "figures": [(figure.loss, figure.grad_norm) for figure in figures],
        "state": [
            (t.state.step, t.state.data_offset, t.state.num_skipped, t.state.num_rollbacks) for t in (trainer, resumed)
        ],
    }


@pytest.mark.parametrize(
    ("num_ranks", "settings"),
    [
        pytest.param(1, GLOBAL | {"precision": Precision.bf16}, id="one rank, bf16, last step's load"),
        pytest.param(
            2,
            {"zero_stage": 3, "expert_parallel": 2, "optim": OptimConfig(method=Method.muon, learning_rate=2e-3)},
            id="two ranks, ZeRO-3, expert parallel, Muon",
        ),
    ],
)
def test_skips_in_a_row_end_at_a_checkpoint_and_leave_their_data_out(tmp_path, num_ranks, settings):
    for result in run_ranks(_go_back, num_ranks, str(tmp_path), settings):
        assert not result["from the checkpoint"], (
            "the run is not the one that starts from the checkpoint with the offset"
        )
        assert not result["in parts"], "the interrupted run is not the uninterrupted one"
        assert result["state"] == [(12, 3, 3, 1)] * 2
    for folder in (tmp_path / "run", tmp_path / "parts"):
        records = _records(folder)
        train = [record for record in records if record["kind"] == "train"]
        assert [record["step"] for record in train] == list(range(1, 13))
        assert [(r["loss"], r["grad_norm"]) for r in train[4:]] == result["figures"]
        (rollback,) = [record for record in records if record["kind"] == "rollback"]
        assert rollback["undone_steps"] == [5, 7] and rollback["data_offset"] == 3
        assert [bad_step["step"] for bad_step in rollback["undone"]] == [5, 6, 7]
        assert not [record for record in records if record["kind"] == "skipped"]
        assert (folder / "latest").resolve().name == "step_00000012"


def _diverge(world, folder: str) -> dict:
    """All is bad from step 3 on: with a checkpoint of step 2, with none before the first bad step, and with no rollback."""
    folder, ends = Path(folder), {}
    poison(lambda sample: sample // ROWS >= 3)
    for name, every_steps, max_rollbacks in (("often", 2, 2), ("nowhere", 100, 2), ("late", 4, 2), ("never", 2, 0)):
        guard = GuardConfig(max_skips=2, max_rollbacks=max_rollbacks, rerun=False)
        trainer = guarded(world, folder / name, guard=guard)
        trainer.checkpoints.every_steps = every_steps
        try:
            trainer.fit()
        except DivergedError as error:
            ends[name] = str(error), trainer.state.num_rollbacks, trainer.state.data_offset
    return ends


def test_going_back_is_bounded_and_then_the_run_says_what_to_do(tmp_path):
    ends = run_ranks(_diverge, 1, str(tmp_path))[0]
    text, num_rollbacks, data_offset = ends["often"]
    assert "guard.max_rollbacks=2" in text and "optim.learning_rate" in text and "metrics.jsonl" in text
    assert num_rollbacks == 2
    assert data_offset == 3 + 2  # steps 3 to 5 after a checkpoint at 2, then two more
    assert ends["never"][1] == 0 and "guard.max_rollbacks=0" in ends["never"][0]
    for name in ("nowhere", "late"):
        assert "no checkpoint from before step 4" in ends[name][0] and ends[name][1] == 0


def _transient(world, folder: str, settings: dict) -> dict:
    """Once each, the last rank's loss is not finite, its gradient is not, its gradient is far too large."""
    folder, steps = Path(folder), 8
    poison(of_steps())
    guard = GuardConfig(skip_spikes=True, window=6, max_transient=3)
    calm = guarded(world, folder / "calm", guard=guard, steps=steps, **settings)
    for _ in range(steps):
        step_once(calm)
    trainer = guarded(world, folder / "run", guard=guard, steps=steps, **settings)
    bad_steps = []
    for step, changes in enumerate(
        [{"factor": 1.0}] * 4
        + [{"factor": math.inf}, {"factor": 1.0, "gradient": math.nan}, {"factor": 1.0, "gradient": 1e3}]
    ):
        poison(once(of_steps(step)), **changes)
        bad_steps.append(step_once(trainer).bad_step)
    has_faulty_rank = trainer.guard.has_faulty_rank
    poison(of_steps())
    try:
        trainer.fit()
        text = ""
    except FaultyRankError as error:
        text = str(error)
    return {
        "traces": differing(state_of(calm), state_of(trainer)),
        "found": [b and (b.finding, b.is_skipped, [s.rank for s in b.suspects]) for b in bad_steps],
        "kinds": [b.record()["kind"] for b in bad_steps if b is not None],
        "ends": (has_faulty_rank, text, trainer.state.num_skipped),
        "saved": (folder / "run" / "latest").resolve().name,
    }


def test_a_fault_that_does_not_come_again_is_undone_and_its_rank_is_named(tmp_path):
    for result in run_ranks(_transient, 2, str(tmp_path), {"expert_parallel": 2}):
        assert not result["traces"], "the run is not the undisturbed one"
        assert result["found"] == [None] * 4 + [(Finding.transient, False, [1])] * 3
        assert result["kinds"] == ["fault"] * 3
        has_faulty_rank, text, num_skipped = result["ends"]
        assert has_faulty_rank and num_skipped == 0
        assert text.startswith("rank 1 on ") and "guard.max_transient=3" in text
        assert result["saved"] == "step_00000008"


def _without_rerun(world, folder: str) -> tuple:
    trainer = guarded(world, Path(folder), guard=GuardConfig(rerun=False))
    poison(once(of_steps(0)))
    bad_step = step_once(trainer).bad_step
    return bad_step.finding, bad_step.is_skipped, [suspect.layer for suspect in bad_step.suspects]


def test_without_a_rerun_a_bad_step_is_skipped_at_once(tmp_path):
    assert run_ranks(_without_rerun, 1, str(tmp_path))[0] == (Finding.unknown, True, [None])


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"window": 3}, "guard.window=3"),
        ({"max_deviations": 0.0}, "guard.max_deviations=0"),
        ({"max_skips": 0}, "guard.max_skips=0"),
        ({"max_transient": 0}, "guard.max_transient=0"),
        ({"max_rollbacks": -1}, "guard.max_rollbacks=-1"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, key):
    with pytest.raises(ValueError, match=key):
        GuardConfig(**changes)
