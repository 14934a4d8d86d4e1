"""What `mai1 mixture` shares: the sources of a corpus, mixtures drawn for them, and finished runs read back."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mai1.data.mixing_laws import draw_mixtures
from mai1.data.mixture import MixtureConfig
from mai1.data.shards import Shard
from mai1.run.compose import compose_config
from mai1.run.config import PretrainConfig
from mai1.run.directory import flat, plain, read_config

OWN_KEYS = (
    *("run.", "data.mixture.weights.", "engine.", "wandb.", "samples.", "sampling.", "watch.", "launch.", "alarms."),
    *("checkpoint.every_steps", "checkpoint.keep", "train.log_every", "train.stop_after_steps"),
)
"""Beginnings of keys in which runs of one sweep may differ."""


@dataclass(slots=True)
class SweepRun:
    """A finished run of a constant mixture."""

    name: str
    weights: dict[str, float]
    """Of each source, summing to 1."""
    losses: dict[str, float]
    """Of each held-out source at the end, in nats per token."""
    tokens: dict[str, int]
    """Held-out tokens of each."""


def open_training_shards(config: PretrainConfig) -> list[Shard]:
    """Every training shard of the prepared data, by name."""
    folder = Path(config.data.path) / "train"
    stems = sorted(path.with_suffix("") for path in folder.glob("*.idx"))
    if not stems:
        raise ValueError(f"data.path={config.data.path} holds no prepared data: run `mai1 prepare` first")
    return [shard for shard in map(Shard.open, stems) if shard.num_tokens]


def draw_for(
    sizes: dict[str, int], count: int, *, tokens: float, max_epochs: float, temperature: float, seed: int
) -> np.ndarray:
    """Random mixtures of sources of these sizes, `[N, S]`, by which a run of `tokens` sees none more than `max_epochs` times."""
    prior_S = np.array(list(sizes.values()), dtype=np.float64) ** (1 / temperature)
    caps_S = caps_of(sizes, tokens=tokens, max_epochs=max_epochs)
    return draw_mixtures(prior_S / prior_S.sum(), count, caps_S=caps_S, seed=seed)


def caps_of(sizes: dict[str, int], *, tokens: float, max_epochs: float) -> np.ndarray:
    """The largest weight of each source, `[S]`."""
    if not tokens or not max_epochs:
        return np.full(len(sizes), np.inf)
    caps_S = np.array(list(sizes.values())) * max_epochs / tokens
    if caps_S.sum() < 1:
        missing = tokens - max_epochs * sum(sizes.values())
        raise ValueError(
            f"tokens={tokens:.3g} are {missing:,.0f} more than all sources give in max_epochs={max_epochs:g} epochs: use "
            "fewer tokens or more epochs"
        )
    return caps_S


def as_override(mixture: dict[str, float]) -> str:
    """As `mai1 pretrain` takes it."""
    return f"data.mixture.weights={{{', '.join(f'{name}: {weight:g}' for name, weight in mixture.items())}}}"


def is_finished(directory: Path, overrides: list[str]) -> bool:
    """Whether `mai1 pretrain` with these overrides has nothing left to do."""
    config = compose_config("pretrain", PretrainConfig, overrides)
    last = directory / "checkpoints" / f"step_{config.train.steps:08d}"
    return last.is_dir() and read_config(directory / "config.yaml") == plain(config)


def read_runs(directories: list[Path]) -> tuple[list[SweepRun], dict]:
    """Finished runs that differ in nothing but their weights, and what they have in common."""
    runs, first = [], None
    for directory in directories:
        config = _config_of(directory)
        shared = {key: value for key, value in flat(config).items() if not key.startswith(OWN_KEYS)}
        first = first or (directory, shared)
        for key in sorted(shared.keys() | first[1].keys()):
            if shared.get(key) != first[1].get(key):
                raise ValueError(
                    f"{directory} has {key}={shared.get(key)} but {first[0]} has {first[1].get(key)}: a fit needs runs that "
                    "differ in nothing but their mixture"
                )
        runs.append(_read_run(directory, config))
    names = [set(run.losses) for run in runs]
    if any(found != names[0] for found in names):
        raise ValueError(f"{runs[0].name} and others have different held-out sources: use runs on the same data")
    return runs, first[1]


def print_table(headers: list[str], rows: list[list[str]]) -> None:
    """Columns: the first to the left, figures to the right."""
    print("\n".join(table_lines(headers, rows)))


def table_lines(headers: list[str], rows: list[list[str]]) -> list[str]:
    """The same as lines."""
    widths = [max(len(row[column]) for row in [headers, *rows]) for column in range(len(headers))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in [headers, *rows]
    ]


def _config_of(directory: Path) -> dict:
    path = directory / "config.yaml"
    if not path.is_file():
        raise ValueError(f"{directory} is no run: name directories under runs/")
    return read_config(path)


def _read_run(directory: Path, config: dict) -> SweepRun:
    try:
        mixture, steps = config["data"]["mixture"], config["train"]["steps"]
        weights = {str(name): float(weight) for name, weight in mixture["weights"].items()}
        records = [json.loads(line) for line in (directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        ended = [record for record in records if record["kind"] == "heldout" and record["step"] == steps]
        sources = ended[-1]["sources"] if ended else {}
        losses = {name: float(figures["loss"]) for name, figures in sources.items()}
        tokens = {name: int(figures["tokens"]) for name, figures in sources.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{directory} is no run of a mixture that can be read ({error}): leave it out") from error
    if not weights or mixture != plain(MixtureConfig()) | {"weights": mixture["weights"]}:
        raise ValueError(f"{directory} has no constant mixture: a fit needs runs of `mai1 mixture sweep`")
    if not losses:
        raise ValueError(f"{directory} has no held-out loss at its last step, {steps}: finish the run or leave it out")
    total = sum(weights.values())
    return SweepRun(directory.name, {name: weight / total for name, weight in weights.items()}, losses, tokens)
