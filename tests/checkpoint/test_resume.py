"""Interrupted equals uninterrupted: bit for bit on the same topology, to rounding on another."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mai1.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from mai1.checkpoint.commit import checkpoints_in, newest_sound_checkpoint, read_manifest, verify
from mai1.checkpoint.names import local_tensors
from mai1.dist import World
from mai1.engine.ds_config import Precision
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.moe.routing_policy import RoutingConfig
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train

GLOBAL = {
    "balance": BalanceConfig(method=BalanceMethod.global_loss, loss_weight=0.5),
    "routing": RoutingConfig(jitter=0.1),
}
"""Each step needs the load of the one before."""
ALONE = World(0, 1, 0, torch.device("cpu"))


def _save(trainer, folder: Path, name: str) -> Path:
    save_checkpoint(
        folder / name,
        trainer.engine,
        trainer.state,
        files=trainer.files,
        expert_parallel=trainer.expert_parallel,
    )
    return folder / name


def _state_of(trainer) -> dict[str, torch.Tensor]:
    """Everything that decides the next step on this rank: weights, buffers, masters and moments."""
    state = {name: t.tensor.clone() for name, t in local_tensors(trainer.engine.model).items()}
    for fragment in trainer.engine.fragments():
        state[f"{fragment.name}|master"] = fragment.master.clone()
        state |= {f"{fragment.name}|{kind}": value.clone() for kind, value in fragment.moments.items()}
    return state


def _interrupted_and_not(world, folder: str, settings: dict) -> tuple:
    """Train 8 steps; and 5, save, load into fresh objects, 3 more. Returns figures and whether all state is identical."""
    straight = tiny_trainer(world, Path(folder), **settings)
    expected = train(straight, 8)
    first = tiny_trainer(world, Path(folder), **settings)
    train(first, 5)
    saved = _save(first, Path(folder), "step_00000005")
    second = tiny_trainer(world, Path(folder), **settings)
    second.state = load_checkpoint(saved, second.engine)
    got = train(second, 3)
    want, have = _state_of(straight), _state_of(second)
    differing = [name for name in want if not torch.equal(want[name], have[name])]
    return expected[5:], got, differing, second.engine.optimizer_step(), verify(saved, world)


@pytest.mark.parametrize(
    ("num_ranks", "settings"),
    [
        pytest.param(1, {}, id="one rank"),
        pytest.param(1, {"precision": Precision.bf16}, id="one rank, bf16 with fp32 masters"),
        pytest.param(2, {"expert_parallel": 2}, id="two ranks, expert parallel"),
        pytest.param(2, {"zero_stage": 1}, id="two ranks, ZeRO-1"),
        pytest.param(2, GLOBAL, id="two ranks, last step's load, jitter"),
    ],
)
def test_resumed_training_is_bitwise_equal_to_uninterrupted(tmp_path, num_ranks, settings):
    for expected, got, differing, optimizer_step, problems in run_ranks(
        _interrupted_and_not, num_ranks, str(tmp_path), settings
    ):
        assert got == expected
        assert not differing
        assert optimizer_step == 8
        assert not problems


def _train_and_save(world, folder: str, settings: dict, num_steps: int) -> list:
    trainer = tiny_trainer(world, Path(folder), **settings)
    train(trainer, num_steps)
    _save(trainer, Path(folder), "step_00000005")
    return train(trainer, 3)


def _load_and_train(world, folder: str, settings: dict) -> list:
    trainer = tiny_trainer(world, Path(folder) / "other", **settings)
    trainer.state = load_checkpoint(Path(folder) / "step_00000005", trainer.engine)
    return train(trainer, 3)


@pytest.mark.parametrize(
    ("saved_on", "saved_with", "resumed_on", "resumed_with"),
    [
        pytest.param(1, {}, 2, {"expert_parallel": 2}, id="1 rank -> 2 ranks EP2"),
        pytest.param(2, {"expert_parallel": 2}, 1, {"zero_stage": 1}, id="2 ranks EP2 -> 1 rank ZeRO-1"),
        pytest.param(4, {"expert_parallel": 2}, 2, {}, id="4 ranks EP2 -> 2 ranks DP"),
        pytest.param(1, GLOBAL, 2, GLOBAL | {"expert_parallel": 2}, id="last step's load, 1 rank -> 2 ranks EP2"),
        pytest.param(2, {"zero_stage": 1}, 4, {"expert_parallel": 4}, id="2 ranks ZeRO-1 -> 4 ranks EP4"),
    ],
)
def test_training_goes_on_alike_on_another_topology(tmp_path, saved_on, saved_with, resumed_on, resumed_with):
    expected = run_ranks(_train_and_save, saved_on, str(tmp_path), saved_with, 5)[0]
    got = run_ranks(_load_and_train, resumed_on, str(tmp_path), resumed_with)[0]
    assert torch.allclose(torch.tensor(got), torch.tensor(expected), atol=1e-5, rtol=0)


def _save_three(world, folder: str) -> None:
    trainer = tiny_trainer(world, Path(folder))
    for step in (1, 2, 3):
        train(trainer, 1)
        _save(trainer, Path(folder), f"step_{step:08d}")


@pytest.fixture(scope="module")
def three_checkpoints(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    run_ranks(_save_three, 1, str(folder))
    return folder


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "empty"])
@pytest.mark.parametrize(
    "file", ["model-00001-of-00001.safetensors", "trainer/optimizer-00001-of-00001.safetensors", "trainer/state.json"]
)
def test_any_damaged_file_is_named_and_the_checkpoint_before_is_used(three_checkpoints, capfd, damage, file):
    newest = checkpoints_in(three_checkpoints)[0]
    path = newest / file
    whole = path.read_bytes()
    try:
        if damage == "flip":
            middle = len(whole) // 2
            path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        elif damage == "delete":
            path.unlink()
        else:
            path.write_bytes(whole[: len(whole) - 5] if damage == "truncate" else b"")
        assert newest_sound_checkpoint(three_checkpoints, ALONE) == three_checkpoints / "step_00000002"
        assert file in capfd.readouterr().err
    finally:
        path.write_bytes(whole)


def test_a_torn_or_foreign_manifest_is_no_checkpoint(three_checkpoints):
    manifest = three_checkpoints / "step_00000003" / "manifest.json"
    whole = manifest.read_bytes()
    try:
        for content in (whole[:100], b"", b'{"format": "other"}', b'{"format": "mai1-checkpoint", "version": 9}'):
            manifest.write_bytes(content)
            assert newest_sound_checkpoint(three_checkpoints, ALONE) == three_checkpoints / "step_00000002"
    finally:
        manifest.write_bytes(whole)


def test_a_manifest_cannot_point_outside_its_directory(three_checkpoints):
    manifest = three_checkpoints / "step_00000003" / "manifest.json"
    whole = manifest.read_text()
    try:
        manifest.write_text(whole.replace('"config.json"', '"../../../etc/passwd"'))
        with pytest.raises(ValueError, match="leaves the directory"):
            read_manifest(manifest.parent)
    finally:
        manifest.write_text(whole)


KILLED_SAVE = """
import os, signal, sys
from pathlib import Path
import torch
from mai1.checkpoint import commit
from mai1.dist import start_world
from mai1.engine.engine import start_deepspeed
from tests.support.tiny import tiny_trainer, train
from tests.checkpoint.test_resume import _save

folder, point = Path(sys.argv[1]), sys.argv[2]
world = start_world(); start_deepspeed()
trainer = tiny_trainer(world, folder)
train(trainer, 1)
_save(trainer, folder, "step_00000001")
train(trainer, 1)
module, name = {
    "after the weights": ("mai1.checkpoint.checkpoint", "write_optimizer"),
    "before the manifest": ("mai1.checkpoint.commit", "commit"),
    "before the rename": ("os", "rename"),
    "before latest": ("mai1.checkpoint.commit", "point_latest"),
}[point]
setattr(sys.modules[module], name, lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))
_save(trainer, folder, "step_00000002")
"""


@pytest.mark.parametrize(
    ("point", "survivor"),
    [
        ("after the weights", "step_00000001"),
        ("before the manifest", "step_00000001"),
        ("before the rename", "step_00000001"),
        ("before latest", "step_00000002"),  # complete by then: only the convenience link is behind
    ],
)
def test_a_kill_at_any_point_of_a_save_leaves_a_sound_checkpoint(tmp_path, point, survivor):
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", KILLED_SAVE, str(tmp_path), point],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert newest_sound_checkpoint(tmp_path, ALONE) == tmp_path / survivor
    assert (tmp_path / "latest").resolve() == tmp_path / "step_00000001"
