"""The figures behind the corpus page: samples are what they are said to be, and sums agree with the manifest."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_prep.as_json import changed_settings
from data_prep.config import DedupConfig, PrepareConfig
from data_prep.contamination.config import ContaminationConfig, TaskConfig
from data_prep.figures import keepers_of
from data_prep.score_figures import distribution_of, limit_in_words, limits_shown, quantile_documents
from data_prep.scores.config import ScorerConfig, ScorerKind, ScoresConfig
from data_prep.scores.keep import KeepConfig, Within
from data_prep.scores.prior import PriorConfig
from data_prep.scores.thresholds import Limit
from data_prep.selection import Selection


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def selection_of(reasons: list[str], reason_N: list[int], **changes) -> Selection:
    numbers = np.array(reason_N, np.int16)
    return Selection((numbers == 0).astype(np.uint8), numbers, reasons, **changes)


@pytest.fixture
def with_copies(tmp_path: Path, make_text) -> Path:
    """40 texts, the first of them eleven times, and a quiz that one of them holds."""
    texts = [make_text(i, num_words=90) for i in range(40)] + [
        make_text(0, num_words=90) + " " * i for i in range(1, 11)
    ]
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    items = [
        {"question": make_text(39, num_words=90)},
        {"question": "nobody ever wrote these words " * 9},
        {"question": "why"},
    ]
    (tmp_path / "quiz.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


def test_samples_of_copies_differ_and_name_what_was_kept(run, with_copies: Path, tmp_path: Path):
    run(with_copies)
    dropped = [s for s in lines_of(tmp_path / "out/dropped_samples.jsonl") if s["reason"] == "dedup.exact"]
    assert len(dropped) == 1  # ten copies of one text are one sample
    assert dropped[0]["detail"].startswith("copy of books: ") and dropped[0]["name"] not in dropped[0]["detail"]


def test_kept_samples_were_kept(run, with_copies: Path, tmp_path: Path):
    manifest = run(with_copies, max_bytes=6000)
    kept, dropped = (lines_of(tmp_path / "out" / f"{name}_samples.jsonl") for name in ("kept", "dropped"))
    assert {sample["reason"] for sample in kept} == {"kept"}
    assert len(kept) == min(8, manifest["sources"]["books"]["kept"])
    texts = [s["text"] for s in dropped if s["reason"] == "limit.max_bytes"]
    assert texts and not {sample["text"] for sample in kept} & set(texts)


def test_languages_and_lengths_add_up_to_what_was_curated_and_kept(run, with_copies: Path, tmp_path: Path):
    manifest = run(with_copies)
    figures = json.loads((tmp_path / "out/curation.json").read_text())
    curated, kept = figures["sources"]["books"]["kept"], manifest["sources"]["books"]["kept"]
    for table in (figures["languages"], figures["lengths"]):
        assert sum(row["documents"] for row in table.values()) == curated["documents"] == 50
        assert sum(row["kept"] for row in table.values()) == kept == 40
    assert sum(row["bytes"] for row in figures["languages"].values()) == curated["bytes"]
    assert sum(row["kept_bytes"] for row in figures["languages"].values()) == manifest["totals"]["bytes"]
    assert {k: row["documents"] for k, row in figures["lengths"].items()} == figures["sources"]["books"]["lengths"]


def test_contamination_states_items_and_documents_of_each_task(run, with_copies: Path, tmp_path: Path):
    contamination = ContaminationConfig(tasks={"quiz": TaskConfig(path=str(tmp_path / "quiz.jsonl"))})
    manifest = run(with_copies, contamination=contamination)
    figures = json.loads((tmp_path / "out/curation.json").read_text())
    assert figures["contamination"] == {"quiz": {"items": 3, "too_short": 1}}
    assert figures["sources"]["books"]["contaminated_documents"] == {"contamination.quiz": 1}
    assert manifest["sources"]["books"]["dropped"]["contamination.quiz"]["documents"] == 1


def test_scores_are_shown_with_limits_and_documents(run, with_copies: Path, tmp_path: Path):
    keep = KeepConfig(min_quantile=0.5, within=Within.corpus)
    scorer = ScorerConfig(kind=ScorerKind.prior, prior=PriorConfig(min_documents=5), keep=keep)
    manifest = run(with_copies, scores=ScoresConfig(scorers={"usual": scorer}))
    shown = json.loads((tmp_path / "out/curation.json").read_text())["scores"]["usual"]
    assert sum(shown["kept"]) == manifest["sources"]["books"]["kept"] and shown["judged"] == 50
    by_score = manifest["sources"]["books"]["dropped"]["scores.usual.low"]["documents"]
    assert sum(shown["dropped"]) == by_score > 0 and sum(shown["dropped_otherwise"]) == 10
    (limit,) = shown["limits"]
    assert limit["highest"] is None and limit["judged"] == 40  # copies are gone by then
    assert all((s["fate"] == "scores.usual.low") <= (s["score"] < limit["lowest"]) for s in shown["samples"])
    samples = [s for s in lines_of(tmp_path / "out/dropped_samples.jsonl") if s["reason"] == "scores.usual.low"]
    assert all(f", at least {limit['lowest']:.4g}" in sample["detail"] for sample in samples)


def test_the_manifest_names_the_settings_that_differ(run, books: Path, tmp_path: Path):
    changed = run(books, max_bytes=9000, workers=2)["changed"]
    assert changed["max_bytes"] == 9000 and changed["sources.books.path"] == str(books)
    assert changed["dedup.minhash.is_on"] is False and "workers" not in changed and "output" not in changed


def test_only_what_differs_from_the_defaults_is_a_changed_setting():
    assert changed_settings(PrepareConfig()) == {}
    scorers = {"usual": ScorerConfig(kind=ScorerKind.prior)}
    config = PrepareConfig(seed=3, scores=ScoresConfig(scorers=scorers), dedup=DedupConfig(exact=False))
    assert changed_settings(config) == {"seed": 3, "scores.scorers.usual.kind": "prior", "dedup.exact": False}


def test_a_distribution_counts_every_judged_document_once():
    generator = np.random.default_rng(0)
    values = generator.normal(size=500).astype(np.float32)
    values[:40] = np.nan
    reason_N = generator.integers(0, 3, 500)
    selection = selection_of(["dedup.near", "scores.mine.low"], reason_N.tolist())
    sizes = generator.integers(1, 1000, 500)
    shown = distribution_of("mine", values, selection, sizes)
    expected = Counter(reason_N[40:].tolist())
    assert [sum(shown[part]) for part in ("kept", "dropped_otherwise", "dropped")] == [expected[r] for r in range(3)]
    assert (shown["judged"], shown["not_judged"], shown["bytes"]) == (460, 40, sizes[40:].sum())
    for entry in shown["quantiles"]:
        count = int(np.floor(entry["quantile"] * 460))
        lowest = np.argsort(values[40:], kind="stable")[:count]
        assert entry["bytes_below"] == sizes[40:][lowest].sum()
        assert entry["score"] == pytest.approx(np.quantile(values[40:], entry["quantile"]), abs=1e-5)


def test_documents_at_quantiles_climb_and_none_is_shown_twice():
    values = np.random.default_rng(0).normal(size=300).astype(np.float32)
    values[7] = np.nan
    shown = [place for places in quantile_documents(values).values() for place in places]
    assert len(shown) == len(set(shown)) == 16 and 7 not in shown
    assert np.all(np.diff(values[shown]) >= 0)
    assert [len(p) for p in quantile_documents(values[:2]).values()] == [2, 0, 0, 0, 0, 0, 0, 0]
    assert not any(quantile_documents(np.full(5, np.nan, np.float32)).values())


def test_no_score_at_all_gives_an_empty_distribution():
    shown = distribution_of("mine", np.full(3, np.nan, np.float32), selection_of([], [0, 0, 0]), np.ones(3, np.int64))
    assert shown["judged"] == 0 and sum(shown["kept"]) == 0 and shown["quantiles"] == []


def test_a_limit_is_that_of_the_documents_language():
    limits = [Limit("mine", "de", -1.0, float("inf"), 5, 1, 0), Limit("mine", "en", -2.0, 3.0, 9, 1, 1)]
    selection = selection_of([], [], limits=limits)
    assert limit_in_words("mine", "de", selection) == "at least -1"
    assert limit_in_words("mine", "en", selection) == "at least -2 and at most 3"
    assert [limit["highest"] for limit in limits_shown("mine", selection)] == [None, 3.0]


def test_the_keeper_of_a_copy_is_the_member_that_is_none():
    selection = selection_of(["dedup.exact", "dedup.near", "limit.max_bytes"], [1, 0, 2, 3, 0, 2])
    selection.cluster_N = np.array([0, 0, 0, 3, 4, 3])
    assert keepers_of([0, 1, 2, 3, 5], selection) == {0: 1, 2: 1, 5: 3}
