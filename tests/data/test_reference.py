"""Reference losses: as they are kept, opened and refused; rows in which every id is scored once."""

import json
from pathlib import Path

import numpy as np
import pytest

from mai1.data.reference import quantize, reference_paths, write_reference
from mai1.data.scoring_rows import scoring_rows
from mai1.data.shards import Shard, ShardWriter
from mai1.data.stream import TokenStream

END, VOCABULARY = 0, 50


def make_ids(lengths: list[int]) -> np.ndarray:
    ids = np.random.default_rng(3).integers(1, VOCABULARY, sum(lengths))
    ids[np.cumsum(lengths) - 1] = END
    return ids


def write_shard(stem: Path, lengths: list[int]) -> Shard:
    ids, ends = make_ids(lengths), np.cumsum(lengths)
    with ShardWriter(stem, vocab_size=VOCABULARY) as writer:
        for start, end in zip(ends - lengths, ends, strict=True):
            writer.add(ids[start:end])
        writer.close({"tokenizer_hash": "t" * 64, "bytes": 4 * len(ids)})
    return Shard.open(stem)


def score(shard: Shard, losses: np.ndarray, **changes: object) -> dict:
    parts = [shard.stem.with_name(f"part{number}") for number in range(2)]
    for part, values in zip(parts, np.array_split(losses, 2), strict=True):
        part.write_bytes(values.tobytes())
    facts = {"model": "a" * 64, "shard_sha256": shard.manifest["sha256"]["bin"], "tokenizer_hash": "t" * 64}
    return write_reference(shard.stem, parts, facts | {"tokens": shard.num_tokens, "flops": 123} | changes)


@pytest.fixture
def scored(tmp_path: Path) -> tuple[Shard, np.ndarray]:
    shard = write_shard(tmp_path / "web", [7, 1, 30, 12, 50])
    losses = np.random.default_rng(1).integers(0, 256, 100).astype(np.uint8)
    score(shard, losses)
    return Shard.open(shard.stem), losses


def test_a_loss_is_kept_to_a_thirty_second_of_a_nat_and_saturates():
    nats = np.concatenate((np.linspace(0, 15.9, 5000), [15.94, 16.0, 40.0, np.inf, np.nan])).astype(np.float32)
    kept = quantize(nats).astype(np.float32) / 16
    assert np.abs(kept[:5000] - nats[:5000]).max() <= 1 / 32 + 1e-6
    assert (kept[5000:] == 15.9375).all()


def test_losses_are_read_back_in_the_order_of_the_ids(scored: tuple[Shard, np.ndarray]):
    shard, losses = scored
    assert shard.reference is None
    shard.open_reference(is_learned_from=True)
    assert np.array_equal(shard.reference.read(0, 100), losses)
    assert np.array_equal(shard.reference.read(37, 20), losses[37:57])
    assert shard.reference.flops == 123 and shard.reference.model == "a" * 64
    shard.verify()
    shard.reference.path.write_bytes(bytes(100))
    with pytest.raises(ValueError, match=r"web.ref must have the SHA-256 of its manifest"):
        shard.verify()


def test_rows_carry_the_losses_of_their_ids_also_across_documents_and_shards(tmp_path: Path):
    shards = [write_shard(tmp_path / name, lengths) for name, lengths in (("a", [7, 20, 3]), ("b", [40, 2]))]
    by_place = {}
    for shard in shards:
        losses = np.random.default_rng(shard.num_tokens).integers(0, 256, shard.num_tokens).astype(np.uint8)
        score(shard, losses)
        shard.open_reference(is_learned_from=False)
        by_place[shard.stem.name] = (shard.tokens, losses)
    stream = TokenStream(shards, sequence_length=9, seed=2)
    for sample in range(2 * stream.rows_per_epoch):
        row = stream.read(sample)
        assert row.epochs == sample // stream.rows_per_epoch
        for t, (identifier, source) in enumerate(zip(row.ids, row.sources, strict=True)):
            ids, losses = by_place[stream.source_names[source]]
            assert row.reference[t] in losses[ids == identifier]
    shards[1].reference = None
    assert TokenStream(shards, sequence_length=9, seed=2).read(0).reference is None


def test_what_is_learned_from_is_part_of_what_the_run_is(scored: tuple[Shard, np.ndarray]):
    shard, _ = scored
    fingerprints = [TokenStream([shard], sequence_length=9, seed=2).fingerprint]
    for is_learned_from in (False, True):
        shard.open_reference(is_learned_from=is_learned_from)
        fingerprints.append(TokenStream([shard], sequence_length=9, seed=2).fingerprint)
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shard_sha256": "b" * 64}, "states shard_sha256=bbbbbbbbbbbb, but .* reference losses of another shard"),
        ({"tokenizer_hash": "other"}, "states tokenizer_hash=other, but .* of another shard: run `mai1 score` again"),
        ({"tokens": 99}, "states tokens=99, but"),
        ({"model": "nobody"}, "must state model as a SHA-256"),
        ({"flops": -1}, "must state flops as a whole number"),
        ({"flops": 1e9}, "must state flops as a whole number"),
        ({"format": "other"}, "must hold a JSON object of format mai1-reference and version 1"),
        ({"version": 2}, "must hold a JSON object of format mai1-reference and version 1"),
    ],
)
def test_a_description_of_something_else_is_refused(scored, changes: dict, message: str):
    shard, _ = scored
    described = reference_paths(shard.stem)[1]
    described.write_text(json.dumps(json.loads(described.read_text()) | changes))
    with pytest.raises(ValueError, match=message):
        shard.open_reference(is_learned_from=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "must be JSON"), (b"[]", "must hold a JSON object"), (b"[" * 10**5, "must be JSON"), (b"\xff", "JSON")],
)
def test_a_description_that_is_none_is_refused(scored, content: bytes, message: str):
    shard, _ = scored
    reference_paths(shard.stem)[1].write_bytes(content)
    with pytest.raises(ValueError, match=message):
        shard.open_reference(is_learned_from=False)


def test_losses_that_are_cut_or_gone_are_refused(scored):
    shard, losses = scored
    shard.open_reference(is_learned_from=False)
    path = shard.reference.path
    path.write_bytes(losses[:60].tobytes())
    with pytest.raises(ValueError, match="ends before byte 60"):
        shard.reference.read(50, 20)
    with pytest.raises(ValueError, match="has 60 bytes, but .*web.bin holds 100 ids"):
        Shard.open(shard.stem).open_reference(is_learned_from=False)
    path.unlink()
    with pytest.raises(ValueError, match="has no bytes, but"):
        Shard.open(shard.stem).open_reference(is_learned_from=False)


def context_of(ids: np.ndarray, place: int, start: int, begin: int) -> list[int]:
    """What stands before an id in a window that begins with this place: end-of-text where that is the document's begin."""
    return [END if begin == start else int(ids[begin - 1]), *ids[begin:place].tolist()]


@pytest.mark.parametrize(("sequence_length", "overlap"), [(10, 0), (10, 3), (10, 9), (64, 16), (4, 1)])
def test_every_id_is_scored_once_behind_its_own_document_alone(sequence_length: int, overlap: int):
    lengths = np.array([7, 1, 30, 2, 10, 11, 12, 50, 3, 1])
    ids = make_ids(lengths.tolist())
    rows = scoring_rows(ids, lengths, sequence_length=sequence_length, overlap=overlap, end_of_text_id=END)
    seen = np.zeros(len(ids), dtype=int)
    for scoring in rows:
        row, places = scoring.row, scoring.places
        assert len(row.ids) == sequence_length + 1 and np.array_equal(row.loss_mask[1:] > 0, places >= 0)
        for t in np.flatnonzero(places >= 0):
            place = int(places[t])
            seen[place] += 1
            assert row.ids[t + 1] == ids[place]
            document = int(np.searchsorted(np.cumsum(lengths), place, side="right"))
            start = int(np.cumsum(lengths)[document] - lengths[document])
            begins = [s for s in range(t + 1) if s == 0 or row.ids[s] == END]  # segments, as collate sees them
            begin = place - (t - begins[-1])
            assert begin >= start and row.ids[begins[-1] : t + 1].tolist() == context_of(ids, place, start, begin)
            assert begin == start or place - begin >= min(overlap, place - start)
    assert (seen == 1).all()


def test_documents_that_fit_share_rows():
    lengths = np.array([3] * 30)
    rows = scoring_rows(make_ids([3] * 30), lengths, sequence_length=12, overlap=0, end_of_text_id=END)
    assert len(rows) == 8 and sum((scoring.places >= 0).sum() for scoring in rows) == 90


def test_a_document_without_an_end_is_refused():
    ids = make_ids([5, 5])
    ids[4] = 3
    with pytest.raises(ValueError, match="must end with the end-of-text token"):
        scoring_rows(ids, np.array([5, 5]), sequence_length=8, overlap=0, end_of_text_id=END)
