"""Whether a run that failed is started again, and the record of it: runs/NAME/restarts.jsonl."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mai1.watch.config import LaunchConfig
from mai1.watch.faults import DivergedError, FaultyRankError, ReplicasDifferError, UnfitNodesError
from mai1.watch.incident import PAGE

LEDGER = "restarts.jsonl"
FINAL_CODES = {
    2: "a mistake in the command or its data, which would be made again",
    ReplicasDifferError.exit_code: "ranks hold different weights: a machine is broken, leave it out",
    DivergedError.exit_code: "training diverged for good: a person must look at data and learning rate",
    FaultyRankError.exit_code: "one rank computes wrongly time and again: leave its machine out",
    UnfitNodesError.exit_code: "nodes are not fit for a run: mend them or leave them out",
    130: "it was interrupted",
}
"""Exit codes after which nothing is started again, and why."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How one rank ended."""

    rank: int
    code: int
    """Exit code; negative: the number of the signal that killed it."""

    def __str__(self) -> str:
        how = f"was killed by {signal.Signals(-self.code).name}" if self.code < 0 else f"ended with code {self.code}"
        return f"rank {self.rank} {how}"


class RestartPolicy:
    """Bounded: by the number of restarts, and more tightly while no new checkpoint comes of them."""

    def __init__(self, config: LaunchConfig, run_directory: Path) -> None:
        self._config, self._run = config, run_directory
        self._restarts = self._futile = 0
        self._step, self._pages = newest_step(run_directory), self._stuck_pages()

    def allows(self, failures: Sequence[Failure]) -> bool:
        """Judge a failure by the ranks that ended first, say and record what follows from it."""
        step, pages = newest_step(self._run), self._stuck_pages()
        self._futile = 1 if step > self._step else self._futile + 1
        reason = self._reason_to_end(failures)
        self._restarts += not reason
        event = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "restart": 0 if reason else self._restarts,
            "from_step": step,
            "failures": [{"rank": failure.rank, "code": failure.code, "how": str(failure)} for failure in failures],
            "stuck_report": str(max(pages - self._pages, default="")),
            "ended_because": reason,
        }
        self._step, self._pages = step, pages
        record(self._run / LEDGER, event)
        how = "; ".join(map(str, failures)) + (f", stuck: see {event['stuck_report']}" if event["stuck_report"] else "")
        then = f"not starting again: {reason}" if reason else f"restart {self._restarts} from step {step}"
        print(f"\nmai1: {how}; {then}", file=sys.stderr, flush=True)
        return not reason

    def _reason_to_end(self, failures: Sequence[Failure]) -> str:
        final = [FINAL_CODES[failure.code] for failure in failures if failure.code in FINAL_CODES]
        if final:
            return final[0]
        if self._restarts >= self._config.max_restarts:
            return f"launch.max_restarts={self._config.max_restarts} were made"
        if self._futile > self._config.max_futile_restarts:
            return f"no new checkpoint came of launch.max_futile_restarts={self._config.max_futile_restarts} in a row"
        return ""

    def _stuck_pages(self) -> set[Path]:
        return set(self._run.glob(f"logs/stuck-*/{PAGE}"))


def newest_step(run_directory: Path) -> int:
    """The step that the run would go on from; 0 before its first checkpoint."""
    try:
        return int(os.readlink(run_directory / "checkpoints" / "latest").rpartition("_")[2])
    except (OSError, ValueError):
        return 0


def record(path: Path, event: dict) -> None:
    """Append one line and make it last; a disk that is full of anything must not keep a run from its restart."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        print(f"mai1: warning: {path} cannot be written ({error})", file=sys.stderr, flush=True)
