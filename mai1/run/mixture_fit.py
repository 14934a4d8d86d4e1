"""`mai1 mixture fit`: from runs of a sweep to the mixture that their losses speak for.

Legend: R runs, S sources of training text, H sources of held-out text.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from mai1.data.mixing_laws import LAWS, Quality, best_mixture, cross_validate, fit_target
from mai1.data.shards import Shard
from mai1.run.directory import write_atomically
from mai1.run.mixture_runs import SweepRun, as_override, draw_for, read_runs, table_lines

NUM_SIMULATED = 100_000
"""Mixtures whose loss is predicted."""
LARGEST_ERROR = 0.9
"""Of a law's squared error over that of the mean, on runs left out: with more, choosing by it would be choosing by chance."""


@dataclass(slots=True)
class Fitted:
    """What a fit found."""

    target: str
    runs: list[SweepRun]
    qualities: dict[str, Quality]
    """Of each law."""
    law: str
    """The one that was used."""
    sizes: dict[str, int]
    """Training tokens of each source."""
    weights: dict[str, float]
    predicted: dict[str, float]
    """Loss of the fitted mixture, and of the one by size."""
    measured: dict[str, float]
    """Loss of each run."""
    tokens: float
    """Of the run the mixture is for; 0: not said."""


def fit_mixture(
    directories: list[Path], *, target: str, tokens: float, max_epochs: float, temperature: float, seed: int
) -> Fitted:
    """The best mixture by the law that predicts left-out runs best; ValueError where none is better than their mean."""
    runs, shared = read_runs(directories)
    sizes = _sizes(Path(shared["data.path"]), runs)
    if len(runs) < len(sizes) + 2:
        raise ValueError(
            f"{len(runs)} runs are too few for {len(sizes)} sources: give at least {len(sizes) + 2}, better {8 * len(sizes)}"
        )
    weights_RS = np.array([[run.weights[name] for name in sizes] for run in runs])
    heldout = sorted(runs[0].losses)
    losses_RH = np.array([[run.losses[name] for name in heldout] for run in runs])
    importance_H = _importance(target, runs[0].tokens, heldout)
    qualities = {name: cross_validate(name, weights_RS, losses_RH, importance_H) for name in LAWS}
    law = min(qualities, key=lambda name: qualities[name].error)
    _refuse_chance(qualities, law, num_runs=len(runs))
    predict = fit_target(law, weights_RS, losses_RH, importance_H)
    limits = {"tokens": tokens, "max_epochs": max_epochs, "temperature": temperature, "seed": seed}
    best_S = best_mixture(predict, draw_for(sizes, NUM_SIMULATED, **limits))
    sizes_S = np.array(list(sizes.values()), dtype=np.float64)
    predicted = predict(np.stack([best_S, sizes_S / sizes_S.sum()]))
    measured_R = losses_RH @ importance_H / importance_H.sum()
    return Fitted(
        target=target,
        runs=runs,
        qualities=qualities,
        law=law,
        sizes=sizes,
        weights={name: round(float(weight), 4) for name, weight in zip(sizes, best_S, strict=True)},
        predicted={"fitted": float(predicted[0]), "by size": float(predicted[1])},
        measured={run.name: float(loss) for run, loss in zip(runs, measured_R, strict=True)},
        tokens=tokens,
    )


def lines_of(fitted: Fitted) -> list[str]:
    """What a person reads."""
    best = min(fitted.measured, key=fitted.measured.get)
    laws = [
        [name, f"{quality.rank_correlation:.2f}", f"{quality.error:.2f}", "used" if name == fitted.law else ""]
        for name, quality in fitted.qualities.items()
    ]
    total = sum(fitted.sizes.values())
    sources = [
        [name, f"{size:,}", f"{size / total:.2%}", f"{fitted.weights[name]:.2%}"]
        + ([f"{fitted.weights[name] * fitted.tokens / size:.2f}"] if fitted.tokens else [])
        for name, size in fitted.sizes.items()
    ]
    return [
        f"{len(fitted.runs)} runs; target {fitted.target}; on runs left out of the fit:",
        *table_lines(["law", "rank correlation", "squared error, 1: no better than the mean", ""], laws),
        "",
        *table_lines(["source", "tokens", "by size", "fitted", *(["epochs"] if fitted.tokens else [])], sources),
        "",
        f"predicted loss: fitted {fitted.predicted['fitted']:.4f}, by size {fitted.predicted['by size']:.4f}; lowest "
        f"measured {fitted.measured[best]:.4f} ({best})",
        as_override(fitted.weights),
    ]


def write_experiment(fitted: Fitted, path: Path, *, max_epochs: float) -> None:
    """As an option file: in configs/experiment/NAME.yaml it is `experiment=NAME`."""
    quality = fitted.qualities[fitted.law]
    mixture = {"weights": fitted.weights} | ({"max_epochs": float(max_epochs)} if max_epochs else {})
    head = (
        "# @package _global_\n"
        f"# mai1 mixture fit: {len(fitted.runs)} runs, target {fitted.target}, {fitted.law} law, rank correlation "
        f"{quality.rank_correlation:.2f} on runs left out\n"
    )
    text = head + yaml.safe_dump({"data": {"mixture": mixture}}, sort_keys=False)
    try:
        write_atomically(path, text.rstrip())
    except OSError as error:
        raise ValueError(f"output={path} cannot be written ({error}): choose another place") from None


def _sizes(data: Path, runs: list[SweepRun]) -> dict[str, int]:
    """Training tokens of each source that has weights."""
    names = sorted(runs[0].weights)
    if any(sorted(run.weights) != names for run in runs):
        raise ValueError(f"{runs[0].name} and others weigh different sources: use runs of one sweep")
    return {name: Shard.open(data / "train" / name).num_tokens for name in names}


def _importance(target: str, tokens: dict[str, int], heldout: list[str]) -> np.ndarray:
    """How much each held-out source counts, `[H]`."""
    if target == "all":
        return np.array([tokens[name] for name in heldout], dtype=np.float64)
    parts = dict(part.partition("=")[::2] for part in target.split(","))
    if unknown := sorted(parts.keys() - set(heldout)):
        raise ValueError(
            f"target={target}: {unknown[0]!r} has no held-out text: use all, or some of {', '.join(heldout)}"
        )
    try:
        importance_H = np.array([float(parts[name] or 1) if name in parts else 0.0 for name in heldout])
    except ValueError:
        raise ValueError(f"target={target} must be all, a source, or several as web=2,code=1") from None
    if not (importance_H >= 0).all() or not 0 < importance_H.sum() < np.inf:
        raise ValueError(f"target={target} must count at least one source, and none below 0")
    return importance_H


def _refuse_chance(qualities: dict[str, Quality], law: str, *, num_runs: int) -> None:
    if qualities[law].error >= LARGEST_ERROR or qualities[law].rank_correlation <= 0:
        raise ValueError(
            f"no law predicts runs left out of the fit better than their mean does (squared error {qualities[law].error:.2f} of "
            f"the mean's, rank correlation {qualities[law].rank_correlation:.2f}): give more than these {num_runs} runs, train "
            "them longer, or measure on more held-out text (train.heldout_rows)"
        )
