"""From configuration to files and back: what was fitted is what scores, and nothing else is taken for it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_prep.scores import fitting
from data_prep.scores.config import ScorerConfig, ScorerKind, ScoresConfig, example_files
from data_prep.scores.fitting import fit_scorers, load_scorers, score_batch
from data_prep.scores.importance import ImportanceConfig
from data_prep.scores.keep import KeepConfig
from data_prep.scores.linear import LinearConfig
from data_prep.scores.prior import PriorConfig
from data_prep.scores.scorer import BATCH_CHARACTERS, Batch, batches_of
from tests.data_prep.scores.planted import clean_passages, planted

CLEAN = clean_passages()
SAMPLE = [(text, "en") for text in CLEAN + planted("spam", 10)]


@pytest.fixture
def config(tmp_path: Path) -> ScoresConfig:
    for name, texts in (("good", CLEAN[::3]), ("bad", planted("digits", 20))):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    good, bad = (str(tmp_path / f"{name}.jsonl") for name in ("good", "bad"))
    return ScoresConfig(
        scorers={
            "usual": ScorerConfig(kind=ScorerKind.prior),
            "quality": ScorerConfig(kind=ScorerKind.linear, linear=LinearConfig(positive=good, negative=bad)),
            "like_docs": ScorerConfig(kind=ScorerKind.importance, importance=ImportanceConfig(target=good)),
        }
    )


def scores_of(folder: Path, config: ScoresConfig, languages: str = "en") -> dict[str, np.ndarray]:
    return score_batch(load_scorers(folder, config), CLEAN, [languages] * len(CLEAN))


def test_scorers_come_back_as_they_were_fitted(config: ScoresConfig, tmp_path: Path):
    fit_scorers(iter(SAMPLE), config, tmp_path / "scorers")
    assert sorted(path.name for path in (tmp_path / "scorers").iterdir()) == [
        "like_docs.npz",
        "quality.npz",
        "usual.npz",
    ]
    found = scores_of(tmp_path / "scorers", config)
    assert list(found) == ["usual", "quality", "like_docs"]
    assert all(scores.dtype == np.float32 and scores.shape == (len(CLEAN),) for scores in found.values())
    assert not any(np.isnan(scores).any() for scores in found.values())


def test_the_same_sample_in_any_order_gives_the_same_files(config: ScoresConfig, tmp_path: Path):
    fit_scorers(SAMPLE, config, tmp_path / "a")
    fit_scorers(reversed(SAMPLE), config, tmp_path / "b")
    for name in config.scorers:
        assert (tmp_path / "a" / f"{name}.npz").read_bytes() == (tmp_path / "b" / f"{name}.npz").read_bytes()


def test_scores_do_not_depend_on_how_documents_are_batched(config: ScoresConfig, tmp_path: Path):
    fit_scorers(SAMPLE, config, tmp_path)
    scorers = load_scorers(tmp_path, config)
    together = scores_of(tmp_path, config)
    for name, scores in together.items():
        apart = [float(score_batch(scorers, [text], ["en"])[name][0]) for text in CLEAN[:30]]
        assert scores[:30].tolist() == apart


def test_batches_are_bounded_and_the_sample_is_read_only_as_far_as_needed():
    read = []

    def endless() -> Iterator[tuple[str, str]]:
        while True:
            read.append(1)
            yield "word " * 50_000, "en"

    batches = batches_of(endless(), characters=100_000)
    first = next(batches)
    assert sum(map(len, first.texts)) == BATCH_CHARACTERS and len(read) == 10
    assert {len(text) for text in first.texts} == {100_000}


def test_only_the_first_characters_are_scored(config: ScoresConfig, tmp_path: Path):
    config = replace(config, characters=1000)
    fit_scorers(SAMPLE, config, tmp_path)
    scorers = load_scorers(tmp_path, config)
    short, long = (CLEAN[0][:1000], CLEAN[0][:1000] + " casino" * 500)
    scores = score_batch(scorers, [short, long], ["en", "en"])
    assert all(each[0] == each[1] for each in scores.values())


def test_a_scorer_judges_only_its_languages(config: ScoresConfig, tmp_path: Path):
    config.scorers["quality"] = replace(config.scorers["quality"], languages=["de", "en"])
    fit_scorers(SAMPLE, config, tmp_path)
    assert not np.isnan(scores_of(tmp_path, config, "en")["quality"]).any()
    other = scores_of(tmp_path, config, "fr")
    assert np.isnan(other["quality"]).all() and not np.isnan(other["like_docs"]).any()
    assert np.isnan(other["usual"]).all(), "the sample held no French, so there is no prior"


def test_the_files_that_scorers_learn_from_are_known(config: ScoresConfig):
    assert [path.name for path in example_files(config).values()] == ["good.jsonl", "bad.jsonl", "good.jsonl"]


def test_no_documents_and_no_scorers_are_nothing_special(config: ScoresConfig, tmp_path: Path):
    fit_scorers(SAMPLE, config, tmp_path)
    assert all(len(scores) == 0 for scores in score_batch(load_scorers(tmp_path, config), [], []).values())
    fit_scorers(SAMPLE, ScoresConfig(), tmp_path / "none")
    assert load_scorers(tmp_path / "none", ScoresConfig()) == [] and score_batch([], CLEAN, ["en"] * len(CLEAN)) == {}


def test_limits_can_change_after_fitting_and_what_was_fitted_cannot(config: ScoresConfig, tmp_path: Path):
    fit_scorers(SAMPLE, config, tmp_path)
    config.scorers["usual"] = replace(config.scorers["usual"], keep=KeepConfig(min_value=-3.0), languages=["en"])
    load_scorers(tmp_path, config)
    for change in ({"prior": PriorConfig(buckets=2**12)}, {"kind": ScorerKind.linear, "linear": LinearConfig()}):
        changed = replace(config)
        changed.scorers = config.scorers | {"usual": replace(config.scorers["usual"], **change)}
        with pytest.raises(ValueError, match=r"usual\.npz was fitted with other settings than scores\.scorers\.usual"):
            load_scorers(tmp_path, changed)


@pytest.mark.parametrize("damage", ["missing", "cut", "text", "pickle", "other arrays"])
def test_files_that_are_not_fitted_scorers_are_named(damage: str, config: ScoresConfig, tmp_path: Path):
    fit_scorers(SAMPLE, config, tmp_path)
    path = tmp_path / "usual.npz"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "text":
        path.write_text("hello")
    elif damage == "pickle":
        np.savez(path, settings=np.array({"a": object()}, dtype=object))
    else:
        np.savez(path, a=np.zeros(3))
    with pytest.raises(ValueError, match=r"usual\.npz (must be a scorer|was fitted with other settings)"):
        load_scorers(tmp_path, config)


class LengthScorer:
    """A scorer of one's own: how many characters a text has, as a share of the longest in the sample."""

    def __init__(self) -> None:
        self.longest = 0

    def fit(self, batch: Batch) -> None:
        self.longest = max([self.longest, *map(len, batch.texts)])

    def finish(self) -> None:
        pass

    def score(self, batch: Batch) -> np.ndarray:
        return np.array([len(text) / self.longest for text in batch.texts], dtype=np.float32)

    def state(self) -> dict[str, np.ndarray]:
        return {"longest": np.array(self.longest)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.longest = int(state["longest"])


def test_a_scorer_of_ones_own_needs_one_line_in_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(fitting.SCORERS, ScorerKind.prior, lambda section: LengthScorer())
    config = ScoresConfig(scorers={"length": ScorerConfig(kind=ScorerKind.prior)})
    fit_scorers([("a" * 10, "en"), ("a" * 40, "en")], config, tmp_path)
    assert score_batch(load_scorers(tmp_path, config), ["a" * 10, "a" * 20], ["en", "de"])["length"].tolist() == [
        0.25,
        0.5,
    ]


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match=r"scores\.scorers\.Big Name: a name must be"):
        ScoresConfig(scorers={"Big Name": ScorerConfig(kind=ScorerKind.prior)})
    with pytest.raises(ValueError, match=r"scores\.characters=10 must be at least 1,000"):
        ScoresConfig(characters=10)
    for kind, key in (("linear", "positive"), ("importance", "target")):
        with pytest.raises(ValueError, match=rf"scores\.scorers\.q\.{kind}\.{key}='' must name a file"):
            ScoresConfig(scorers={"q": ScorerConfig(kind=ScorerKind[kind])})
    with pytest.raises(ValueError, match=r"q\.linear\.negative='' must name a file"):
        ScoresConfig(scorers={"q": ScorerConfig(kind=ScorerKind.linear, linear=LinearConfig(positive="a.txt"))})
