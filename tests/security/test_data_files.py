"""Files of text from anywhere: nothing runs, and little compressed is never much in memory."""

import gzip
import json
import pickle
import resource
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from data_prep.document import Document
from data_prep.reading.bad import Bad
from data_prep.reading.listing import list_slices
from data_prep.reading.slices import read_slice
from data_prep.reading.source import SourceConfig
from mai1.data import instructions
from mai1.data.instructions import read_conversations
from mai1.data.shards import Shard, ShardWriter
from tests.security.conftest import Payload
from tests.support.ranks import _CONTEXT


def read_file(path: Path) -> list[Document | Bad]:
    """Everything that reading a file gives."""
    config = SourceConfig(path=str(path))
    return [item for piece in list_slices("mine", config, seed=0) for item in read_slice(piece, config)]


def refusals(path: Path) -> list[str]:
    """What is said of what cannot be read."""
    return [f"{item.name}: {item.reason} {item.detail}" for item in read_file(path) if isinstance(item, Bad)]


def peak_mib(function, *arguments: object) -> int:
    """Most memory that a process of its own had beyond what it began with, in MiB."""
    results = _CONTEXT.Queue()
    process = _CONTEXT.Process(target=_measure, args=(results, function, arguments))
    process.start()
    try:
        return results.get(timeout=60)
    finally:
        process.kill()


def _measure(results, function, arguments: tuple) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    function(*arguments)
    results.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)


def _refused(path: str) -> None:
    (said,) = refusals(Path(path))
    assert "input.too_long_line" in said or "input.bomb" in said, said


def _first_lengths(path: str) -> None:
    config = SourceConfig(path=path)
    (piece,) = list_slices("mine", config, seed=0)
    for item in read_slice(piece, config):
        assert len(item.text) == 4 << 20 if isinstance(item, Document) else item.reason == "input.bomb", item.reason


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_bomb_is_cut_off_while_it_is_read(tmp_path: Path, ending: str):
    """A gigabyte of one line, in a file of kilobytes: refused at 64 MiB."""
    path, part = tmp_path / f"bomb.jsonl.{ending}", b"\0" * (64 << 20)
    if ending == "gz":
        path.write_bytes(gzip.compress(part, 1) * 16)
    else:
        writer = zstandard.ZstdCompressor().compressobj()
        path.write_bytes(b"".join([*(writer.compress(part) for _ in range(16)), writer.flush()]))
    assert path.stat().st_size < 8 << 20
    assert peak_mib(_refused, str(path)) < 400


def test_a_text_that_a_table_repeats_is_in_memory_once(tmp_path: Path):
    """256 rows name one text of 4 MiB: a gigabyte, were they all decoded at once."""
    text = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 256, pyarrow.int32()), pyarrow.array(["x" * (4 << 20)])
    )
    for name, keeps_schema in (("a", True), ("b", False)):
        path = tmp_path / f"{name}.parquet"
        pyarrow.parquet.write_table(pyarrow.table({"text": text}), path, compression="zstd", store_schema=keeps_schema)
        assert path.stat().st_size < 1 << 16
        assert peak_mib(_first_lengths, str(path)) < 400


def test_a_text_of_a_table_may_be_as_long_as_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("data_prep.reading.tables.MAX_RECORD_BYTES", 10)
    pyarrow.parquet.write_table(pyarrow.table({"text": ["short", "longer than ten"]}), tmp_path / "t.parquet")
    assert [said.partition(":")[0] for said in refusals(tmp_path / "t.parquet")] == [f"{tmp_path / 't.parquet'} row 2"]


def test_the_limit_on_a_line_holds_while_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("data_prep.reading.json_lines.MAX_RECORD_BYTES", 1 << 20)
    monkeypatch.setattr(instructions, "MAX_LINE_BYTES", 1 << 20)
    path = tmp_path / "line.jsonl"
    path.write_bytes(b'{"text": "' + b"x" * (2 << 20) + b'"}\n')
    (said,) = refusals(path)
    assert said.startswith(f"{path}:1: input.too_long_line")
    with pytest.raises(ValueError, match=r"line\.jsonl:1 is longer than 1048576 bytes"):
        read_conversations(path)


def test_a_file_of_conversations_that_is_too_large_is_refused_unread(tmp_path: Path):
    path = tmp_path / "talk.json"
    with open(path, "wb") as file:
        file.truncate(3 << 30)  # takes no place on the disk
    with pytest.raises(ValueError, match=r"talk\.json has 3221225472 bytes, more than .*: use \.jsonl"):
        read_conversations(path)


STRANGE_LINES = {
    "deep": "[" * 200_000,
    "deep in a field": '{"text": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "a huge number": '{"text": ' + "9" * 100_000 + "}",
    "NaN": '{"text": NaN}',
    "infinite": '{"text": -Infinity}',
    "a byte order mark": '\ufeff{"text": "x"}',
    "a list": '["x"]',
    "an object": '{"text": {"text": "x"}}',
    "torn": '{"text": "x',
    "two": '{"text": "x"} {"text": "y"}',
    "single quotes": "{'text': 'x'}",
    "a Python call": '{"text": __import__("os").system("true")}',
}


@pytest.mark.parametrize("name", STRANGE_LINES)
def test_a_strange_line_is_refused_with_its_number(tmp_path: Path, name: str):
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "first"}\n' + STRANGE_LINES[name] + "\n", encoding="utf-8")
    assert all(said.startswith(f"{path}:2: input.") for said in refusals(path))
    assert len(refusals(path)) == (name != "a byte order mark")  # which is taken for what it is
    path.write_text('{"prompt": "a", "completion": "b"}\n' + STRANGE_LINES[name] + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"t\.jsonl:2"):
        read_conversations(path)


@pytest.mark.parametrize("content", [b"\xff", b'{"text": "\xed\xa0\x80"}', b'{"text": "\xc0\xaf"}', b"\x80"])
def test_what_is_no_utf8_is_refused_with_its_number(tmp_path: Path, content: bytes):
    (tmp_path / "t.jsonl").write_bytes(content)
    (said,) = refusals(tmp_path / "t.jsonl")
    assert said.startswith(f"{tmp_path / 't.jsonl'}:1: input.")
    with pytest.raises(ValueError, match=r"t\.jsonl:1.*UTF-8"):
        read_conversations(tmp_path / "t.jsonl")


def test_half_a_character_is_noticed_before_it_is_learned(tmp_path: Path, tokenizer):
    (tmp_path / "t.jsonl").write_text('{"prompt": "a", "completion": "\\ud800"}')
    with pytest.raises(ValueError, match=r"t.jsonl:1 has half of a surrogate pair"):
        read_conversations(tmp_path / "t.jsonl")
    with pytest.raises(ValueError, match="lone surrogate"):
        tokenizer.encode("\ud800")


def test_of_two_equal_keys_the_last_counts_for_every_reader(tmp_path: Path):
    (tmp_path / "t.jsonl").write_text('{"text": "a", "text": "b", "prompt": "p", "completion": "1", "completion": "2"}')
    assert [document.text for document in read_file(tmp_path / "t.jsonl")] == ["b"]
    assert read_conversations(tmp_path / "t.jsonl")[0][1]["content"] == "2"


def test_pickles_in_place_of_data_are_not_opened(tmp_path: Path, marker: Path):
    payload = pickle.dumps(Payload(marker))
    with ShardWriter(tmp_path / "s", vocab_size=10) as writer:
        writer.add(np.arange(10))
        writer.close({})
    objects = np.array([Payload(marker)], dtype=object)
    for ending in ("bin", "idx", "json"):
        whole = (tmp_path / f"s.{ending}").read_bytes()
        for content in (payload, b"\x93NUMPY" + payload):
            (tmp_path / f"s.{ending}").write_bytes(content)
            with pytest.raises(ValueError, match=f"s.{ending}"):
                Shard.open(tmp_path / "s")
        np.save(tmp_path / "o.npy", objects, allow_pickle=True)
        (tmp_path / f"s.{ending}").write_bytes((tmp_path / "o.npy").read_bytes())
        with pytest.raises(ValueError, match=f"s.{ending}"):
            Shard.open(tmp_path / "s")
        (tmp_path / f"s.{ending}").write_bytes(whole)
    for ending in ("jsonl", "jsonl.gz", "jsonl.zst", "parquet", "txt"):
        (tmp_path / f"t.{ending}").write_bytes(payload)
        assert refusals(tmp_path / f"t.{ending}") and not marker.exists()


def test_an_extension_type_of_a_table_runs_nothing(tmp_path: Path, marker: Path):
    """pyarrow before 14.0.1 unpickled these (CVE-2023-47248)."""
    field = pyarrow.field("text", pyarrow.string()).with_metadata(
        {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickle.dumps(Payload(marker))}
    )
    table = pyarrow.table([pyarrow.array(["x"])], schema=pyarrow.schema([field]))
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    assert [document.text for document in read_file(tmp_path / "t.parquet")] == ["x"]


def test_the_script_of_a_data_set_is_not_run(tmp_path: Path, marker: Path):
    folder = tmp_path / "evil"
    folder.mkdir()
    (folder / "evil.py").write_text(f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n")
    (folder / "dataset_infos.json").write_text(json.dumps({"default": {"_target_": "os.system"}}))
    with pytest.raises(ValueError, match="must be a data set with split"):
        list_slices("evil", SourceConfig(path=f"datasets:{folder}"), seed=0)
