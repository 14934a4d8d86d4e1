import gzip
import json
import os
import random
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
import pytest
import zstandard

from data_prep.document import Document, Dropped
from data_prep.reading import json_lines
from data_prep.reading.listing import list_slices
from data_prep.reading.slices import Bad, read_slice
from data_prep.reading.source import SourceConfig, SourceFormat

GOOD = b'{"text": "good"}\n'


def message_of(read, *arguments, **settings) -> str:
    with pytest.raises(ValueError) as error:
        read(*arguments, **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b"{broken", "input.not_json", "Expecting property name"),
        (b"[1]", "input.not_json", "list instead of an object"),
        (b'{"text": "x', "input.not_json", "Invalid control character"),
        (b'{"n": 1' + b"0" * 5000 + b"}", "input.not_json", "4300"),
        (b'{"a": ' * 100_000, "input.deep_json", "nested too deeply"),
        (b'{"text": "x", "a": [' + b"[]," * (5 << 20) + b"0]}", "input.deep_json", "brackets and commas"),
        (b'{"body": "x", "id": 1}', "input.no_field", "no field 'text', but 'body', 'id'"),
        (b"{}", "input.no_field", "no field 'text', but none"),
        (b'{"text": 5}', "input.no_field", "field 'text' holds int and no text"),
        (b'{"text": "caf\xe9"}', "input.not_utf8", "byte 13 is 0xe9, no utf-8"),
        (b'{"text": "a\x00b"}', "input.nul", "NUL at character 11"),
        (b"\x00" * 4096, "input.nul", "NUL"),
    ],
)
def test_a_bad_line_is_named_and_the_next_is_read(tmp_path: Path, read, line: bytes, reason: str, detail: str):
    for name, pack in (("a.jsonl", bytes), ("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstandard.compress)):
        path = tmp_path / name
        path.write_bytes(pack(GOOD + line + b"\n" + GOOD))
        first, bad, last = read(path)
        assert (first.text, last.text) == ("good", "good")
        assert isinstance(bad, Bad) and (bad.name, bad.reason) == (f"{path}:2", reason) and detail in bad.detail


def test_a_line_beyond_the_limit_is_skipped_however_the_file_is_cut(tmp_path: Path, summary, monkeypatch):
    monkeypatch.setattr(json_lines, "MAX_RECORD_BYTES", 100)
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD + b"x" * 500 + b"\n" + GOOD + b"x" * 101 + b"\n" + b"x" * 100 + b"\n" + GOOD + b"y" * 300)
    expected = ["good", "input.too_long_line", "good", "input.too_long_line", "input.too_long_line", "good"]
    for slice_bytes in (1, 10, 64, 300, 10_000):
        assert summary(path, slice_bytes=slice_bytes) == [*expected, "input.too_long_line"]
    path.write_bytes(b"x" * 99 + b"\n" + GOOD)
    assert summary(path) == ["input.not_json", "good"]


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.999])
def test_what_stands_before_the_end_of_a_cut_file_counts(tmp_path: Path, summary, cut: float):
    data = b"".join(json.dumps({"text": f"{i * 7919 % 10007} " * 9}).encode() + b"\n" for i in range(3000))
    whole = [json.loads(line)["text"] for line in data.splitlines()]
    for name, packed in (("a.jsonl.gz", gzip.compress(data)), ("a.jsonl.zst", zstandard.compress(data))):
        path = tmp_path / name
        path.write_bytes(packed[: int(len(packed) * cut)])
        *found, last = summary(path)
        assert found == whole[: len(found)] and last == "input.truncated"
        assert len(found) > 100 or cut < 0.5 or name.endswith("zst")


def test_broken_bytes_end_only_their_file(tmp_path: Path, summary):
    generator = random.Random(0)
    data = b"".join(json.dumps({"text": generator.randbytes(50).hex()}).encode() + b"\n" for _ in range(20_000))
    for name, pack in (
        ("a.jsonl.gz", gzip.compress),
        ("b.jsonl.zst", zstandard.ZstdCompressor(write_checksum=True).compress),
    ):
        packed = bytearray(pack(data))
        packed[len(packed) // 2 : len(packed) // 2 + 20] = b"\xff" * 20
        (tmp_path / name).write_bytes(bytes(packed))
    (tmp_path / "c.jsonl").write_bytes(GOOD)
    found = summary(tmp_path)
    assert found[-1] == "good" and len(found) > 1000
    assert "input.broken_gzip" in found and "input.broken_zstd" in found


def test_files_that_are_not_what_their_ending_says_are_named(tmp_path: Path, read):
    kinds = {"gz": "gzip", "zst": "zstd", "parquet": "parquet", "arrow": "arrow", "warc": "warc"}
    names = {"a.jsonl.gz": "gz", "b.jsonl.zst": "zst", "c.parquet": "parquet", "d.arrow": "arrow", "e.warc": "warc"}
    for name in names:
        (tmp_path / name).write_bytes(b"hello there " * 90)
    assert [(bad.name, bad.reason) for bad in read(tmp_path)] == [
        (str(tmp_path / name), f"input.broken_{kinds[ending]}") for name, ending in names.items()
    ]


def test_texts_that_are_none_are_named(tmp_path: Path, read):
    contents = {"binary.txt": b"\x7fELF\x00\x01", "latin.md": b"caf\xe9", "wide.rst": "caf\u00e9".encode("utf-16-le")}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "cut.txt").write_bytes(b"\xff\xfea\x00b")
    bad = {Path(outcome.name).name: (outcome.reason, outcome.detail) for outcome in read(tmp_path)}
    assert bad == {
        "binary.txt": ("input.nul", "NUL at character 4"),
        "latin.md": ("input.not_utf8", "byte 3 is 0xe9, no utf-8"),
        "wide.rst": ("input.nul", "NUL at byte 1"),
        "cut.txt": ("input.not_utf8", "byte 4 is 0x62, no utf-16-le"),
    }
    (wrong,) = read(tmp_path / "latin.md", encoding="ascii")
    assert (wrong.reason, wrong.detail) == ("input.wrong_encoding", "byte 3 is 0xe9, no ascii")


def test_parquet_without_the_field_with_other_types_or_cut_is_named(tmp_path: Path, read):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"body": ["x"], "id": [1]}), path)
    assert [(bad.reason, bad.detail) for bad in read(path)] == [("input.no_field", "no field 'text', but 'body', 'id'")]
    assert [bad.detail for bad in read(path, text_field="id")] == ["column 'id' holds int64 and no text"]
    path.write_bytes(path.read_bytes()[:-20])
    assert [bad.reason for bad in read(path, text_field="body")] == ["input.broken_parquet"]


def test_a_broken_row_group_ends_only_itself(tmp_path: Path, summary):
    path, rows = tmp_path / "a.parquet", [f"{number} {os.urandom(30).hex()}" for number in range(40)]
    pyarrow.parquet.write_table(pyarrow.table({"text": rows}), path, row_group_size=10, compression="zstd")
    chunk = pyarrow.parquet.read_metadata(path).row_group(1).column(0)
    data = bytearray(path.read_bytes())
    begin = chunk.dictionary_page_offset or chunk.data_page_offset
    data[begin + 40 : begin + chunk.total_compressed_size] = b"\xff" * (chunk.total_compressed_size - 40)
    path.write_bytes(bytes(data))
    assert summary(path) == [*rows[:10], "input.broken_parquet", *rows[20:]]


def test_rows_that_are_no_utf8_are_named(tmp_path: Path, summary):
    column = pyarrow.array([b"a", b"\xff", b"\xed\xa0\x80", b"b"]).view(pyarrow.string())
    pyarrow.parquet.write_table(pyarrow.table({"text": column}), tmp_path / "a.parquet")
    assert summary(tmp_path / "a.parquet") == ["a", "input.not_utf8", "input.not_utf8", "b"]


def test_places_that_lead_out_of_an_arrow_file_are_noticed(tmp_path: Path, summary):
    def batch(*offsets: int, data: bytes = b"abc\xff") -> pyarrow.RecordBatch:
        places = pyarrow.py_buffer(np.array(offsets, dtype=np.int32))
        return pyarrow.record_batch(
            {"text": pyarrow.Array.from_buffers(pyarrow.string(), 2, [None, places, pyarrow.py_buffer(data)])}
        )

    with pyarrow.ipc.new_stream(tmp_path / "a.arrow", batch(0, 1, 2).schema) as writer:
        for good in (batch(0, 1, 2), batch(0, 3, 4)):
            writer.write_batch(good)
    assert summary(tmp_path / "a.arrow") == ["a", "b", "abc", "input.not_utf8"]
    data = (tmp_path / "a.arrow").read_bytes()
    offsets = np.array([0, 3, 4], dtype=np.int32).tobytes()
    assert data.count(offsets) == 1
    (tmp_path / "a.arrow").write_bytes(data.replace(offsets, np.array([0, 3, 1 << 30], dtype=np.int32).tobytes()))
    assert summary(tmp_path / "a.arrow") == ["a", "b", "input.broken_arrow"]


@pytest.mark.parametrize("compression", ["uncompressed", "lz4"])
def test_batches_before_the_cut_of_an_arrow_file_are_read(tmp_path: Path, summary, compression: str):
    path, rows = tmp_path / "a.arrow", [os.urandom(30).hex() for _ in range(100)]
    pyarrow.feather.write_feather(pyarrow.table({"text": rows}), str(path), compression=compression, chunksize=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    *found, last = summary(path)
    assert 10 <= len(found) < 60 and found == rows[: len(found)] and last == "input.broken_arrow"


def test_a_file_that_vanishes_changes_or_may_not_be_read_is_named(tmp_path: Path):
    for name in ("a", "b", "c", "d"):
        (tmp_path / f"{name}.jsonl").write_bytes(GOOD)
    config = SourceConfig(path=str(tmp_path))
    (piece,) = list_slices("mine", config, seed=0)
    (tmp_path / "a.jsonl").unlink()
    (tmp_path / "b.jsonl").write_bytes(GOOD * 2)
    (tmp_path / "c.jsonl").unlink()
    os.mkfifo(tmp_path / "c.jsonl")
    *bad, document = read_slice(piece, config)
    assert [entry.reason for entry in bad] == ["input.vanished", "input.changed", "input.changed"]
    assert document.text == "good"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_is_named(tmp_path: Path, summary):
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    (tmp_path / "a.jsonl").chmod(0)
    assert summary(tmp_path) == ["input.unreadable"]


def test_links_pipes_and_hidden_files_do_no_harm(tmp_path: Path, read):
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (outside / "more").mkdir(parents=True)
    (folder / "deep" / ".git").mkdir(parents=True)
    for path in (
        outside / "secret.txt",
        outside / "more/b.txt",
        folder / "a.txt",
        folder / ".c.txt",
        folder / "deep/.git/d.txt",
    ):
        path.write_text(path.name)
    (folder / "deep/round").symlink_to(folder)
    (folder / "inside.txt").symlink_to(folder / "a.txt")
    (folder / "out.txt").symlink_to(outside / "secret.txt")
    (folder / "out").symlink_to(outside)
    (folder / "nowhere.txt").symlink_to(folder / "absent")
    (folder / "self.txt").symlink_to(folder / "self.txt")
    (folder / "null.txt").symlink_to("/dev/null")
    os.mkfifo(folder / "pipe.txt")
    for place in (folder, f"{folder}/**", f"{folder}/**/*", f"{tmp_path}/folder/**/*.txt"):
        outcomes = read(place)
        texts = {
            Path(o.name).name: getattr(o, "text", None) or o.reason for o in outcomes if not isinstance(o, Dropped)
        }
        assert texts == {
            "a.txt": "a.txt",
            "inside.txt": "a.txt",
            "nowhere.txt": "input.vanished",
            "self.txt": "input.unreadable",
            "pipe.txt": "input.unreadable",
        }
        dropped = {Path(o.document.name).name: o.reason for o in outcomes if isinstance(o, Dropped)}
        assert dropped == dict.fromkeys(("out.txt", "null.txt"), "input.outside_link")
    assert [o.text for o in read(folder / "out.txt")] == ["secret.txt"], "a link that is named is followed"
    assert sorted(o.text for o in read(folder / "out")) == ["b.txt", "secret.txt"]


def test_deep_folders_and_names_that_are_no_unicode_are_read(tmp_path: Path, read):
    place = tmp_path
    for _ in range(450):
        place /= "deeper"
        place.mkdir()
    (place / "a.txt").write_text("deep")
    with open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "wb") as file:
        file.write(b"wide")
    assert {Path(document.name).name: document.text for document in read(tmp_path)} == {
        "a.txt": "deep",
        "caf\ufffd.txt": "wide",
    }
    (place / "a.txt").unlink()
    while place != tmp_path:  # what clears up after tests does not go so deep
        place.rmdir()
        place = place.parent


def test_missing_paths_and_unknown_endings_are_refused(tmp_path: Path, read):
    (tmp_path / "a.pdf").write_bytes(b"x")
    (tmp_path / "empty.txt").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.txt")
    assert "sources.mine.path=" in message_of(read, tmp_path / "absent.txt")
    assert "must be an existing file, directory or glob" in message_of(read, tmp_path / "absent.txt")
    assert "at least one file ending in .txt .md" in message_of(read, tmp_path / "*.zip")
    assert "at least one file ending in .txt .md" in message_of(read, tmp_path / "a.pdf")
    assert "must not be empty" in message_of(read, tmp_path / "empty.txt")
    assert "is a pipe, device or broken link" in message_of(read, tmp_path / "pipe.txt")
    assert "is a pipe, device or broken link" in message_of(read, "/dev/zero", format=SourceFormat.text)
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    assert "encoding=utf-16 has other line ends" in message_of(read, tmp_path / "a.jsonl", encoding="utf-16")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": ""}, r"path='' must name a file"),
        ({"path": "x", "max_bytes": -1}, r"max_bytes=-1 must be at least 0"),
        ({"path": "x", "text_field": ""}, r"text_field='' must name the field"),
        ({"path": "x", "encoding": "klingon"}, r"encoding=klingon must be an encoding that Python knows"),
        ({"path": "x", "encoding": "zip"}, r"encoding=zip must be an encoding"),
    ],
)
def test_wrong_settings_are_refused(settings: dict, message: str):
    with pytest.raises(ValueError, match=rf"sources\.\*\.{message}"):
        SourceConfig(**settings)


def test_no_change_of_bytes_makes_a_reader_raise(tmp_path: Path, read):
    """Valid files of every kind with bytes changed, cut out or put in at random."""
    rows = [f"{number} text " * 20 for number in range(60)]
    lines = "".join(json.dumps({"text": row}) + "\n" for row in rows).encode()
    warc = b"".join(
        b"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\nContent-Length: 62\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nA: b\r\n\r\n<p>hello</p>\r\n\r\n"
        for _ in range(20)
    )
    table = pyarrow.table({"text": rows})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=20, compression="zstd")
    pyarrow.feather.write_feather(table, str(tmp_path / "a.arrow"), compression="lz4", chunksize=20)
    contents = {"a.jsonl": lines, "a.jsonl.gz": gzip.compress(lines), "a.jsonl.zst": zstandard.compress(lines)}
    contents |= {"a.warc": warc, "a.warc.gz": gzip.compress(warc), "a.txt": lines, "a.html.gz": gzip.compress(lines)}
    contents |= {name: (tmp_path / name).read_bytes() for name in ("a.parquet", "a.arrow")}
    generator = random.Random(0)
    for name, content in contents.items():
        (tmp_path / "changed").mkdir(exist_ok=True)
        for _ in range(60):
            data = bytearray(content)
            for _ in range(generator.randrange(1, 4)):
                place, size = generator.randrange(len(data)), generator.choice([0, 1, 1, 4, 100])
                data[place : place + size] = generator.randbytes(generator.choice([0, 1, 1, 4, 100]))
            path = tmp_path / "changed" / name
            path.write_bytes(bytes(data))
            for outcome in read(path, slice_bytes=generator.choice([100, 1 << 20])):
                assert isinstance(outcome, Document | Dropped | Bad)
                assert "\n" not in getattr(outcome, "detail", "")


MEASURE = """
import json, resource, sys
from pathlib import Path
from data_prep.document import Document
from data_prep.reading.listing import list_slices
from data_prep.reading.slices import read_slice
from data_prep.reading.source import SourceConfig

resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
config = SourceConfig(path=sys.argv[1])


def peak_megabytes():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024


before = peak_megabytes()
reasons, characters = [], 0
for piece in list_slices("mine", config, seed=0, slice_bytes=1 << 40):
    for outcome in read_slice(piece, config):
        if isinstance(outcome, Document):
            characters += len(outcome.text)
        else:
            reasons.append(outcome.reason)
print(json.dumps({"reasons": reasons, "characters": characters, "megabytes": peak_megabytes() - before}))
"""


def zeros(number: int, *, pack) -> bytes:
    return b"".join([pack.compress(b" " * (1 << 20)) for _ in range(number)] + [pack.flush()])


def write_bombs(folder: Path) -> None:
    """Files that would take gigabytes, were they held or expanded."""
    folder.mkdir()
    with open(folder / "line.jsonl", "wb") as file:
        file.write(GOOD)
        file.seek(2 << 30, os.SEEK_CUR)  # a line of 2 GB, sparse
        file.write(b"\n" + GOOD)
    (folder / "gzip.jsonl.gz").write_bytes(
        gzip.compress(GOOD) + zeros(400, pack=zlib.compressobj(1, zlib.DEFLATED, 31))
    )
    (folder / "zstd.jsonl.zst").write_bytes(
        zstandard.compress(GOOD) + zeros(400, pack=zstandard.ZstdCompressor().compressobj())
    )
    (folder / "zstd.txt.zst").write_bytes(zeros(400, pack=zstandard.ZstdCompressor().compressobj()))
    long = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 1000, pyarrow.int32()), pyarrow.array(["x" * (40 << 20)])
    )
    for name, settings in (("plain", {"store_schema": False}), ("kept", {})):
        table = pyarrow.table({"text": long})
        pyarrow.parquet.write_table(table, folder / f"{name}.parquet", compression="zstd", **settings)
    wide = pyarrow.table({"text": pyarrow.array(["y" * (40 << 20)] * 4)})
    pyarrow.parquet.write_table(wide, folder / "wide.parquet", compression="zstd", use_dictionary=False)
    pyarrow.feather.write_feather(wide, str(folder / "wide.arrow"), compression="zstd")
    (folder / "lists.jsonl").write_bytes(b'{"a": [' + b"[]," * (20 << 20) + b"0]}\n" + GOOD)


def test_bombs_take_little_memory_and_the_rest_is_read(tmp_path: Path):
    write_bombs(tmp_path / "bombs")
    expected = {
        "line.jsonl": (["input.too_long_line"], 8, 250),
        "gzip.jsonl.gz": (["input.bomb"], 4, 250),
        "zstd.jsonl.zst": (["input.bomb"], 4, 250),
        "zstd.txt.zst": (["input.bomb"], 0, 250),
        "plain.parquet": (["input.bomb"], 40 << 20, 600),
        "kept.parquet": (["input.bomb"], 40 << 20, 600),
        "wide.parquet": (["input.bomb"], 0, 100),
        "wide.arrow": (["input.bomb"], 0, 100),
        "lists.jsonl": (["input.deep_json"], 4, 250),
    }
    for name, (reasons, characters, megabytes) in expected.items():
        command = [sys.executable, "-c", MEASURE, str(tmp_path / "bombs" / name)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, (name, result.stderr)
        found = json.loads(result.stdout)
        assert found["megabytes"] < megabytes, (name, found)
        assert (found["reasons"], found["characters"]) == (reasons, characters), (name, found)
