"""Quality scores over a curated corpus: fitted on an even sample, one task a slice, limits chosen when all are known."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from data_prep.scores.config import ScoresConfig
from data_prep.scores.fitting import fit_scorers, load_scorers, score_batch
from data_prep.scores.thresholds import Choice, choose_thresholds
from data_prep.stages.code import KIND, Kind
from data_prep.store import Stored, read_documents

SAMPLE_CHARACTERS = 200_000_000
DOCUMENTS_AT_ONCE = 256
SCORES = "scores.npz"


@dataclass(frozen=True, slots=True)
class ScoreTask:
    """What one slice is scored with; everything that its result depends on."""

    documents: str
    """The folder of the curated slice."""

    scorers: str
    """The folder of the fitted scorers."""

    config: ScoresConfig


@dataclass(frozen=True, slots=True)
class FitTask:
    """What scorers are fitted on; everything that they depend on."""

    documents: list[str]
    """The folders of all curated slices."""

    num_characters: int
    """How much text is in them."""

    config: ScoresConfig
    examples: dict[str, str]
    """The digests of the files of examples."""


def fit(task: FitTask, folder: Path) -> dict:
    """Fit all scorers on an even sample of the curated documents and write them into `folder`."""
    every = max(1, -(-task.num_characters // SAMPLE_CHARACTERS))
    documents = (document for each in task.documents for document in read_documents(Path(each)))
    fit_scorers(((d.text, judged_as(d)) for d in islice(documents, 0, None, every)), task.config, folder)
    return {}


def score(task: ScoreTask, folder: Path) -> dict:
    """Write float32 scores of the slice's documents, in their order, under the scorers' names."""
    scorers = load_scorers(Path(task.scorers), task.config)
    parts: dict[str, list[np.ndarray]] = {name: [np.empty(0, np.float32)] for name in task.config.scorers}
    for texts, languages in _batches(Path(task.documents)):
        for name, values in score_batch(scorers, texts, languages).items():
            parts[name].append(values)
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    np.savez(folder / SCORES, **columns)
    return {"documents": len(next(iter(columns.values())))}


def read_scores(folders: list[Path], names: list[str]) -> dict[str, np.ndarray]:
    """The scores of several slices, one after the other."""
    parts: dict[str, list[np.ndarray]] = {name: [np.empty(0, np.float32)] for name in names}
    for folder in folders:
        with np.load(folder / SCORES, allow_pickle=False) as columns:
            for name in names:
                parts[name].append(columns[name])
    return {name: np.concatenate(values) for name, values in parts.items()}


def choose_by_score(
    scores: dict[str, np.ndarray], folders: list[Path], config: ScoresConfig, is_left_N: np.ndarray
) -> Choice:
    """What the limits keep of the documents that are left; copies that went before shift no quantile."""
    languages = [judged_as(document) for folder in folders for document in read_documents(folder, with_text=False)]
    left = {name: np.where(is_left_N, values, np.nan) for name, values in scores.items()}
    return choose_thresholds(left, languages, config)


def judged_as(document: Stored) -> str:
    """The language whose documents it is compared with; code is one of its own, for it is unusual prose in any other."""
    return Kind.code.value if document.labels.get(KIND) == Kind.code.value else document.language


def _batches(folder: Path) -> Iterator[tuple[list[str], list[str]]]:
    documents = read_documents(folder)
    while batch := list(islice(documents, DOCUMENTS_AT_ONCE)):
        yield [document.text for document in batch], [judged_as(document) for document in batch]
