"""Data that is damaged or changed, before and in the middle of a run: nothing is learned from it unnoticed."""

import json
import os
import resource
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from mai1.checkpoint.checkpoint import read_state
from mai1.data.integrity import OnDamagedShard
from mai1.data.shards import Shard, ShardWriter
from mai1.data.stream import TokenStream
from mai1.run.cli import main
from mai1.run.datasets import allow_open_files, open_pretraining
from tests.run.conftest import TINY_RUN
from tests.support.commands import Ended, run_command


@pytest.fixture(scope="module")
def prepared(texts, tmp_path_factory) -> Path:
    """A corpus of two sources."""
    folder = tmp_path_factory.mktemp("two")
    for number, file in enumerate(sorted(texts.iterdir())):
        place = folder / "ab"[number % 2]
        place.mkdir(exist_ok=True)
        shutil.copy(file, place)
    sources = f"sources={{a: {{path: {folder / 'a'}}}, b: {{path: {folder / 'b'}}}}}"
    with pytest.raises(SystemExit) as ended:
        main(["prepare", f"output={folder / 'data'}", sources, "tokenizer.vocab_size=600", "heldout_fraction=0.2",
              "workers=1"])  # fmt: skip
    assert ended.value.code == 0
    return folder / "data"


@pytest.fixture
def data(prepared, tmp_path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "data"))


def pretrain(data: Path, *overrides: str, before: Callable | None = None) -> Ended:
    """`mai1 pretrain` in a process of its own, after some preparation."""
    run = [*TINY_RUN, f"data.path={data}", f"run.directory={data.parent}", "run.name=r", "train.self_check=false"]
    return run_command("pretrain", *run, *overrides, before=before)


def assert_refused(outcome: Ended, *words: str) -> None:
    [line] = [line for line in outcome.err.splitlines() if line.startswith("mai1: ")]
    assert outcome.code == 2 and all(word in line for word in words), outcome.err


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def events(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def fingerprint_of(checkpoint: Path) -> str:
    return read_state(checkpoint.resolve()).data_fingerprint


def fingerprint(data: Path, names: str) -> str:
    shards = [Shard.open(data / "train" / name) for name in names]
    return TokenStream(shards, sequence_length=64, seed=0).fingerprint


def drop_a_document(stem: Path) -> None:
    """A whole shard of other content, as another `mai1 prepare` would write it."""
    old = Shard.open(stem)
    documents = [old.document(i) for i in range(old.num_documents - 1)]
    with ShardWriter(stem, vocab_size=old.manifest["vocab_size"]) as writer:
        for ids in documents:
            writer.add(ids)
        writer.close({key: old.manifest[key] for key in ("tokenizer_hash", "source", "split", "bytes")})


def shrink_at(row: int, bins: list[Path]) -> None:
    """Empty the files when this row is about to be read."""
    read = TokenStream.read

    def shrinking(self: TokenStream, sample: int) -> object:
        for path in bins if sample == row else ():
            os.truncate(path, 0)
        return read(self, sample)

    TokenStream.read = shrinking


def test_a_flipped_bit_stops_the_run_and_quarantine_goes_on_without_the_shard_and_says_so(data):
    run = data.parent / "r"
    flip(data / "train" / "b.bin")
    flip(data / "heldout" / "a.bin")
    refused = pretrain(data)
    assert_refused(refused, "train/b.bin has another SHA-256", "heldout/a.bin", "data.on_damaged_shard=quarantine")
    assert not (run / "metrics.jsonl").exists() and not list((run / "checkpoints").iterdir())

    half = pretrain(data, "data.on_damaged_shard=quarantine", "train.stop_after_steps=4")
    assert half.code == 0, half.err
    assert f"WARNING: training without {data / 'train' / 'b'}: {data / 'train' / 'b.bin'} has another SHA" in half.err
    assert fingerprint_of(run / "checkpoints" / "latest") == fingerprint(data, "a")
    whole = pretrain(data, "data.on_damaged_shard=quarantine")
    assert whole.code == 0 and "going on from step 4 of 6" in whole.err and "WARNING: training without" in whole.err
    assert sorted(event["shard"] for event in events(run)) == [str(data / "heldout" / "a"), str(data / "train" / "b")]
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {name for r in records if r["kind"] == "heldout" for name in r["sources"]} == {"b"}
    page = (run / "report.html").read_text()
    assert "shard left out" in page and f"{data / 'train' / 'b.bin'} has another SHA-256" in page


@pytest.mark.parametrize("file", ["b.bin", "b.idx", "b.json", "b.*"])
@pytest.mark.parametrize("policy", ["stop", "quarantine"])
def test_a_missing_file_is_no_smaller_mixture(data, file: str, policy: str):
    for path in list((data / "train").glob(file)):
        path.unlink()
    settings = {"sequence_length": 64, "seed": 0, "heldout_rows": 2}
    if policy == "stop":
        with pytest.raises(ValueError, match=r"train/b\.(bin|idx|json)"):
            open_pretraining(data, **settings)
        return
    opened = open_pretraining(data, **settings, on_damaged_shard=OnDamagedShard.quarantine)
    assert [damage.shard for damage in opened.left_out] == [str(data / "train" / "b")]
    assert opened.rows.source_names == ["a"]


def test_a_shard_that_shrinks_in_mid_run_is_named_and_the_run_resumes_bitwise(data):
    run, bins = data.parent / "r", [data / "train" / name for name in ("a.bin", "b.bin")]
    whole = {path: path.read_bytes() for path in bins}
    shrink = partial(shrink_at, 17, bins)
    assert_refused(pretrain(data, before=shrink), "row 17 of the training data", ".bin ends before byte", "checkpoint")
    assert (run / "checkpoints" / "latest").resolve().name == "step_00000003"
    assert_refused(pretrain(data), "a.bin has 0 bytes, but its index claims")
    for path, content in whole.items():
        path.write_bytes(content)
    resumed = pretrain(data)
    assert resumed.code == 0 and "going on from step 3 of 6" in resumed.err
    assert pretrain(data, "run.name=straight").code == 0
    for file in ("model-00001-of-00001.safetensors", "trainer/optimizer-00001-of-00001.safetensors"):
        ours, theirs = (data.parent / name / "checkpoints" / "latest" / file for name in ("r", "straight"))
        assert ours.read_bytes() == theirs.read_bytes()


def test_changed_data_is_refused_unless_accepted_and_then_recorded(data):
    run, changed = data.parent / "r", data.parent / "changed"
    assert pretrain(data, "train.stop_after_steps=3").code == 0
    before = fingerprint_of(run / "checkpoints" / "latest")
    shutil.copytree(data, changed)
    drop_a_document(changed / "train" / "b")
    assert_refused(pretrain(changed), f"data.path={changed}", "choose another run.name")
    drop_a_document(data / "train" / "b")
    assert_refused(pretrain(data), "other rows", "data.accept_changes=true", "checkpoint.init_from")
    assert not (run / "events.jsonl").exists()

    accepted = pretrain(changed, "data.accept_changes=true", "train.stop_after_steps=1")
    assert accepted.code == 0 and "WARNING: the data changed; from step 3 on" in accepted.err, accepted.err
    now = fingerprint(changed, "ab")
    assert fingerprint_of(run / "checkpoints" / "latest") == now != before
    assert events(run) == [{"event": "data changed", "step": 3, "before": before, "now": now}]
    assert pretrain(changed).code == 0 and len(events(run)) == 1
    assert f"before {before}" in (run / "report.html").read_text()


def test_more_shards_than_files_may_be_open_at_first_are_opened():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        allow_open_files(1000)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1512, before[1])
        allow_open_files(10)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1512, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
