"""Back to a checkpoint without leaving the process: what many skipped steps in a row end in.

Training goes on from the newest sound checkpoint from before the first of them, and leaves out the data between it and the
last of them, as PaLM did by hand (Chowdhery et al., arXiv 2204.02311, sec. 5.1): spikes come of certain data meeting certain
weights, so the same data would bring the next one.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from mai1.checkpoint.checkpoint import TrainerState, load_checkpoint
from mai1.checkpoint.commit import discard, point_latest
from mai1.checkpoint.verify import checkpoints_in, newest_sound_checkpoint
from mai1.engine.engine import Engine
from mai1.train.guard import GuardConfig
from mai1.train.ledger import take_back
from mai1.watch.faults import DivergedError


@dataclass(slots=True)
class Rollback:
    """A return to a checkpoint."""

    state: TrainerState
    """To go on from."""
    failed_step: int
    """Steps that were done when the run went back."""
    checkpoint: Path

    def __str__(self) -> str:
        again = self.state.step + 1
        return (
            f"step {self.failed_step}: back to {self.checkpoint}: steps {again} to {self.failed_step} are undone and made "
            f"again on later rows (rollback {self.state.num_rollbacks})"
        )

    def record(self) -> dict:
        """As a record of metrics.jsonl, which is one of the first step that is done again."""
        return {
            "kind": "rollback",
            "step": self.state.step + 1,
            "undone_steps": [self.state.step + 1, self.failed_step],
            "data_offset": self.state.data_offset,
            "rollbacks": self.state.num_rollbacks,
        }


def roll_back(folder: Path, engine: Engine, failed: TrainerState, config: GuardConfig) -> Rollback:
    """Fill the engine from a checkpoint of the run's `folder`; every rank must call this, with no save under way.

    DivergedError, on every rank, when that was tried often enough or there is no checkpoint to go back to.
    """
    world, first_skipped = engine.world, failed.step - failed.skips_in_a_row
    if failed.num_rollbacks >= config.max_rollbacks:
        raise DivergedError(_why(failed, f"guard.max_rollbacks={config.max_rollbacks} returns did not help"))
    checkpoint = newest_sound_checkpoint(folder, world, up_to_step=first_skipped)
    if checkpoint is None:
        raise DivergedError(_why(failed, f"there is no checkpoint from before step {first_skipped + 1} to go back to"))
    engine.restore_optimizer(0)  # a checkpoint from before the first update holds no moments
    loaded = load_checkpoint(checkpoint, engine)
    if world.is_main:
        _forget_newer(folder, checkpoint)
    state = replace(
        loaded,
        seconds=failed.seconds,
        data_fingerprint=failed.data_fingerprint,
        run=failed.run,
        skips_in_a_row=0,
        num_skipped=failed.num_skipped,
        num_rollbacks=failed.num_rollbacks + 1,
        spent=take_back(failed.spent, loaded.spent),
        data_offset=failed.step + failed.data_offset - loaded.step,
        mixing=loaded.mixing | {key: failed.mixing[key] for key in failed.mixing.keys() & {"history"}},
    )
    return Rollback(state, failed.step, checkpoint)


def _forget_newer(folder: Path, checkpoint: Path) -> None:
    """Those that were saved while steps were being skipped: a launch that resumes must not go on from what was undone."""
    for path in checkpoints_in(folder):
        if path > checkpoint:
            discard(path)
    point_latest(checkpoint)


def _why(failed: TrainerState, why: str) -> str:
    return (
        f"step {failed.step}: diverged: {failed.skips_in_a_row} steps in a row were refused and {why}. Nothing of them was "
        "learned. Look at their rows (kind skipped in metrics.jsonl), and start a new run with a lower optim.learning_rate or "
        "optim.clip_norm, with checkpoint.init_from if the last checkpoint is good; or raise guard.max_rollbacks and run the "
        "same command to leave out more data"
    )
