"""First stage of the report: read what a run left behind, whole or torn, into one plain structure."""

import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mai1.report.metrics_lines import mapping, number, parse, parse_metrics

MAX_ANCESTORS = 4
PLANNED_STEPS = re.compile(r"^train:\n(?: +.*\n)*?  steps: (\d{1,12})$", re.MULTILINE)


@dataclass(kw_only=True, slots=True)
class DataRecords:
    """What data preparation said about itself."""

    directory: Path
    manifest: dict[str, Any]
    dropped_samples: list[dict[str, Any]]


@dataclass(kw_only=True, slots=True)
class RunRecords:
    """Everything readable in a run directory; what is absent is empty, what is unreadable is in `notes`."""

    directory: Path
    run: dict[str, Any]
    environment: dict[str, Any]
    config: str
    train: list[dict[str, Any]]
    heldout: list[dict[str, Any]]
    setbacks: list[dict[str, Any]]
    """Steps that the guard refused and that still count."""
    rollbacks: list[dict[str, Any]]
    """Returns to a checkpoint, each with what it undid."""
    baselines: dict[str, Any]
    samples: list[dict[str, Any]]
    answers: dict[str, Any]
    parity: dict[str, Any]
    data: DataRecords | None
    routing: list[dict[str, Any]] = field(default_factory=list)
    """How far routing had moved from the start model's, in tuning."""
    pairs: list[dict[str, Any]] = field(default_factory=list)
    """Figures of held-out pairs of answers, in preference tuning."""
    conversations: dict[str, Any] = field(default_factory=dict)
    """Figures of each file of conversations, in tuning."""
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.run.get("name") or self.directory.name)

    @property
    def planned_steps(self) -> int | None:
        """train.steps of the configuration."""
        found = PLANNED_STEPS.search(self.config)
        return int(found[1]) if found else None


def read_run(directory: Path) -> RunRecords:
    """Read one run directory. Never raises for what is missing, torn or of the wrong type."""
    notes: list[str] = []
    metrics = read_lines(directory / "metrics.jsonl", notes=notes, parse_line=parse_metrics)
    run = read_object(directory / "run.json", notes=notes)
    notes += [_event(event) for event in read_lines(directory / "events.jsonl", notes=notes)]
    return RunRecords(
        directory=directory,
        run=run,
        environment=read_object(directory / "environment.json", notes=notes),
        config=_read_text(directory / "config.yaml"),
        train=newest_of_each_step(metrics, kind="train"),
        heldout=newest_of_each_step(metrics, kind="heldout"),
        routing=newest_of_each_step(metrics, kind="routing"),
        pairs=newest_of_each_step(metrics, kind="pairs"),
        setbacks=newest_of_each_step(metrics, kind="skipped") + newest_of_each_step(metrics, kind="fault"),
        rollbacks=newest_of_each_step(metrics, kind="rollback"),
        baselines=read_object(directory / "baselines.json", notes=notes),
        samples=read_lines(directory / "samples.jsonl", notes=notes),
        conversations=read_object(directory / "tuning_data.json", notes=notes),
        answers=read_object(directory / "answers.json", notes=notes),
        parity=read_object(directory / "parity.json", notes=notes),
        data=_read_data(locate(run.get("data"), beside=directory), notes=notes),
        notes=notes,
    )


def read_ancestors(records: RunRecords) -> list[RunRecords]:
    """The stages this run started from, nearest first; a circle or a missing directory ends the list."""
    ancestors: list[RunRecords] = []
    seen = {records.directory.resolve()}
    while len(ancestors) < MAX_ANCESTORS:
        parent = _run_of(locate(records.run.get("parent"), beside=records.directory))
        if parent is None or parent.resolve() in seen:
            break
        seen.add(parent.resolve())
        records = read_run(parent)
        ancestors.append(records)
    return ancestors


def _run_of(directory: Path | None) -> Path | None:
    """The run that a directory is or belongs to: a parent may be named by one of its checkpoints."""
    if directory is None:
        return None
    around = [directory, *directory.resolve().parents[:2]]
    return next((path for path in around if (path / "run.json").is_file()), directory)


def locate(value: object, *, beside: Path) -> Path | None:
    """The directory a run names: absolute, under the working directory, or under the folder that holds `runs/`."""
    if not isinstance(value, str) or not value:
        return None
    candidates = [Path(value), *(parent / value for parent in beside.resolve().parents[:2])]
    try:
        return next((path for path in candidates if path.is_dir()), None)
    except (OSError, ValueError):
        return None


def read_object(path: Path, *, notes: list[str]) -> dict[str, Any]:
    """A JSON object; empty if the file is absent, and noted if it cannot be read as one."""
    text = _read_text(path)
    value = parse(text.encode())
    if text and not isinstance(value, dict):
        notes.append(f"{path.name} is not readable as a JSON object: left out")
    return mapping(value)


def read_lines(path: Path, *, notes: list[str], parse_line: Callable[[bytes], object] = parse) -> list[dict[str, Any]]:
    """The records of a jsonl file; a line that a killed process tore is skipped and counted."""
    records: list[dict[str, Any]] = []
    num_torn = 0
    try:
        size = path.stat().st_size
        bar = tqdm(
            desc=f"read {path.name}", total=size, unit="B", unit_scale=True, delay=2.0, leave=False, file=sys.stderr
        )
        with bar, path.open("rb") as lines:
            for line in lines:
                bar.update(len(line))
                if not line.strip():
                    continue
                value = parse_line(line)
                if isinstance(value, dict):
                    records.append(value)
                else:
                    num_torn += 1
    except OSError:
        return records
    if num_torn:
        notes.append(f"{path.name}: {num_torn} unreadable {'line' if num_torn == 1 else 'lines'} skipped")
    return records


def newest_of_each_step(records: list[dict[str, Any]], *, kind: str) -> list[dict[str, Any]]:
    """The records of one kind ordered by step; a resumed run repeats steps, and then the later record wins."""
    newest: dict[float, dict[str, Any]] = {}
    for record in records:
        step = number(record.get("step"))
        if record.get("kind") == kind and step is not None:
            newest[step] = record
    return [newest[step] for step in sorted(newest)]


def column(records: list[dict[str, Any]], key: str) -> np.ndarray:
    """One value a record as float64; NaN where it is absent or not finite."""
    values = (number(record.get(key)) for record in records)
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def last_value(records: list[dict[str, Any]], key: str) -> float | None:
    """The newest finite value of `key`."""
    values = (number(record.get(key)) for record in reversed(records))
    return next((value for value in values if value is not None), None)


def _event(event: dict[str, Any]) -> str:
    """What went another way than planned, as one line."""
    details = ", ".join(f"{key} {value}" for key, value in event.items() if key != "event")
    return f"{event.get('event', 'event')}: {details}"


def _read_data(directory: Path | None, *, notes: list[str]) -> DataRecords | None:
    if directory is None:
        return None
    return DataRecords(
        directory=directory,
        manifest=read_object(directory / "manifest.json", notes=notes),
        dropped_samples=read_lines(directory / "dropped_samples.jsonl", notes=notes),
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
