"""A command for the supervisor that needs no torch: python -m tests.watch.toy_command FOLDER WHAT RANK TIMES.

Rank RANK does WHAT in the first TIMES attempts: `checkpoint` fails after a new checkpoint was published, `kill` and `stop`
are signals to itself, a number is an exit code, `wait` waits for SIGTERM and then saves, `deaf` ignores it. Other ranks
wait for the end, as they would in a collective.
"""

import os
import signal
import sys
import time
from pathlib import Path


def main(folder: Path, what: str, rank: int, times: int) -> None:
    attempt, my_rank = int(os.environ["TORCHELASTIC_RESTART_COUNT"]), int(os.environ["RANK"])
    is_asked = []
    signal.signal(signal.SIGTERM, lambda *_: is_asked.append(True))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])  # as a rank's StopRequest does
    (folder / f"started-{attempt}-{my_rank}").touch()
    if what in ("wait", "deaf"):
        while not is_asked or what == "deaf":
            time.sleep(0.01)
        (folder / f"saved-{my_rank}").touch()
        return
    if attempt >= times:
        return
    if my_rank != rank:
        time.sleep(60)
    fail(folder, what, attempt)


def fail(folder: Path, what: str, attempt: int) -> None:
    if what == "checkpoint":
        (folder / "checkpoints").mkdir(exist_ok=True)
        link = folder / "checkpoints" / "latest"
        link.unlink(missing_ok=True)
        link.symlink_to(f"step_{attempt + 1:08d}")
        print("out of memory, say", file=sys.stderr)
        sys.exit(1)
    if what in ("kill", "stop"):
        os.kill(os.getpid(), signal.SIGKILL if what == "kill" else signal.SIGSTOP)
    sys.exit(int(what))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
