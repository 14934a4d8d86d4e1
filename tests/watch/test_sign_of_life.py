"""What rank 0's monitor says of it in a file that any machine can read, and `mai1 status` believes."""

import json
import os
import signal
import time
from pathlib import Path

import torch

from mai1.dist import World
from mai1.status import state
from mai1.watch.config import WatchConfig
from mai1.watch.heartbeat import Phase
from mai1.watch.monitor import SIGN_EVERY_S, SIGN_OF_LIFE
from mai1.watch.rank_watch import RankWatch
from tests.support.ranks import _CONTEXT

ALONE = World(0, 1, 0, torch.device("cpu"))
CONFIG = WatchConfig(stuck_after_s=60.0, pause_after_s=60.0)


def sign_in(logs: Path, phase: str, *, timeout_s: float = 60.0) -> dict:
    """The sign of life once it is of a phase."""
    path, deadline = logs / SIGN_OF_LIFE, time.monotonic() + timeout_s
    while not path.exists() or json.loads(path.read_text())["phase"] != phase:
        assert time.monotonic() < deadline, f"no sign of {phase}"
        time.sleep(0.05)
    return json.loads(path.read_text())


def test_phase_and_step_are_shown_until_the_run_is_over(tmp_path):
    watch = RankWatch.start(CONFIG, ALONE, logs=tmp_path / "logs")
    watch.beat(Phase.train, 5)
    sign = sign_in(tmp_path / "logs", "train")
    assert sign["step"] == 5 and sign["pid"] == os.getpid() and sign["idle_s"] < 60
    watch.beat(Phase.save, 6)
    assert sign_in(tmp_path / "logs", "save")["step"] == 6
    watch.close()
    sign_in(tmp_path / "logs", "over")


def test_a_run_that_never_began_leaves_no_sign(tmp_path):
    """It may have been refused because another run holds the directory."""
    (tmp_path / "logs").mkdir()
    with_monitor = RankWatch.start(CONFIG, ALONE, logs=tmp_path / "logs")
    with_monitor.close()
    other = RankWatch.start(CONFIG, ALONE, logs=tmp_path / "others")
    other.beat(Phase.train, 1)
    sign_in(tmp_path / "others", "train")  # by now the first monitor has looked as well
    other.close()
    assert not list((tmp_path / "logs").iterdir())


def die(logs: str) -> None:
    RankWatch.start(CONFIG, ALONE, logs=Path(logs)).beat(Phase.train, 7)
    sign_in(Path(logs), "train")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_said_to_be_gone(tmp_path):
    rank = _CONTEXT.Process(target=die, args=(str(tmp_path / "logs"),))
    rank.start()
    assert sign_in(tmp_path / "logs", "gone")["step"] == 7
    rank.join()


def test_status_knows_the_file_and_its_phases():
    assert f"logs/{SIGN_OF_LIFE}" == state.SIGN_OF_LIFE and state.SIGN_EVERY_S > 3 * SIGN_EVERY_S
    assert set(state.AT_WORK) == {phase.name for phase in Phase} - {"over"}
