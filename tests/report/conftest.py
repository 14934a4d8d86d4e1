"""Writes small run directories of known content for the report's tests."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def finished_run(tmp_path: Path) -> Path:
    """A run directory with every part present."""
    return write_run(tmp_path / "runs" / "spruce")


def write_run(directory: Path, *, num_steps: int = 6) -> Path:
    """A complete run: training and held-out records, samples, answers, parity, environment, data."""
    directory.mkdir(parents=True, exist_ok=True)
    data = write_data(directory.parent / "data")
    facts = {"name": "spruce", "stage": "pretrain", "parent": None, "data": str(data), "started": "2031-05-06T07:08:09"}
    facts["parameters"] = {"total": 1_412_000_000, "active": 212_000_000}
    write_json(directory / "run.json", {**facts, "model": {"num_layers": 5}})
    train = [train_record(step) for step in range(1, num_steps + 1)]
    write_lines(directory / "metrics.jsonl", [*train, heldout_record(3, 4.5678), heldout_record(num_steps, 3.4567)])
    write_json(directory / "baselines.json", {"unigram": 7.1234, "bigram": 5.2345})
    write_json(directory / "environment.json", {"torch": "2.13.0", "command": "mai1 pretrain run.name=spruce"})
    (directory / "config.yaml").write_text("run:\n  name: spruce\n")
    sample = {"prompt": "What is a mutex?", "reference": "A lock.", "score": 0.25}
    after = {**sample, "when": "after", "completion": "A lock for one.", "score": 0.75}
    write_lines(directory / "samples.jsonl", [{**sample, "when": "before", "completion": "the the"}, after])
    answers = {"before": {"answer_loss": 4.25, "f1": 0.125}, "after": {"answer_loss": 2.5, "f1": 0.5}, "questions": 200}
    write_json(directory / "answers.json", answers)
    parity = {"architecture": "Glm4MoeForCausalLM", "max_logit_difference": 1.5e-6}
    write_json(directory / "parity.json", {**parity, "ids_identical": True, "chat_identical": False})
    return directory


def write_data(directory: Path) -> Path:
    """A data directory with one source that lost documents for two reasons."""
    directory.mkdir(parents=True, exist_ok=True)
    dropped = {"too short": {"documents": 30, "bytes": 1000}, "duplicate": {"documents": 10, "bytes": 4000}}
    train = {"documents": 1100, "bytes": 4500, "tokens": 1257}
    heldout = {"documents": 94, "bytes": 500, "tokens": 100}
    counts = {"path": "docs", "read": 1234, "kept": 1194, "train": train, "heldout": heldout}
    source = {**counts, "bytes_per_token": 3.685, "dropped": dropped}
    totals = {"documents": 1194, "bytes": 5000, "tokens": 1357, "bytes_per_token": 3.685}
    write_json(directory / "manifest.json", {"totals": totals, "sources": {"docs": source}})
    write_lines(
        directory / "dropped_samples.jsonl", [{"source": "docs", "reason": "too short", "name": "a.txt", "text": "hm"}]
    )
    return directory


def train_record(step: int) -> dict[str, Any]:
    """One logged training step; expert 0 gets twice what it should, and expert 2 is only for code."""
    layer = {"load": [0.5, 0.25, 0.25, 0.0], "entropy": 1.25, "max_violation": 1.0, "dead_experts": 1}
    layer |= {"router_drift": 0.125 * (step % 4), "bias_drift": 0.01, "dropped": 40, "dropped_share": 0.0625}
    layer |= {"rank_imbalance": 0.75}
    layer["sources"] = {
        "docs": {"choices": 400, "load": [0.75, 0.25, 0.0, 0.0]},
        "code": {"choices": 200, "load": [0.0, 0.25, 0.75, 0.0]},
    }
    losses = {"loss": 6.0 - 0.1 * step, "lm_loss": 5.9 - 0.1 * step, "z_loss": 0.01, "balance_loss": 0.0}
    pace = {"lr": 0.001, "grad_norm": 1.0 + step, "tokens_per_s": 9000.0, "mfu": 0.3125, "step_s": 0.9}
    layers = {"1": layer, "2": deepcopy(layer)}
    alarms = [alarm("2", "dead_experts", 1.0, 1)] * (step >= 4)
    alarms += [alarm("1", "max_violation", 2.0 + 0.25 * step, 2.0)] * (step in (1, 2, 4))
    told = {"layers": layers, "alarms": alarms}
    return {"kind": "train", "step": step, "tokens": 8192 * step, **losses, **pace, **told}


def alarm(layer: str, figure: str, value: float, threshold: float) -> dict[str, Any]:
    """One entry of a record's alarms."""
    key, mend = f"alarms.{figure}", f"do something about {figure}"
    return {"layer": layer, "figure": figure, "value": value, "key": key, "threshold": threshold, "mend": mend}


def old_train_record(step: int) -> dict[str, Any]:
    """The same step as runs recorded it that knew load, entropy, violation and dead experts alone."""
    record = train_record(step)
    del record["alarms"]
    known = ("load", "entropy", "max_violation", "dead_experts")
    record["layers"] = {name: {key: layer[key] for key in known} for name, layer in record["layers"].items()}
    return record


def heldout_record(step: int, loss: float) -> dict[str, Any]:
    """One held-out evaluation with one source."""
    source = {"loss": loss - 0.5, "bits_per_byte": 1.5, "tokens": 1000}
    figures = {"loss": loss, "bits_per_byte": 1.9876, "sources": {"docs": source}}
    return {"kind": "heldout", "step": step, "tokens": 8192 * step, **figures}


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
