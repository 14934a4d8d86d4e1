from pathlib import Path

import numpy as np
import pytest

from data_prep import scoring
from data_prep.dedup.exact import content_key
from data_prep.document import Document
from data_prep.scores.config import ScorerConfig, ScorerKind, ScoresConfig
from data_prep.scores.fitting import fit_scorers, load_scorers, score_batch
from data_prep.scores.keep import KeepConfig
from data_prep.scores.prior import PriorConfig
from data_prep.scoring import SCORES, FitTask, ScoreTask, fit, judged_as, read_scores, score
from data_prep.store import StoreWriter, read_documents
from tests.data_prep.conftest import text_of_number

CONFIG = ScoresConfig(
    scorers={
        "usual": ScorerConfig(
            kind=ScorerKind.prior,
            prior=PriorConfig(min_documents=5, center_documents=5),
            keep=KeepConfig(min_quantile=0.1),
        ),
        "english": ScorerConfig(
            kind=ScorerKind.prior, languages=["en"], prior=PriorConfig(min_documents=5, center_documents=5)
        ),
    }
)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Three slices of which the last is empty: English, German and code."""
    found = []
    for number in range(3):
        folder = tmp_path / f"slice{number}"
        folder.mkdir()
        labels = [{"kind": "code"} if i % 4 == 0 else {"kind": "prose"} for i in range(20)]
        own = [
            Document(text_of_number(number * 20 + i), f"{i}", language=("en", "de")[i % 2], labels=labels[i])
            for i in range(20 if number < 2 else 0)
        ]
        with StoreWriter(folder, num_bands=0) as writer:
            keys = [content_key(document.text) for document in own]
            writer.add(own, keys=keys, bands_NB=np.zeros((len(own), 0), np.uint64))
            writer.close()
        found.append(folder)
    return found


def scored(folders: list[Path], scorers: Path, tmp_path: Path) -> dict[str, np.ndarray]:
    done = []
    for number, folder in enumerate(folders):
        done.append(tmp_path / f"scored{number}")
        done[-1].mkdir()
        summary = score(ScoreTask(str(folder), str(scorers), CONFIG), done[-1])
        assert summary == {"documents": len(list(read_documents(folder)))}
        assert (done[-1] / SCORES).is_file()
    return read_scores(done, list(CONFIG.scorers))


def test_scores_of_slices_are_those_of_all_documents_at_once(folders: list[Path], tmp_path: Path, monkeypatch):
    monkeypatch.setattr(scoring, "DOCUMENTS_AT_ONCE", 7)
    scorers = tmp_path / "scorers"
    scorers.mkdir()
    fit(FitTask([str(folder) for folder in folders], 0, CONFIG, {}), scorers)
    found = scored(folders, scorers, tmp_path)
    documents = [document for folder in folders for document in read_documents(folder)]
    texts, languages = [d.text for d in documents], [judged_as(d) for d in documents]
    whole = score_batch(load_scorers(scorers, CONFIG), texts, languages)
    for name, values in found.items():
        assert values.dtype == np.float32 and len(values) == 40
        np.testing.assert_array_equal(values, whole[name])
    is_english = np.array([language == "en" for language in languages])
    assert np.isfinite(found["english"][is_english]).all() and np.isnan(found["english"][~is_english]).all()


def test_scorers_are_fitted_on_every_nth_document_of_a_large_corpus(folders: list[Path], tmp_path: Path, monkeypatch):
    monkeypatch.setattr(scoring, "SAMPLE_CHARACTERS", 1000)
    for name in ("thinned", "by_hand"):
        (tmp_path / name).mkdir()
    fit(FitTask([str(folder) for folder in folders], 2500, CONFIG, {}), tmp_path / "thinned")
    documents = [document for folder in folders for document in read_documents(folder)]
    fit_scorers(((d.text, judged_as(d)) for d in documents[::3]), CONFIG, tmp_path / "by_hand")
    for path in (tmp_path / "by_hand").iterdir():
        assert (tmp_path / "thinned" / path.name).read_bytes() == path.read_bytes()


def test_code_is_compared_with_code(folders: list[Path]):
    documents = list(read_documents(folders[0]))
    assert [judged_as(document) for document in documents[:6]] == ["code", "de", "en", "de", "code", "de"]
