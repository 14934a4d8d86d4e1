"""`mai1 status RUN...`: how runs are doing, from their files alone; RUN is a run or a directory of runs."""

import json
import shutil
import sys
import time
from pathlib import Path

from mai1.status.run_status import RunStatus, is_run, read_status
from mai1.status.text import block, table

USAGE = """usage: mai1 status RUN... [json=true]
           progress, ETA, loss, speed, balance of the experts, restarts, last checkpoint and what the run is doing.
           RUN is a run (runs/first) or a directory of runs (runs). One run gets some lines, several one each.
           json=true prints a list with everything known of each; nothing is started, and no run is disturbed"""


def main(arguments: list[str]) -> None:
    """Print what is known of each run."""
    if "--help" in arguments or not arguments:
        print(USAGE)
        return
    as_json, places = False, []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key == "json" and value in ("true", "false"):
            as_json = value == "true"
        elif equals and not Path(argument).exists():
            raise ValueError(f"status {argument}: the only option is json=true")
        else:
            places.append(Path(argument))
    directories = [run for place in places for run in runs_in(place)]
    if not directories:
        raise ValueError("status: give a run or a directory of runs, such as runs/first or runs")
    statuses = [read_status(directory) for directory in directories]
    if as_json:
        print(json.dumps([status.record() for status in statuses], indent=1))
        return
    sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 shows a question mark for a bar
    width = shutil.get_terminal_size((100, 24)).columns
    print("\n".join(block(statuses[0], width=width) if len(statuses) == 1 else table(_newest_last(statuses))))


def runs_in(place: Path) -> list[Path]:
    """The run that a directory is, or those that are in it; ValueError where there is none."""
    if is_run(place):
        return [place]
    try:
        found = sorted(entry for entry in place.iterdir() if is_run(entry))
    except (OSError, ValueError):
        raise ValueError(f"status {place}: no such directory: give a run or a directory of runs") from None
    if not found:
        raise ValueError(
            f"status {place}: holds no run (no config.yaml, run.json or metrics.jsonl): use runs/NAME or runs"
        )
    return found


def _newest_last(statuses: list[RunStatus]) -> list[RunStatus]:
    return sorted(statuses, key=lambda status: -(time.time() if status.last_sign_s is None else status.last_sign_s))
