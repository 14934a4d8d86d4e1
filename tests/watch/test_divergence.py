"""A run in which one rank's weights change by themselves ends with a code of its own, and names the rank."""

import torch

from mai1.dist import World
from mai1.watch.config import WatchConfig
from mai1.watch.faults import ReplicasDifferError
from mai1.watch.heartbeat import Heartbeat, Phase
from mai1.watch.rank_watch import RankWatch
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer


def _fit(world: World, folder, digest_every: int) -> tuple[int, str]:
    """The step at which training ended, and why; rank 1's weights change before its fourth step."""
    trainer = tiny_trainer(world, folder, steps=8, microbatch=2)
    config = WatchConfig(stuck_after_s=0, straggler_factor=0, digest_every=digest_every)
    trainer.watch = RankWatch(config, world, heartbeat=Heartbeat())
    model, bias = trainer.engine.model, "layers.1.ffn.router.selection_bias"

    def flip(*_: object) -> None:
        if world.rank == 1 and trainer.state.step == 3:
            model.state_dict()[bias].view(torch.int32)[0] ^= 1 << 20
            hook.remove()

    hook = model.register_forward_pre_hook(flip)
    try:
        trainer.fit()
    except ReplicasDifferError as error:
        return trainer.state.step, str(error)
    return trainer.state.step, ""


def test_training_ends_at_the_first_comparison_after_the_flip(tmp_path):
    both = run_ranks(_fit, 2, tmp_path, 2)
    assert both[0] == both[1]
    step, said = both[0]
    assert step == 4 and said.startswith("step 4: ") and "layers.1.ffn.router.selection_bias" in said


def test_without_comparisons_nobody_notices(tmp_path):
    assert [step for step, _ in run_ranks(_fit, 2, tmp_path, 0)] == [8, 8]


def test_the_loop_beats_at_every_step(tmp_path):
    world = World(0, 1, 0, torch.device("cpu"))
    heartbeat = Heartbeat(tmp_path / "heartbeat", is_new=True)
    watch = RankWatch(WatchConfig(stuck_after_s=0), world, heartbeat=heartbeat)
    reader = Heartbeat(tmp_path / "heartbeat")
    assert (reader.read().phase, reader.read().number) == (Phase.start, 0)
    watch.beat(Phase.save, 3)
    assert watch.after_step(4, list) == []
    beat = reader.read()
    assert (beat.phase, beat.step, beat.number) == (Phase.train, 4, 2)
