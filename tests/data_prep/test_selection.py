import random

import numpy as np
import pytest

from data_prep.config import PrepareConfig
from data_prep.dedup.exact import content_key
from data_prep.dedup.minhash import MinHashConfig, band_keys
from data_prep.reading.source import SourceConfig
from data_prep.scores.config import ScorerConfig, ScorerKind, ScoresConfig
from data_prep.scores.keep import KeepConfig
from data_prep.scores.thresholds import choose_thresholds
from data_prep.selection import Fate, Selection, Selector
from data_prep.store import Columns, as_pairs


def columns_of(texts: list[str], families: list[str] | None = None) -> Columns:
    keys = as_pairs([content_key(text) for text in texts])
    named = as_pairs([family.encode().ljust(16) for family in families]) if families else keys
    sizes = np.array([len(text.encode()) for text in texts])
    return Columns(keys, named, band_keys(texts, MinHashConfig()), sizes)


def select(
    texts: list[str], sources: list[int] | None = None, families: list[str] | None = None, **settings
) -> Selection:
    source_N = np.array(sources or [0] * len(texts))
    names = {f"s{number}": SourceConfig(path="x") for number in range(source_N.max() + 1)}
    config = PrepareConfig(sources=names, **settings)
    selector = Selector(columns_of(texts, families), source_N, config)
    selector.run()
    selector.hold_out()
    return selector.selection


@pytest.fixture
def texts() -> list[str]:
    generator = random.Random(0)
    words = [f"word{i}" for i in range(5000)]
    return [" ".join(generator.choices(words, k=generator.randint(80, 200))) for _ in range(60)]


def fate_by_text(selection: Selection, texts: list[str]) -> dict[str, int]:
    return dict(zip(texts, selection.fate_N.tolist(), strict=True))


def test_the_fate_of_a_text_does_not_depend_on_the_order(texts: list[str]):
    near = [text + " and one more" for text in texts[:10]]
    given = texts + near
    first = fate_by_text(select(given, max_bytes=20_000), given)
    turned = random.Random(1).sample(given, len(given))
    assert fate_by_text(select(turned, max_bytes=20_000), turned) == first


def test_of_near_duplicates_the_longest_of_the_earliest_source_stays(texts: list[str]):
    original = texts[0]
    given = [original, original + " more words", original + " yes", *texts[1:5]]
    selection = select(given, sources=[0, 1, 0, 0, 0, 0, 0], heldout_fraction=0.0)
    assert selection.fate_N.tolist() == [Fate.dropped, Fate.dropped, *[Fate.train] * 5]
    assert [selection.reasons[reason - 1] for reason in selection.reason_N[:2]] == ["dedup.near"] * 2
    assert selection.clusters.histogram == {2: 1}


def test_equal_texts_are_dropped_as_exact_copies_and_the_rest_stay(texts: list[str]):
    selection = select([*texts, *texts[:7]], heldout_fraction=0.0)
    assert (selection.fate_N == Fate.dropped).sum() == 7 and selection.reasons == ["dedup.exact"]


def test_families_are_held_out_together_in_all_sources(texts: list[str]):
    families = [f"family{i % 12}" for i in range(60)]
    selection = select(texts, sources=[i % 2 for i in range(60)], families=families, heldout_fraction=0.2)
    fates: dict[str, set[int]] = {}
    for family, fate in zip(families, selection.fate_N.tolist(), strict=True):
        fates.setdefault(family, set()).add(fate)
    assert all(len(each) == 1 for each in fates.values())
    assert {Fate.train, Fate.heldout} == set().union(*fates.values())


def test_limits_hold_and_small_sources_pass_on_their_rest(texts: list[str]):
    sources = [0] * 50 + [1] * 10
    selection = select(texts, sources=sources, max_bytes=30_000, heldout_fraction=0.0)
    sizes = np.array([len(text) for text in texts])
    taken = [int(sizes[(selection.fate_N > 0) & (np.array(sources) == s)].sum()) for s in (0, 1)]
    assert taken[1] == sizes[50:].sum() and 28_500 < sum(taken) <= 30_000


def test_copies_shift_no_limit_of_the_scores(texts: list[str]):
    config = ScoresConfig(scorers={"s": ScorerConfig(kind=ScorerKind.prior, keep=KeepConfig(min_quantile=0.2))})
    given = [*texts[:40], *[texts[0]] * 60]
    scores = {"s": np.array([*range(40), *[0.0] * 60], np.float32)}

    def choose(is_left_N: np.ndarray):
        left = {"s": np.where(is_left_N, scores["s"], np.nan)}
        return choose_thresholds(left, ["en"] * len(given), config)

    names = {"s0": SourceConfig(path="x")}
    selector = Selector(columns_of(given), np.zeros(len(given), int), PrepareConfig(sources=names))
    assert (selector.run(choose).fate_N[:40] == Fate.dropped).tolist() == [place < 8 for place in range(40)]
