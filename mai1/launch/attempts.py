"""Starts of one job, told from marker files alone: how many there were, from which checkpoint each began, and when to end.

Exit codes do not decide: the first node that ends can make a scheduler terminate the others, and the same clean stop is then
reported as 0, 143 or another number. A job that was killed leaves no code at all. The checkpoint that `latest` points to and
the checkpoint that each start began from cannot mislead.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from mai1.launch.environment import recorded
from mai1.launch.submission import write

START = "start.json"
EXCUSED = "excused"
"""In an attempt's folder: it ended by no failure of the run (preemption, a node taken out), and does not count as futile."""
TIME_IS_UP = "time-is-up"


class Attempts:
    """The folder `attempt-0`, `attempt-1`, ... of one job."""

    def __init__(self, folder: Path, *, checkpoints: Path, max_restarts: int, max_futile_restarts: int) -> None:
        self.folder, self.checkpoints = folder, checkpoints
        self.max_restarts, self.max_futile_restarts = max_restarts, max_futile_restarts

    def newest_checkpoint(self) -> str:
        """The name that `latest` points to: what rank 0 published last; none before the first."""
        try:
            return Path(os.readlink(self.checkpoints / "latest")).name
        except OSError:
            return "none"

    def count(self) -> int:
        """Attempts so far, of every start of the job."""
        return len(self._attempts())

    def begin(self) -> Path:
        """Make the next attempt's folder and note what it begins from."""
        attempt = self.folder / f"attempt-{self.count()}"
        attempt.mkdir(parents=True)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        content = {"time": now, "from": self.newest_checkpoint(), "environment": recorded()}
        write(attempt / START, json.dumps(content, indent=1) + "\n")
        return attempt

    def excuse(self, attempt: Path, why: str) -> None:
        """Leave an attempt out of the count of those that brought nothing."""
        write(attempt / EXCUSED, f"{why}\n")

    def futile(self) -> int:
        """Last attempts in a row that began from the checkpoint that is still the newest."""
        newest, number = self.newest_checkpoint(), 0
        for attempt in reversed(self._attempts()):
            if (attempt / EXCUSED).exists():
                continue
            if _began_from(attempt) != newest:
                break
            number += 1
        return number

    def reason_to_end(self) -> str:
        """Why there should be no further attempt; empty where there may be one."""
        newest = self.newest_checkpoint()
        if self.count() > self.max_restarts:
            return f"{self.max_restarts} restarts are enough; submit the same command to go on from {newest}"
        if self.futile() > self.max_futile_restarts:
            return f"{self.max_futile_restarts} restarts brought no checkpoint after {newest}: not starting again"
        return ""

    def _attempts(self) -> list[Path]:
        numbered = [path for path in self.folder.glob("attempt-*") if path.name[8:].isdigit()]
        return sorted(numbered, key=lambda path: int(path.name[8:]))


def _began_from(attempt: Path) -> str:
    """What an attempt began from; one that was killed before it could say so began from nothing new."""
    try:
        return str(json.loads((attempt / START).read_bytes())["from"])
    except (OSError, ValueError, KeyError, TypeError):
        return "none"
