"""Rows mixed as configured, beside a slow count over documents; settings that cannot work are refused by name."""

import hashlib

import numpy as np
import pytest
import torch

from mai1.data.loader import BatchConfig, Loader
from mai1.data.mixed_stream import MixedStream, check_rows_suffice, open_rows
from mai1.data.mixture import MixtureChange, MixtureConfig, OnExhausted
from mai1.data.online_mixing import OnlineConfig
from mai1.data.shards import Shard, ShardWriter
from mai1.data.stream import TokenStream
from tests.data.test_stream import ids_of_steps, write_shards

LENGTH, STEP = 8, 16
SIZES = {"big": 400, "middle": 100, "small": 25}
"""Documents of ten tokens each; ids tell the source and the token."""
FIRST = {"big": 0, "middle": 4000, "small": 5000}


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> list[Shard]:
    folder = tmp_path_factory.mktemp("sources")
    for name, count in SIZES.items():
        with ShardWriter(folder / name, vocab_size=6000) as writer:
            for document in range(count):
                writer.add(FIRST[name] + np.arange(10 * document, 10 * document + 10))
            writer.close({"bytes": 10 * count})
    return [Shard.open(folder / name) for name in SIZES]


def mixed(shards: list[Shard], *, seed: int = 3, **settings) -> MixedStream:
    config = MixtureConfig(**settings)
    assert not config.is_plain
    return open_rows(shards, config, sequence_length=LENGTH, seed=seed, rows_per_step=STEP)


def counted(rows: MixedStream, num_rows: int) -> dict[str, int]:
    """Rows of each source, told from the ids alone."""
    counts = dict.fromkeys(SIZES, 0)
    for sample in range(num_rows):
        row = rows.read(sample)
        [name] = {max((n for n in FIRST if FIRST[n] <= i), key=FIRST.get) for i in row.ids.tolist()}
        assert rows.source_names[row.sources] == name
        counts[name] += 1
    return counts


def test_without_settings_rows_are_what_they_always_were(tmp_path):
    rows = open_rows(write_shards(tmp_path), MixtureConfig(), sequence_length=7, seed=3, rows_per_step=8)
    assert type(rows) is TokenStream
    digest = hashlib.sha256(b"".join(rows.read(sample).ids.astype("<i8").tobytes() for sample in range(60)))
    assert digest.hexdigest() == "9c3e602697d9d6cead50c864c5b36a25bd1d3c02c58347a1e76abb1181cc3585"
    assert rows.fingerprint == "948dbf59af4e1ce4d35c3ad68356df3cd82a7c6d428b8c684228a045f87b92eb"


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"weights": {"big": 1, "middle": 2, "small": 1}}, [0.25, 0.5, 0.25]),
        ({"weights": {"big": 1, "middle": 3, "small": 0}}, [0.25, 0.75, 0]),
        ({"max_epochs": 1000}, [400 / 525, 100 / 525, 25 / 525]),
        ({"temperature": 2}, [20 / 35, 10 / 35, 5 / 35]),
        ({"temperature": 1e9}, [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_each_source_has_its_share_of_the_rows(shards, settings, wanted):
    counts = counted(mixed(shards, **settings), 3200)
    assert np.abs(np.array(list(counts.values())) - 3200 * np.array(wanted)).max() < 3  # the last block is not whole


def test_every_epoch_of_a_source_holds_each_of_its_windows_once_in_another_order(shards):
    rows = mixed(shards, weights={"big": 0.2, "middle": 0.5, "small": 0.3})
    windows, epochs = {}, {}
    for sample in range(1500):
        row = rows.read(sample)
        windows.setdefault(row.sources, []).append(tuple(row.ids.tolist()))
        epochs.setdefault(row.sources, []).append(row.epochs)
    for source, shard in enumerate(shards):
        size = (shard.num_tokens - 1) // LENGTH
        assert epochs[source] == [number // size for number in range(len(epochs[source]))]
        whole = [windows[source][first : first + size] for first in range(0, len(windows[source]) - size + 1, size)]
        assert whole or source == 0
        for epoch in whole:  # targets of an epoch are all different: nothing comes twice
            assert len({ids[1:] for ids in epoch}) == size
        assert len({tuple(epoch) for epoch in whole}) == len(whole)


def test_leaving_a_source_out_leaves_the_order_of_the_others(shards):
    def of_middle(**weights: float) -> list:
        rows = mixed(shards, weights=weights)
        return [row.ids.tolist() for row in map(rows.read, range(600)) if row.sources == 1][:150]

    assert of_middle(big=1, middle=2, small=1) == of_middle(big=0, middle=1, small=1)


def test_a_source_is_seen_no_more_often_than_allowed(shards):
    rows = mixed(
        shards, weights={"big": 1, "middle": 1, "small": 1}, max_epochs=2, source_epochs={"big": 0, "small": 1.5}
    )
    counts = counted(rows, 2000)
    per_epoch = {name: (10 * count - 1) // LENGTH for name, count in SIZES.items()}
    assert counts["small"] in (int(1.5 * per_epoch["small"]) - 1, int(1.5 * per_epoch["small"]))
    assert counts["middle"] in (2 * per_epoch["middle"] - 1, 2 * per_epoch["middle"])
    assert rows.epochs_before(125) == {name: counts[name] / per_epoch[name] for name in SIZES}
    assert rows.num_rows is None  # the big one has no limit


def test_a_run_that_would_run_out_is_refused_with_the_tokens_missing(shards):
    settings = {"weights": {"big": 0, "middle": 1, "small": 1}, "max_epochs": 2}
    rows = mixed(shards, **settings)
    there = 2 * (999 // LENGTH) + 2 * (249 // LENGTH)
    assert there - 2 <= rows.num_rows <= there
    steps = rows.num_rows // STEP
    check_rows_suffice(rows, steps=steps, rows_per_step=STEP)
    missing = ((steps + 1) * STEP - rows.num_rows) * LENGTH
    with pytest.raises(
        ValueError, match=rf"train.steps={steps + 1} needs .* {missing} too few: use train.steps={steps}, "
    ):
        check_rows_suffice(rows, steps=steps + 1, rows_per_step=STEP)
    with pytest.raises(ValueError, match="row .* every source .*on_exhausted=repeat"):
        rows.read(rows.num_rows)
    endless = mixed(shards, **settings, on_exhausted=OnExhausted.repeat)
    check_rows_suffice(endless, steps=10**6, rows_per_step=STEP)
    assert [endless.read(i).ids.tolist() for i in range(200)] == [rows.read(i).ids.tolist() for i in range(200)]
    endless.read(10 * there)


def test_a_curriculum_changes_the_shares_at_once_or_in_a_line(shards):
    start, end = {"big": 1, "middle": 0, "small": 0}, {"big": 0, "middle": 0.5, "small": 0.5}
    at_once = mixed(shards, weights=start, curriculum=[MixtureChange(from_step=10, weights=end)])
    sources = np.array([at_once.read(sample).sources for sample in range(20 * STEP)])
    assert (sources[: 10 * STEP] == 0).all() and set(sources[10 * STEP :]) == {1, 2}
    gradual = mixed(shards, weights=start, curriculum=[MixtureChange(from_step=10, weights=end, ramp_steps=100)])
    sources = np.array([gradual.read(sample).sources for sample in range(130 * STEP)])
    assert (sources[: 10 * STEP] == 0).all() and set(sources[110 * STEP :]) == {1, 2}
    for first in range(10, 110, 20):
        wanted = 1 - (first + 10 - 10) / 100
        assert abs((sources[first * STEP : (first + 20) * STEP] == 0).mean() - wanted) < 0.04
    assert gradual.weights_at(0) == {"big": 1, "middle": 0, "small": 0}
    assert gradual.weights_at(110) == {"big": 0, "middle": 0.5, "small": 0.5}
    assert gradual.weights_at(60)["big"] == pytest.approx(0.5, abs=0.01)


def test_interruptions_on_any_ranks_lose_and_repeat_no_row(shards):
    def fresh() -> MixedStream:
        change = MixtureChange(from_step=3, weights={"big": 0, "middle": 1, "small": 1}, ramp_steps=4)
        return mixed(shards, temperature=2, max_epochs=2, curriculum=[change])

    straight, pieces, first = [fresh().read(sample).ids.tolist() for sample in range(8 * 12)], [], 0
    for last, num_ranks, microbatch in ((1, 1, 8), (3, 4, 1), (4, 2, 2), (7, 8, 1), (12, 1, 2)):
        pieces += ids_of_steps(fresh(), range(first, last), num_ranks=num_ranks, microbatch=microbatch)
        first = last
    assert pieces == straight


def test_every_setting_of_the_mixture_changes_the_fingerprint(shards):
    weights, other = {"big": 1, "middle": 2, "small": 1}, {"big": 1, "middle": 1, "small": 1}
    change = {"from_step": 5, "weights": other}
    made = [
        {"weights": weights},
        {"weights": other},
        {"temperature": 2},
        {"temperature": 3},
        {"weights": weights, "max_epochs": 2},
        {"weights": weights, "max_epochs": 2, "on_exhausted": OnExhausted.repeat},
        {"weights": weights, "source_epochs": {"big": 2}},
        {"weights": weights, "curriculum": [MixtureChange(**change)]},
        {"weights": weights, "curriculum": [MixtureChange(**change | {"from_step": 6})]},
        {"weights": weights, "curriculum": [MixtureChange(**change, ramp_steps=10)]},
        {"weights": weights, "online": OnlineConfig(every_steps=5)},
        {"weights": weights, "online": OnlineConfig(every_steps=6)},
        {"weights": weights, "online": OnlineConfig(every_steps=5, warmup_steps=7)},
        {"weights": weights, "online": OnlineConfig(every_steps=5, smoothing=0.5)},
    ]
    found = [mixed(shards, **settings).fingerprint for settings in made]
    found += [
        mixed(shards, weights=weights, seed=4).fingerprint,
        mixed(shards[:2], weights={"big": 1, "middle": 2}).fingerprint,
    ]
    for length, rows in ((9, STEP), (LENGTH, STEP + 1)):
        config = MixtureConfig(weights=weights)
        found.append(open_rows(shards, config, sequence_length=length, seed=3, rows_per_step=rows).fingerprint)
    found.append(open_rows(shards, MixtureConfig(), sequence_length=LENGTH, seed=3, rows_per_step=STEP).fingerprint)
    assert len(set(found)) == len(found) == len(made) + 5
    doubled = {name: 2 * weight for name, weight in weights.items()}
    assert mixed(shards, weights=doubled).fingerprint == found[0]  # weights may have any sum


def test_what_is_left_of_damaged_shards_keeps_its_proportions(shards):
    rows = mixed(shards, weights={"big": 2, "middle": 1, "small": 1}).over(shards[:2])
    assert rows.source_names == ["big", "middle"] and rows.weights_at(0)["big"] == pytest.approx(2 / 3)
    again = rows.over(shards[:1])
    assert again.weights_at(0) == {"big": 1}
    with pytest.raises(ValueError, match="gives every source that is there 0"):
        mixed(shards, weights={"big": 0, "middle": 1, "small": 0}).over(shards[:1])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"weights": {"bog": 1}}, r"data.mixture.weights.bog names no source: use big, middle, small"),
        ({"weights": {"big": 1}}, r"data.mixture.weights gives no weight to middle, small: give it one, 0"),
        ({"max_epochs": 2, "source_epochs": {"x": 1}}, r"data.mixture.source_epochs.x names no source"),
        ({"weights": {"big": 0, "middle": 0, "small": 0}}, r"data.mixture.weights gives every source that is there 0"),
        ({"weights": {"big": 1, "middle": 1, "small": 1e-8}}, r"weights.small=1e-08 would be less than a row in a million"),
        (
            {"curriculum": [MixtureChange(from_step=1, weights={"big": 1})]},
            r"data.mixture.curriculum\[0\].weights gives no weight to middle, small",
        ),
    ],
)  # fmt: skip
def test_names_and_weights_that_cannot_be_meant_are_refused(shards, settings, words):
    with pytest.raises(ValueError, match=words):
        mixed(shards, **settings)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MixtureConfig(weights={"a": -1}), r"data.mixture.weights.a=-1 must not be negative or infinite: use 0"),
        (lambda: MixtureConfig(weights={"a": float("nan")}), r"data.mixture.weights.a=nan"),
        (lambda: MixtureConfig(temperature=0), r"data.mixture.temperature=0 must be above 0"),
        (lambda: MixtureConfig(temperature=2, weights={"a": 1}), r"temperature=2 evens out sizes, but .* use one of them"),
        (lambda: MixtureConfig(max_epochs=-1), r"data.mixture.max_epochs=-1 must not be negative: use 0 for no limit"),
        (lambda: MixtureConfig(source_epochs={"a": -1}), r"data.mixture.source_epochs.a=-1"),
        (lambda: MixtureChange(from_step=0, weights={}), r"curriculum.from_step=0 must be at least 1"),
        (lambda: MixtureChange(from_step=1, weights={}, ramp_steps=-1), r"curriculum.ramp_steps=-1"),
        (
            lambda: MixtureConfig(
                curriculum=[MixtureChange(from_step=5, weights={}, ramp_steps=9), MixtureChange(from_step=13, weights={})]
            ),
            r"from_step=13 comes before step 14",
        ),
        (
            lambda: MixtureConfig(curriculum=[MixtureChange(from_step=5, weights={})], online=OnlineConfig(every_steps=1)),
            r"online.every_steps and data.mixture.curriculum both",
        ),
        (lambda: OnlineConfig(every_steps=-1), r"online.every_steps=-1"),
        (lambda: OnlineConfig(warmup_steps=0), r"online.warmup_steps=0 must be at least 1"),
        (lambda: OnlineConfig(smoothing=1), r"online.smoothing=1 must be at least 0 and below 1"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_source_smaller_than_a_row_is_refused_or_left_out(shards):
    config = MixtureConfig(weights={"big": 1, "middle": 1, "small": 1})
    with pytest.raises(ValueError, match=r"source small holds 250 tokens.*data.mixture.weights.small=0"):
        open_rows(shards, config, sequence_length=300, seed=0, rows_per_step=1)
    config = MixtureConfig(weights={"big": 1, "middle": 1, "small": 0})
    assert open_rows(shards, config, sequence_length=300, seed=0, rows_per_step=1).read(0).sources in (0, 1)


def test_a_row_that_cannot_be_read_is_named_with_its_shard(shards, monkeypatch):
    def broken(start: int, count: int) -> np.ndarray:
        raise ValueError("small.bin ends before byte 7")

    rows = mixed(shards, weights={"big": 0, "middle": 0, "small": 1})
    monkeypatch.setattr(Shard, "read", lambda self, start, count: broken(start, count))
    with pytest.raises(
        ValueError, match=r"^row 4 of the training data: small\.bin ends before byte 7; the run goes on"
    ):
        rows.read(4)


def test_a_batch_of_mixed_rows_knows_its_sources(shards):
    rows = mixed(shards, weights={"big": 1, "middle": 1, "small": 1})
    config = BatchConfig(sequences_per_step=8, sequences_per_microbatch=8)
    [batch] = Loader(rows, config, end_of_text_id=-1).microbatches(0)
    starts_S = torch.tensor([FIRST[name] for name in SIZES])
    assert torch.equal(batch.sources_BT, torch.bucketize(batch.tokens_BT, starts_S, right=True) - 1)
    assert len(batch.sources_BT[:, 0].unique()) == 3
