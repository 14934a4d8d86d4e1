import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from mai1.data.shards import HEADER, MAGIC, Shard, ShardWriter


def make_documents(*, seed: int = 0, vocab_size: int = 300) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, vocab_size, size=int(size)) for size in generator.integers(1, 50, size=40)]


def write(stem: Path, documents: list[np.ndarray], *, vocab_size: int = 300, **manifest) -> dict:
    with ShardWriter(stem, vocab_size=vocab_size) as writer:
        for ids in documents:
            writer.add(ids)
        return writer.close({"source": "s", **manifest})


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    write(tmp_path / "some.name", make_documents())
    return tmp_path / "some.name"


@pytest.mark.parametrize(
    ("vocab_size", "dtype"), [(300, "uint16"), (65_499, "uint16"), (65_500, "int32"), (200_000, "int32")]
)
def test_a_shard_reads_back_what_was_written(tmp_path: Path, vocab_size: int, dtype: str):
    documents = make_documents(vocab_size=vocab_size)
    write(tmp_path / "s", documents, vocab_size=vocab_size)
    shard = Shard.open(tmp_path / "s")
    assert shard.tokens.dtype == dtype
    assert shard.num_documents == len(documents) and shard.num_tokens == sum(map(len, documents))
    assert shard.lengths.tolist() == list(map(len, documents))
    for number, ids in enumerate(documents):
        np.testing.assert_array_equal(shard.document(number), ids)
    np.testing.assert_array_equal(shard.tokens, np.concatenate(documents))


def test_the_index_has_the_megatron_layout(tmp_path: Path):
    write(tmp_path / "s", [np.array([1, 2, 3]), np.array([4])])
    expected = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 8, 2, 3)
    expected += struct.pack("<2i", 3, 1) + struct.pack("<2q", 0, 6) + struct.pack("<3q", 0, 1, 2)
    assert (tmp_path / "s.idx").read_bytes() == expected
    assert (tmp_path / "s.bin").read_bytes() == struct.pack("<4H", 1, 2, 3, 4)


def test_documents_of_several_sequences_are_read_as_one(tmp_path: Path):
    (tmp_path / "s.bin").write_bytes(np.arange(6, dtype="<i4").tobytes())
    parts = struct.pack("<3i", 1, 2, 3) + struct.pack("<3q", 0, 4, 12) + struct.pack("<3q", 0, 2, 3)
    (tmp_path / "s.idx").write_bytes(HEADER.pack(MAGIC, 1, 4, 3, 3) + parts)
    shard = Shard.open(tmp_path / "s")
    assert [shard.document(i).tolist() for i in range(2)] == [[0, 1, 2], [3, 4, 5]]
    assert shard.manifest == {}


def test_the_manifest_states_counts_and_hashes(tmp_path: Path):
    manifest = write(tmp_path / "s", make_documents(), tokenizer_hash="abc", bytes=9)
    assert json.loads((tmp_path / "s.json").read_text()) == manifest == Shard.open(tmp_path / "s").manifest
    assert manifest["documents"] == 40 and manifest["vocab_size"] == 300 and manifest["tokenizer_hash"] == "abc"
    Shard.open(tmp_path / "s").verify()


def test_verify_notices_a_changed_token(stem: Path):
    with open(f"{stem}.bin", "r+b") as file:
        file.write(b"\x01\x00" if file.read(2) != b"\x01\x00" else b"\x02\x00")
    with pytest.raises(ValueError, match=r"some.name.bin must have the SHA-256 of its manifest"):
        Shard.open(stem).verify()


def test_an_empty_shard_reads_back(tmp_path: Path):
    write(tmp_path / "s", [])
    shard = Shard.open(tmp_path / "s")
    assert shard.num_documents == shard.num_tokens == 0


def test_an_unfinished_shard_leaves_nothing(tmp_path: Path):
    with pytest.raises(RuntimeError), ShardWriter(tmp_path / "s", vocab_size=9) as writer:
        writer.add(np.array([1]))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ids", [[300], [-1], [1, 2, 1 << 40], [], [[1, 2]]])
def test_ids_outside_the_vocabulary_are_refused(tmp_path: Path, ids: list):
    with ShardWriter(tmp_path / "s", vocab_size=300) as writer, pytest.raises(ValueError, match="must be"):
        writer.add(np.array(ids, dtype=np.int64))


@pytest.mark.parametrize("number", [-1, 40])
def test_documents_outside_the_shard_are_refused(stem: Path, number: int):
    with pytest.raises(IndexError, match="must be from 0 to 39"):
        Shard.open(stem).document(number)


def test_a_missing_shard_is_refused_by_name(tmp_path: Path):
    with pytest.raises(ValueError, match="absent.idx must be a shard's index"):
        Shard.open(tmp_path / "absent")


@pytest.mark.parametrize("ending", ["idx", "bin"])
@pytest.mark.parametrize("cut", [0, 5, 33, -1])
def test_truncated_files_are_refused(stem: Path, ending: str, cut: int):
    path = Path(f"{stem}.{ending}")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=f"some.name.{ending} .*restore the file"):
        Shard.open(stem)


@pytest.mark.parametrize("ending", ["idx", "bin"])
def test_files_that_are_too_long_are_refused(stem: Path, ending: str):
    with open(f"{stem}.{ending}", "ab") as file:
        file.write(b"\x00\x00")
    with pytest.raises(ValueError, match=f"some.name.{ending} has .* claims"):
        Shard.open(stem)


@pytest.mark.parametrize(
    ("offset", "data", "message"),
    [
        (0, b"XX", "must begin with the Megatron index magic"),
        (9, struct.pack("<Q", 2), "has index version 2"),
        (17, b"\x07", "has dtype code 7"),
        (17, b"\x04", "offsets that do not follow from its lengths"),
        (18, struct.pack("<Q", 1 << 63), "its header claims"),
        (18, struct.pack("<Q", (1 << 64) - 1), "its header claims"),
        (26, struct.pack("<Q", (1 << 61) + 41), "its header claims"),
        (34, struct.pack("<i", -5), "negative sequence length"),
        (34, struct.pack("<i", 2**31 - 1), "offsets that do not follow"),
        (34 + 4 * 40 + 8, struct.pack("<q", 1 << 62), "offsets that do not follow"),
        (34 + 12 * 40, struct.pack("<q", 1), "document marks that do not rise"),
        (34 + 12 * 40 + 8, struct.pack("<q", 99), "document marks that do not rise"),
        (34 + 12 * 40 + 8, struct.pack("<q", -9), "document marks that do not rise"),
        (34 + 12 * 40 + 8 * 40, struct.pack("<q", 41), "document marks that do not rise"),
        (34 + 12 * 40 + 8, struct.pack("<qq", 2**63 - 1, -2), "document marks that do not rise"),  # differences wrap
    ],
)
def test_lying_headers_are_refused(stem: Path, offset: int, data: bytes, message: str):
    with open(f"{stem}.idx", "r+b") as file:
        file.seek(offset)
        file.write(data)
    with pytest.raises(ValueError) as error:
        Shard.open(stem)
    assert message in str(error.value) and "some.name.idx" in str(error.value)


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "{}", '{"documents": 41}', '"tokens": 1}'])
def test_a_manifest_that_is_wrong_is_refused(stem: Path, text: str):
    Path(f"{stem}.json").write_text(text)
    with pytest.raises(ValueError, match=r"some.name.json .*restore the file"):
        Shard.open(stem)


@pytest.mark.parametrize("key", ["documents", "tokens"])
def test_counts_that_differ_from_the_manifest_are_refused(stem: Path, key: str):
    path = Path(f"{stem}.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: 7}))
    with pytest.raises(ValueError, match=f"some.name.json states {key}=7, but the shard has .*restore the file"):
        Shard.open(stem)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "must hold a JSON object of format mai1-shard"),
        ({"version": 2}, "must hold a JSON object of format mai1-shard and version 1"),
        ({"vocab_size": "300"}, "must state vocab_size as an integer"),
        ({"tokens": None}, "must state tokens as an integer"),
        ({"sha256": None}, "must state the sha256 of bin and idx"),
        ({"sha256": {"bin": "0" * 64}}, "must state the sha256 of bin and idx"),
        ({"sha256": {"bin": "0" * 64, "../../x": "0" * 64}}, "must state the sha256 of bin and idx"),
        ({"sha256": {"bin": "0" * 64, "idx": 7}}, "must state the sha256 of bin and idx"),
    ],
)
def test_a_manifest_states_all_that_a_run_relies_on(stem: Path, change: dict, message: str):
    path = Path(f"{stem}.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=f"some.name.json {message}"):
        Shard.open(stem)


def test_a_file_that_shrinks_while_it_is_open_is_an_error_with_its_name(stem: Path):
    shard = Shard.open(stem)
    whole = Path(f"{stem}.bin").read_bytes()
    os.truncate(f"{stem}.bin", 30)
    np.testing.assert_array_equal(shard.read(0, 15), np.frombuffer(whole, dtype="<u2")[:15])
    with pytest.raises(ValueError, match=r"some.name.bin ends before byte 30, .*restore the file"):
        shard.read(14, 2)


def test_a_file_that_vanishes_while_it_is_open_is_still_read(stem: Path):
    shard = Shard.open(stem)
    Path(f"{stem}.bin").unlink()
    np.testing.assert_array_equal(shard.tokens, np.concatenate(make_documents()))


def test_a_failing_disk_is_an_error_with_the_files_name(stem: Path, monkeypatch: pytest.MonkeyPatch):
    shard = Shard.open(stem)
    monkeypatch.setattr(os, "preadv", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(ValueError, match=r"some.name.bin cannot be read at byte 4 \(.*Input/output error"):
        shard.read(2, 1)


@pytest.mark.parametrize(("vocab_size", "bad"), [(300, b"\xff\xff"), (70_000, b"\xff\xff\xff\xff")])
def test_an_id_outside_the_vocabulary_is_named_with_its_place(tmp_path: Path, vocab_size: int, bad: bytes):
    write(tmp_path / "s", make_documents(), vocab_size=vocab_size)
    with open(tmp_path / "s.bin", "r+b") as file:
        file.seek(5 * len(bad))
        file.write(bad)
    with pytest.raises(ValueError, match=r"s.bin holds id (65535|-1) at 5, of (300|70000): restore the file"):
        Shard.open(tmp_path / "s").read(3, 10)


def test_a_long_read_that_comes_in_parts_is_put_together(stem: Path, monkeypatch: pytest.MonkeyPatch):
    shard, preadv = Shard.open(stem), os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, buffers, place: preadv(file, [buffers[0][:7]], place))
    np.testing.assert_array_equal(shard.tokens, np.concatenate(make_documents()))
