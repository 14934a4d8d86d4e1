"""What a run is doing, decided from its files alone: who holds its lock, its last sign of life, what it saved and recorded."""

import os
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from mai1.report.records import number
from mai1.status.files import last_lines, parsed, read_facts

SIGN_OF_LIFE = "logs/alive.json"
"""Written by rank 0's monitor every few seconds, readable from any machine."""
SIGN_EVERY_S = 60.0
"""A sign of life that is older came from a process that is gone, or a machine that is."""
AT_WORK = ("start", "train", "evaluate", "save", "finish")
"""Phases of a rank that is alive."""
LEDGER_BYTES = 2**20


class State(Enum):
    """What a run is doing."""

    starting = "starting"
    running = "running"
    finished = "finished"
    stopped = "stopped"
    failed = "failed"
    silent = "silent"
    """Nothing says that it goes on, and nothing that it ended."""
    empty = "empty"
    """No run has written here."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state, and what it was decided from."""

    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Traces:
    """What a verdict is decided from."""

    lock_holder: int | None
    """Process of this machine that holds the run's lock."""
    sign: dict[str, Any]
    """The last sign of life of this launch; empty without."""
    sign_age_s: float
    launched_s: float
    """When the newest launch began, in seconds since 1970; 0 where none did."""
    written_age_s: float
    """Since the newest of its files was written."""
    patience_s: float
    """Without writing anything, as configured."""
    step: int
    """Of the newest record."""
    saved_step: int
    """Of the newest checkpoint; 0 before the first."""
    last_step: int
    """That the run goes to; 0 where no configuration tells."""
    has_ended_in_order: bool
    """The report was written after the last record."""
    end: str
    """Why a supervisor of this launch did not start it again; empty where it did not say so."""
    restart: str
    """What a supervisor is starting it again from, since the launch; empty where there is none."""
    incident: str
    """A page on stuck ranks of this launch; empty without."""


def decide(traces: Traces) -> Verdict:
    """The surest sign first: a lock that is held, then what the run said itself, then how long it has been silent."""
    t = traces
    if t.lock_holder is not None:
        return _at_work(t, f"process {t.lock_holder} holds its lock")
    if not t.launched_s and not t.step:
        return Verdict(State.empty, "no run has written here")
    phase, is_done = str(t.sign.get("phase")), 0 < t.last_step <= t.saved_step
    if phase in AT_WORK and t.sign_age_s < SIGN_EVERY_S and not (is_done and t.has_ended_in_order):
        return _at_work(t, f"alive on {t.sign.get('host')} {duration(t.sign_age_s)} ago ({phase}{_idle(t.sign)})")
    if is_done:
        return Verdict(State.finished, f"all {t.last_step:,} steps are done and saved")
    if t.end:
        return Verdict(State.failed, f"not started again: {t.end}")
    if t.restart and t.written_age_s < t.patience_s:
        return Verdict(State.starting, f"being started again after {t.restart}")
    if t.incident:
        return Verdict(State.failed, f"stuck: see {t.incident}")
    if phase == "gone":
        ago = duration(t.sign_age_s)
        return Verdict(State.failed, f"rank 0's process ended without a word {ago} ago: killed, or out of memory")
    if t.has_ended_in_order and t.saved_step >= t.step > 0:
        return Verdict(State.stopped, f"saved at step {t.saved_step:,}; the same command goes on from there")
    if phase == "over":
        return Verdict(State.failed, f"ended {duration(t.sign_age_s)} ago by an error: its console or logs say which")
    if phase in AT_WORK:
        return Verdict(
            State.failed, f"no sign of life for {duration(t.sign_age_s)}, in phase {phase}: its machine may be gone"
        )
    if t.written_age_s < t.patience_s:
        ago = duration(t.written_age_s)
        return _at_work(t, f"written {ago} ago, by a process of another machine or one that has just ended")
    return Verdict(
        State.silent, f"nothing was written for {duration(t.written_age_s)}, and no process here holds its lock"
    )


def _idle(sign: dict[str, Any]) -> str:
    seconds = number(sign.get("idle_s")) or 0.0
    return f", without progress for {duration(seconds)}" if seconds > SIGN_EVERY_S else ""


def _at_work(traces: Traces, reason: str) -> Verdict:
    is_starting = traces.sign.get("phase") == "start" or not traces.step
    return Verdict(State.starting if is_starting else State.running, reason)


def lock_holder(path: Path, *, locks: Path = Path("/proc/locks")) -> int | None:
    """The process of this machine that holds a file's lock, asked without taking it: a run could start at just that moment."""
    try:
        status = os.stat(path, follow_symlinks=False)
        place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        lines = [line.split() for line in locks.read_text().splitlines()]
    except (OSError, ValueError):
        return None
    return next((int(line[4]) for line in lines if len(line) > 5 and line[5] == place and line[4].isdigit()), None)


def restarts_of(directory: Path) -> list[dict[str, Any]]:
    """The last events of restarts.jsonl, in order."""
    return [
        event for line in last_lines(directory / "restarts.jsonl", max_bytes=LEDGER_BYTES) if (event := parsed(line))
    ]


def how_it_failed(event: dict[str, Any]) -> str:
    """Why there was a restart, as supervisor or batch job recorded it."""
    failures = event.get("failures")
    hows = [str(each.get("how")) for each in failures if isinstance(each, dict)] if isinstance(failures, list) else []
    return "; ".join(hows[:3]) or str(event.get("why") or "an unknown failure")


def event_time(event: dict[str, Any]) -> float:
    """Seconds since 1970 of an event; 0 where it does not tell."""
    try:
        return datetime.fromisoformat(str(event.get("time"))).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def modified_s(path: Path) -> float:
    """When a file was last written, in seconds since 1970; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except (OSError, ValueError):
        return 0.0


def sign_of_life(directory: Path, *, launched_s: float, now: float) -> tuple[dict[str, Any], float]:
    """The last sign of this launch and its age in seconds."""
    path = directory / SIGN_OF_LIFE
    written = modified_s(path)
    if written < launched_s:
        return {}, float("inf")
    return read_facts(path), max(0.0, now - written)


def duration(seconds: float | None) -> str:
    """`42 s`, `12 min`, `3 h 20 min`, `5 d 4 h`; a dash for what is unknown."""
    if seconds is None or number(seconds) is None:
        return "–"
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if seconds < 99:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
