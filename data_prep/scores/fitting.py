"""Scorers by configuration: fitted on a sample of the corpus, written as .npz files, read again by every task that scores."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from data_prep.scores.config import ScorerKind, ScoresConfig
from data_prep.scores.importance import ImportanceScorer
from data_prep.scores.linear import LinearScorer
from data_prep.scores.prior import PriorScorer
from data_prep.scores.scorer import Batch, Scorer, batches_of

SCORERS = {
    ScorerKind.prior: lambda config: PriorScorer(config.prior),
    ScorerKind.linear: lambda config: LinearScorer(config.linear),
    ScorerKind.importance: lambda config: ImportanceScorer(config.importance),
}
"""Every kind of scorer and how it is made from its ScorerConfig. A new kind is a ScorerKind and a line here."""


@dataclass(frozen=True, slots=True)
class FittedScorer:
    """A scorer that is ready, under the name it has in the configuration."""

    name: str
    scorer: Scorer
    languages: frozenset[str]
    characters: int


def fit_scorers(sample: Iterable[tuple[str, str]], config: ScoresConfig, folder: Path) -> None:
    """Fits all scorers on (text, language) pairs, read once and never held together, and writes `folder/NAME.npz`.

    The same pairs in any order give the same files.
    """
    scorers = {name: SCORERS[section.kind](section) for name, section in config.scorers.items()}
    for batch in batches_of(sample, config.characters):
        for scorer in scorers.values():
            scorer.fit(batch)
    folder.mkdir(parents=True, exist_ok=True)
    for name, scorer in scorers.items():
        scorer.finish()
        np.savez(folder / f"{name}.npz", settings=np.array(_settings(config, name)), **scorer.state())


def load_scorers(folder: Path, config: ScoresConfig) -> list[FittedScorer]:
    """The scorers that `fit_scorers` wrote; ValueError where one is missing, damaged or fitted with other settings."""
    return [_load(folder / f"{name}.npz", name, config) for name in config.scorers]


def _load(path: Path, name: str, config: ScoresConfig) -> FittedScorer:
    section = config.scorers[name]
    try:
        with np.load(path, allow_pickle=False) as arrays:
            state = {key: arrays[key] for key in arrays.files}
    except (OSError, BadZipFile, ValueError, EOFError) as error:
        raise ValueError(f"{path} must be a scorer that was fitted before: {error}") from error
    if "settings" not in state or str(state.pop("settings")) != _settings(config, name):
        raise ValueError(f"{path} was fitted with other settings than scores.scorers.{name}: fit it again")
    scorer = SCORERS[section.kind](section)
    scorer.restore(state)
    return FittedScorer(name, scorer, frozenset(section.languages), config.characters)


def _settings(config: ScoresConfig, name: str) -> str:
    """What decides the fit, as JSON: not the limits, which are chosen afterwards."""
    section = config.scorers[name]
    used = asdict(getattr(section, section.kind.value))
    return json.dumps({"kind": section.kind.value, "characters": config.characters} | used, sort_keys=True)


def score_batch(scorers: list[FittedScorer], texts: list[str], languages: list[str]) -> dict[str, np.ndarray]:
    """float32 [D] for every scorer by name; NaN where one does not judge. Words are hashed once for all scorers."""
    parts: dict[str, list[np.ndarray]] = {fitted.name: [np.zeros(0, np.float32)] for fitted in scorers}
    characters = max((fitted.characters for fitted in scorers), default=0)
    for batch in batches_of(zip(texts, languages, strict=True), characters):
        for fitted in scorers:
            parts[fitted.name].append(_score(fitted, batch))
    return {name: np.concatenate(scores) for name, scores in parts.items()}


def _score(fitted: FittedScorer, batch: Batch) -> np.ndarray:
    scores = fitted.scorer.score(batch)
    if fitted.languages:
        scores[[language not in fitted.languages for language in batch.languages]] = np.nan
    return scores
