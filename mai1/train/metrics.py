"""Metrics of a run: to the console, to metrics.jsonl and, if asked, to Weights & Biases.

This is the only room that imports wandb, and only when it is turned on.
"""

import json
import os
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import torch

# Dense peak in bf16, FLOP/s, from the makers' data sheets.
GPU_PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "GH200": 989e12, "A100": 312e12, "B200": 2250e12, "GB200": 2500e12}


class WandbMode(Enum):
    """Where Weights & Biases keeps a run; the key comes from the environment or netrc, never from a config."""

    off = "off"
    offline = "offline"
    online = "online"


@dataclass(kw_only=True, slots=True)
class WandbConfig:
    mode: WandbMode = WandbMode.off
    """off | offline (files under the run's directory, for `wandb sync`) | online."""
    project: str = "mai1"
    """Project name."""


class MetricsLog:
    """Appends records to metrics.jsonl and mirrors them; one per run, on rank 0."""

    def __init__(self, run_directory: Path, *, from_step: int, wandb: WandbConfig, run_name: str, config: dict) -> None:
        self.path = run_directory / "metrics.jsonl"
        _forget_after(self.path, from_step)
        self._file = open(self.path, "a", encoding="utf-8")
        self._wandb = _start_wandb(run_directory, wandb, run_name, config)

    def write(self, record: dict) -> None:
        """One line, flushed; also to wandb, flattened."""
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        if self._wandb is not None:
            self._wandb.log(_flatten(record), step=record["step"])

    def rewind(self, step: int) -> list[dict]:
        """Take back the records of what came after so many steps, and return them. Weights & Biases keeps its own."""
        self._file.close()
        dropped = _forget_after(self.path, step)
        self._file = open(self.path, "a", encoding="utf-8")
        return dropped

    def alert(self, message: str) -> None:
        """A message that reaches people who are not looking: through wandb, where it is online."""
        if self._wandb is not None and not self._wandb.offline:
            self._wandb.alert(title="mai1 alarm", text=message, wait_duration=0)

    def close(self) -> None:
        """Finish both."""
        self._file.close()
        if self._wandb is not None:
            self._wandb.finish()


def _forget_after(path: Path, step: int) -> list[dict]:
    """Drop and return records of steps that will be done again, all of them where a run starts anew, and a torn last line."""
    if not path.exists():
        return []
    kept, dropped = [], []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
            if step and record["step"] <= step:
                kept.append(line)
            else:
                dropped.append(record)
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    os.replace(fresh, path)
    return dropped


def _start_wandb(run_directory: Path, config: WandbConfig, run_name: str, run_config: dict):
    if config.mode is WandbMode.off:
        return None
    try:
        import wandb
    except ImportError:
        raise ValueError(
            f"wandb.mode={config.mode.value} needs the wandb package: pip install 'mai1[wandb]', or wandb.mode=off"
        ) from None
    return wandb.init(
        project=config.project,
        name=run_name,
        id=run_name,
        resume="allow",
        mode=config.mode.value,
        dir=run_directory,
        config=run_config,
        save_code=False,
    )


def _flatten(record: dict, prefix: str = "") -> dict:
    flat = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}/")
        elif isinstance(value, list) and all(isinstance(item, dict) for item in value):
            flat[prefix + key] = len(value)  # alarms: a curve of how many there are
        elif isinstance(value, list):
            flat |= {f"{prefix}{key}/{i}": item for i, item in enumerate(value)}
        else:
            flat[prefix + key] = value
    return flat


@dataclass(slots=True)
class Speed:
    """Tokens per second and model FLOPs utilisation since the last reading."""

    flops_per_token: int
    peak_flops: float
    """Of all ranks together."""
    _tokens: int = 0
    _started: float = 0.0

    def start(self, tokens: int) -> None:
        """Begin a reading."""
        self._tokens, self._started = tokens, time.perf_counter()

    def pause(self, seconds: float) -> None:
        """Take time out of the reading that was not spent training."""
        self._started += seconds

    def read(self, tokens: int) -> dict:
        """Figures since the last reading, and begin the next one."""
        per_second = (tokens - self._tokens) / (time.perf_counter() - self._started)
        self.start(tokens)
        return {"tokens_per_s": per_second, "mfu": per_second * self.flops_per_token / self.peak_flops}


def peak_flops(device: torch.device) -> float:
    """The device's peak in the format it trains in: a GPU's from its data sheet, a CPU's from timing fp32 products.

    An unknown GPU counts as an H100, so its utilisation is only good for comparing runs with each other.
    """
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return next((peak for key, peak in GPU_PEAK_FLOPS.items() if key in name.split()[1:] or key in name), 989e12)
    size, matrix = 1024, torch.randn(1024, 1024)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best
