"""One run as it stands now, read from its directory: what `mai1 status` and `mai1 watch` show."""

import math
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mai1.report.records import column, last_value, mapping, number
from mai1.status.files import read_facts, read_settings
from mai1.status.metrics_tail import MetricsTail, read_tail
from mai1.status.saved_state import SavedState, saved_state
from mai1.status.state import (
    State,
    Traces,
    decide,
    event_time,
    how_it_failed,
    lock_holder,
    modified_s,
    restarts_of,
    sign_of_life,
)

DEFAULT_PATIENCE_S = 1800.0
"""As watch.pause_after_s."""
RECENT_RECORDS = 20
"""That the pace of a run is taken from."""
MARKS = ("config.yaml", "run.json", "metrics.jsonl", "restarts.jsonl")
"""Any of these makes a directory a run's."""


@dataclass(frozen=True, slots=True)
class LayerBalance:
    """How evenly one MoE layer uses its experts."""

    name: str
    max_violation: float | None
    entropy: float | None
    """As a share of ln(experts): 1 is even."""
    dead_experts: float | None
    load: list[float]
    """Each expert's share over the even share."""


@dataclass(kw_only=True, slots=True)
class RunStatus:
    """What is known; None or empty is not known."""

    directory: str
    name: str
    stage: str
    state: str
    reason: str
    step: int
    last_step: int
    tokens: float | None = None
    seconds_per_step: float | None = None
    """Of recent steps, evaluations and saves between them included."""
    eta_s: float | None = None
    loss: float | None = None
    """The newest that is finite."""
    has_diverged: bool = False
    """The newest loss is not finite."""
    curve: list[list[float]] = field(default_factory=list)
    """[step, loss] over the whole run."""
    heldout: dict[str, float | None] = field(default_factory=dict)
    """step, loss, bits_per_byte, best."""
    tokens_per_s: float | None = None
    mfu: float | None = None
    layers: list[LayerBalance] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    """Those that hold at the newest record, stragglers too."""
    num_skipped: int = 0
    """Recent steps that the guard refused."""
    num_restarts: int = 0
    last_restart: str = ""
    last_restart_age_s: float | None = None
    incidents: list[str] = field(default_factory=list)
    """Pages on stuck ranks, newest first."""
    checkpoint: SavedState | None = None
    disk_free_bytes: float | None = None
    last_sign_s: float | None = None
    """Seconds since a file of the run was written."""

    def record(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)


def is_run(directory: Path) -> bool:
    """Whether a run has left something there."""
    try:
        return any((directory / mark).is_file() for mark in MARKS)
    except (OSError, ValueError):
        return False


def read_status(directory: Path, *, now: float | None = None) -> RunStatus:
    """Read a run's directory, whole or torn; never raises for what is in it. `now` is in seconds since 1970."""
    now = time.time() if now is None else now
    facts, settings = read_facts(directory / "run.json"), read_settings(directory / "config.yaml")
    tail, saved = read_tail(directory / "metrics.jsonl"), saved_state(directory / "checkpoints", now=now)
    restarts, incidents = restarts_of(directory), _incidents(directory)
    step = max((int(record["step"]) for record in tail.train[-1:]), default=0)
    traces = _traces(directory, settings, tail, saved, restarts, incidents, now=now)
    verdict = decide(traces)
    pace = seconds_per_step(tail.train)
    is_at_work = verdict.state in (State.running, State.starting)
    status = RunStatus(
        directory=str(directory),
        name=str(facts.get("name") or directory.resolve().name),
        stage=str(facts.get("stage") or "?"),
        state=verdict.state.value,
        reason=verdict.reason,
        step=max(step, saved.step if saved else 0),
        last_step=traces.last_step,
        seconds_per_step=pace,
        checkpoint=saved,
        num_restarts=sum(event.get("restart") != 0 for event in restarts),
        incidents=[str(path) for path in incidents],
        last_sign_s=traces.written_age_s if traces.launched_s or step else None,
        disk_free_bytes=_free_bytes(directory),
    )
    if is_at_work and pace is not None and traces.last_step > status.step:
        status.eta_s = pace * (traces.last_step - status.step)
    if restarts:
        status.last_restart = how_it_failed(restarts[-1])
        status.last_restart_age_s = max(0.0, now - event_time(restarts[-1])) if event_time(restarts[-1]) else None
    _add_figures(status, tail)
    return status


def seconds_per_step(train: list[dict[str, Any]]) -> float | None:
    """Wall clock of a step over the last records; None before there are two with a time."""
    known = [
        (number(record["step"]), seconds) for record in train if (seconds := number(record.get("seconds"))) is not None
    ]
    if len(known) < 2:
        return None
    (first, began), (last, ended) = known[-min(len(known), RECENT_RECORDS)], known[-1]
    return (ended - began) / (last - first) if last > first and ended > began else None


def _traces(
    directory: Path,
    settings: dict[str, str],
    tail: MetricsTail,
    saved: SavedState | None,
    restarts: list[dict[str, Any]],
    incidents: list[Path],
    *,
    now: float,
) -> Traces:
    launched = modified_s(directory / "config.yaml")
    sign, sign_age = sign_of_life(directory, launched_s=launched, now=now)
    newest = restarts[-1] if restarts and event_time(restarts[-1]) + 1 >= launched else {}  # events have whole seconds
    written = max(modified_s(directory / name) for name in (*MARKS, "events.jsonl", "checkpoints", "logs"))
    metrics, report = modified_s(directory / "metrics.jsonl"), modified_s(directory / "report.html")
    ended = str(newest.get("ended_because") or "")
    return Traces(
        lock_holder=lock_holder(directory / ".lock"),
        sign=sign,
        sign_age_s=sign_age,
        launched_s=launched,
        written_age_s=max(0.0, now - written),
        patience_s=_setting(settings, "watch.pause_after_s") or DEFAULT_PATIENCE_S,
        step=int(tail.train[-1]["step"]) if tail.train else 0,
        saved_step=saved.step if saved else 0,
        last_step=int(_setting(settings, "train.steps") or 0),
        has_ended_in_order=report >= max(metrics, launched) > 0,
        end=ended,
        restart=how_it_failed(newest) if newest and not ended else "",
        incident=str(incidents[0]) if incidents and modified_s(incidents[0]) >= launched else "",
    )


def _add_figures(status: RunStatus, tail: MetricsTail) -> None:
    """What the records say."""
    key = "lm_loss" if last_value(tail.train, "lm_loss") is not None else "loss"
    status.curve = [
        [step, loss]
        for step, loss in zip(column(tail.curve, "step").tolist(), column(tail.curve, key).tolist(), strict=True)
        if math.isfinite(loss)
    ]
    status.loss, status.tokens = last_value(tail.train, key), last_value(tail.train, "tokens")
    status.tokens_per_s, status.mfu = last_value(tail.train, "tokens_per_s"), last_value(tail.train, "mfu")
    status.num_skipped = tail.num_skipped
    losses = [loss for record in tail.heldout if (loss := number(record.get("loss"))) is not None]
    if losses:
        newest = tail.heldout[-1]
        status.heldout = {name: number(newest.get(name)) for name in ("step", "loss", "bits_per_byte")} | {
            "best": min(losses)
        }
    if tail.train:
        status.layers = [
            _balance(name, mapping(layer)) for name, layer in _in_order(mapping(tail.train[-1].get("layers")))
        ]
        status.alarms = _alarms(tail.train[-1])
        status.has_diverged = _is_not_finite(tail.train[-1])
    newest = (("training", tail.train), ("held-out", tail.heldout))
    diverged = [(kind, records[-1]["step"]) for kind, records in newest if records and _is_not_finite(records[-1])]
    status.alarms = [f"the {kind} loss is not finite at step {step:,.0f}" for kind, step in diverged] + status.alarms


def _is_not_finite(record: dict[str, Any]) -> bool:
    return "loss" in record and number(record["loss"]) is None


def _balance(name: str, layer: dict[str, Any]) -> LayerBalance:
    shares = layer.get("load") if isinstance(layer.get("load"), list) else []
    load = [max(0.0, share) * len(shares) for share in map(number, shares) if share is not None]
    entropy = number(layer.get("entropy"))
    even = math.log(len(load)) if len(load) > 1 else None
    share = entropy / even if entropy is not None and even else None
    return LayerBalance(name, number(layer.get("max_violation")), share, number(layer.get("dead_experts")), load)


def _in_order(layers: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(layers.items(), key=lambda pair: (not pair[0].isdecimal(), pair[0].zfill(12)))


def _alarms(record: dict[str, Any]) -> list[str]:
    alarms = record.get("alarms") if isinstance(record.get("alarms"), list) else []
    found = [
        f"layer {alarm.get('layer')}: {alarm.get('figure')} {number(alarm.get('value')) or 0:.3g} "
        f"({alarm.get('key')}={alarm.get('threshold')})"
        for alarm in map(mapping, alarms)
    ]
    slow = record.get("stragglers") if isinstance(record.get("stragglers"), list) else []
    return found + [
        f"rank {each.get('rank')} on {each.get('host')} is {number(each.get('factor')) or 0:.1f} times as slow as the median"
        for each in map(mapping, slow)
    ]


def _incidents(directory: Path) -> list[Path]:
    try:
        return sorted(directory.glob("logs/stuck-*/incident.md"), reverse=True)[:20]
    except (OSError, ValueError):
        return []


def _free_bytes(directory: Path) -> float | None:
    try:
        return float(shutil.disk_usage(directory).free)
    except (OSError, ValueError):
        return None


def _setting(settings: dict[str, str], key: str) -> float | None:
    try:
        value = float(settings[key])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) and value < 1e15 else None
