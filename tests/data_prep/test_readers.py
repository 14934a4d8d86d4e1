import gzip
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from data_prep import readers
from data_prep.hub import HubSource
from data_prep.readers import FileSource, read_file
from data_prep.sources import SourceConfig
from data_prep.workers import Workers

TEXTS = ["First text.\n", "Zweiter, \u00fcber \u65e5\u672c\u8a9e.\n", "Third\r\nwith \u2581 and \U0001f642."]
LINES = "".join(json.dumps({"text": text, "other": 1}) + "\n" for text in TEXTS).encode()


def read(path: Path, text_field: str = "text") -> list[str]:
    return [document.text for document in read_file(path, text_field=text_field)]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def find(path: Path | str) -> FileSource:
    return FileSource.find("mine", SourceConfig(path=str(path)), seed=0)


def message_of(function, *arguments) -> str:
    with pytest.raises(ValueError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("ending", [".txt", ".md", ".rst", ".TXT"])
def test_a_text_file_is_one_document(tmp_path: Path, ending: str):
    assert read(write(tmp_path / f"a{ending}", "".join(TEXTS).encode())) == ["".join(TEXTS)]


def test_json_lines_give_a_document_each_plain_or_compressed(tmp_path: Path):
    assert read(write(tmp_path / "a.jsonl", b"\n" + LINES + b"  \n")) == TEXTS
    assert read(write(tmp_path / "a.jsonl.gz", gzip.compress(LINES))) == TEXTS
    assert read(write(tmp_path / "a.jsonl.zst", zstandard.compress(LINES))) == TEXTS


def test_several_frames_or_members_are_read_to_the_end(tmp_path: Path):
    cut = LINES.index(b"\n") - 4
    halves = LINES[:cut], LINES[cut:]
    assert read(write(tmp_path / "a.jsonl.zst", b"".join(map(zstandard.compress, halves)))) == TEXTS
    assert read(write(tmp_path / "a.jsonl.gz", b"".join(map(gzip.compress, halves)))) == TEXTS


def test_large_zstandard_files_are_read_whole(tmp_path: Path):
    texts = [f"{i} " + "word " * 1000 for i in range(500)]
    data = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    assert read(write(tmp_path / "a.jsonl.zst", zstandard.compress(data))) == texts


def test_parquet_rows_are_documents_and_nulls_are_empty(tmp_path: Path):
    table = pyarrow.table({"text": [*TEXTS, None], "n": [1, 2, 3, 4]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [*TEXTS, ""]


def test_another_text_field_can_be_named(tmp_path: Path):
    assert read(write(tmp_path / "a.jsonl", b'{"body": "x"}'), text_field="body") == ["x"]


def test_directories_and_globs_find_all_readable_files(tmp_path: Path):
    (tmp_path / "deep" / ".hidden").mkdir(parents=True)
    for name in ("a.txt", "deep/b.md", "deep/c.png", "deep/.hidden/d.txt", "e.jsonl"):
        write(tmp_path / name, b'{"text": "x"}')
    assert sorted(path.name for path in find(tmp_path).files) == ["a.txt", "b.md", "e.jsonl"]
    assert [path.name for path in find(tmp_path / "*.txt").files] == ["a.txt"]
    assert [path.name for path in find(tmp_path / "**" / "*.md").files] == ["b.md"]


def test_many_text_files_come_in_an_order_that_does_not_depend_on_their_directory(tmp_path: Path):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        for number in range(20):
            write(tmp_path / place / f"{number}.txt", b"x")
    names = [[path.name for path in find(tmp_path / place).files] for place in ("one", "two")]
    assert names[0] == names[1] != sorted(names[0])


def test_missing_paths_and_unknown_endings_are_refused(tmp_path: Path):
    assert "prepare.sources.mine.path=" in message_of(find, tmp_path / "absent.txt")
    assert "an existing file, directory or glob" in message_of(find, tmp_path / "*.txt")
    assert "a directory with files ending in .txt" in message_of(find, tmp_path)
    assert "must end in one of .txt .md" in message_of(find, write(tmp_path / "a.pdf", b"x"))
    assert "must not be empty" in message_of(find, write(tmp_path / "a.txt", b""))


def test_what_is_no_utf8_text_is_refused_with_its_offset(tmp_path: Path):
    text = write(tmp_path / "latin.txt", "caf\u00e9".encode("latin-1"))
    assert "latin.txt must be UTF-8, but byte 3 is 0xe9: convert it" in message_of(read, text)
    binary = write(tmp_path / "binary.txt", b"\x7fELF\x00\x01")
    assert "binary.txt must be text, but has a NUL byte at offset 4" in message_of(read, binary)
    lines = write(tmp_path / "latin.jsonl", b'{"text": "ok"}\n{"text": "caf\xe9"}\n')
    assert "latin.jsonl:2 must be UTF-8, but byte 28 is 0xe9" in message_of(read, lines)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{broken", "a.jsonl:2 must be one JSON object a line"),
        (b"[" * 100_000, "a.jsonl:2 must be one JSON object a line"),
        (b"[1]", "a.jsonl:2 must be a JSON object, but is list"),
        (
            b'{"body": "x", "id": 1}',
            "a.jsonl:2 must have the field 'text', but has 'body', 'id': set text_field to one",
        ),
        (b"{}", "a.jsonl:2 must have the field 'text', but has none"),
        (b'{"text": 5}', "a.jsonl:2 must have text in 'text', but has int"),
    ],
)
def test_wrong_json_lines_are_refused_with_file_and_line(tmp_path: Path, line: bytes, message: str):
    assert message in message_of(read, write(tmp_path / "a.jsonl", b'{"text": "ok"}\n' + line + b"\n"))


def test_a_line_beyond_the_limit_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(readers, "MAX_LINE_BYTES", 100)
    path = write(tmp_path / "a.jsonl", json.dumps({"text": "x" * 200}).encode())
    assert "a.jsonl:1 must have at most 100 bytes" in message_of(read, path)


@pytest.mark.parametrize("cut", [0.3, 0.9, 0.999])
def test_truncated_compressed_files_are_refused(tmp_path: Path, cut: float):
    data = b"".join(json.dumps({"text": str(i * 7919 % 10007) * 9}).encode() + b"\n" for i in range(3000))
    for name, packed in (("a.jsonl.gz", gzip.compress(data)), ("a.jsonl.zst", zstandard.compress(data))):
        path = write(tmp_path / name, packed[: int(len(packed) * cut)])
        assert f"{name} must be a complete {name[8:]} file" in message_of(read, path)


def test_files_that_are_not_what_their_ending_says_are_refused(tmp_path: Path):
    for name in ("a.jsonl.gz", "a.jsonl.zst", "a.parquet"):
        assert f"{name} must be a complete" in message_of(read, write(tmp_path / name, b"hello there " * 9))


def test_truncated_parquet_and_missing_columns_are_refused(tmp_path: Path):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"body": TEXTS, "id": [1, 2, 3]}), path)
    assert "a.parquet must have the field 'text', but has 'body', 'id'" in message_of(read, path)
    assert "row 1 must have text in 'id', but has int" in message_of(read, path, "id")
    write(path, path.read_bytes()[:-20])
    assert "a.parquet must be a complete Parquet file" in message_of(read, path, "body")


def test_a_local_data_set_is_read_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": TEXTS}).save_to_disk(str(tmp_path / "saved"))
    write(tmp_path / "rows.jsonl", LINES)
    saved = SourceConfig(path=f"datasets:{tmp_path / 'saved'}")
    built = SourceConfig(path="datasets:json", data_files=str(tmp_path / "rows.jsonl"))
    for config in (saved, built):
        assert [d.text for d in HubSource("mine", config).documents(Workers(1))] == TEXTS
    absent = HubSource("mine", SourceConfig(path=f"datasets:{tmp_path / 'absent'}"))
    assert "prepare.sources.mine.path=datasets:" in message_of(lambda: list(absent.documents(Workers(1))))
