"""The rank's side of its monitor: starts it, shows signs of life, and answers its questions."""

import faulthandler
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from torch._C._distributed_c10d import _dump_fr_trace_json

from mai1.dist import World, gather_json
from mai1.watch.collectives import calls_in
from mai1.watch.config import WatchConfig
from mai1.watch.heartbeat import Heartbeat, Phase
from mai1.watch.monitor import COLLECTIVES, HEARTBEAT, STACKS, STACKS_SIGNAL, MonitorSettings

SUPERVISOR = "MAI1_SUPERVISOR_PID"
"""Variable by which a supervisor tells its ranks its process number."""
POLL_S = 1.0
"""At most, between two looks at the heartbeat."""


def start_monitor(config: WatchConfig, world: World, *, logs: Path) -> Heartbeat:
    """Start this rank's monitor and return the heartbeat it watches; every rank must call this.

    `logs` is shared by all ranks; a report goes to a folder in it that is named for this launch.
    """
    launch = gather_json(datetime.now(UTC).strftime("stuck-%Y%m%dT%H%M%S"), world)[0]
    if not config.stuck_after_s:
        return Heartbeat()
    folder = Path(tempfile.mkdtemp(prefix="mai1-watch-"))
    heartbeat = Heartbeat(folder / HEARTBEAT, is_new=True)
    signal.signal(STACKS_SIGNAL, signal.SIG_IGN)  # what Python goes back to when it ends: a late question kills nobody
    # open for as long as the process lives: the handler writes to it when nothing else works any more
    faulthandler.register(STACKS_SIGNAL, file=open(folder / STACKS, "w"), all_threads=True)
    settings = MonitorSettings(
        rank=world.rank,
        num_ranks=world.size,
        host=socket.gethostname(),
        trainer_pid=os.getpid(),
        launcher_pid=_launcher_pid(),
        folder=str(folder),
        incident=str(logs.absolute() / launch),
        patience_s=[config.stuck_after_s if phase is Phase.train else config.pause_after_s for phase in Phase],
        poll_s=min(POLL_S, config.stuck_after_s / 10),
    )
    monitor = subprocess.Popen(
        [sys.executable, "-m", "mai1.watch.monitor", json.dumps(asdict(settings))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        bufsize=0,  # a buffer has a lock, and a thread that holds one when Python ends makes it abort
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    threading.Thread(target=_answer, args=(monitor, folder), name="witness", daemon=True).start()
    return heartbeat


def _launcher_pid() -> int:
    """The process that must not die before this one; 0 where there is none, as behind `nohup`."""
    if SUPERVISOR in os.environ:
        return int(os.environ[SUPERVISOR])  # it may be dead already
    return os.getppid() if "TORCHELASTIC_RUN_ID" in os.environ else 0


def _answer(monitor: subprocess.Popen, folder: Path) -> None:
    """Write the last collectives when asked, from a thread of its own: the main one waits in a collective."""
    for _ in monitor.stdout:
        calls = [asdict(call) for call in calls_in(json.loads(_dump_fr_trace_json(True, False)))]
        fresh = folder / f"{COLLECTIVES}.new"
        fresh.write_text(json.dumps(calls), encoding="utf-8")
        os.replace(fresh, folder / COLLECTIVES)
    monitor.wait()
