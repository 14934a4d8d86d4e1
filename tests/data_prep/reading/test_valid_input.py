import gzip
import json
import json.decoder
import random
import textwrap
from pathlib import Path
from pydoc_data.topics import topics

import pyarrow
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
import pytest
import zstandard

from data_prep.reading.listing import list_slices
from data_prep.reading.source import SourceConfig, SourceFormat
from data_prep.splitting import uniform

TEXTS = [
    "First one.\n",
    "",
    "Zweiter, \u00fcber \u65e5\u672c\u8a9e.\n",
    "Third\r\nwith \u2581 and \U0001f642 and \x00.",
]
LINES = "".join(json.dumps({"text": text, "other": 1}) + "\n" for text in TEXTS).encode()


def plainly(folder: Path) -> list[tuple[str, str]]:
    """Text and name of every record of a folder, each file read at once by its library."""
    found = []
    for path in sorted((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.parts):
        if path.suffix == ".parquet":
            rows = pyarrow.parquet.read_table(path).to_pylist()
            found += [(row["text"] or "", f"{path} row {number}") for number, row in enumerate(rows, start=1)]
        elif path.suffix == ".txt":
            found.append((path.read_text(), str(path)))
        else:
            unpack = {
                ".gz": gzip.decompress,
                ".zst": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
            }
            lines = unpack.get(path.suffix, bytes)(path.read_bytes()).split(b"\n")
            numbered = [(number, line) for number, line in enumerate(lines, start=1) if line]
            found += [(json.loads(line)["text"], f"{path}:{number}") for number, line in numbered]
    return found


def fill_with_everything(folder: Path) -> None:
    generator = random.Random(0)
    for name in ("b-c/d.jsonl", "b/x.jsonl.gz", "b/a/y.jsonl.zst", "z.parquet", "b.jsonl"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"text": generator.choice(TEXTS) * number, "n": number} for number in range(20)]
        lines = "".join(json.dumps(row) + "\n" + "\n" * (number % 3) for number, row in enumerate(rows)).encode()
        if name.endswith(".parquet"):
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=7)
        else:
            packed = {".gz": gzip.compress, ".zst": zstandard.compress}.get(path.suffix, bytes)
            path.write_bytes(packed(lines))


def test_records_come_file_by_file_in_the_order_of_paths_and_lines(tmp_path: Path, read):
    fill_with_everything(tmp_path)
    (tmp_path / "b/note.txt").write_text("note")
    new = [(document.text, document.name) for document in read(tmp_path, seed=3)]
    assert new == plainly(tmp_path) and len(new) == 101


def test_text_files_come_in_a_hashed_order_of_their_names(tmp_path: Path, read):
    for number in range(50):
        path = tmp_path / f"{number % 3}" / f"{number % 20}.{['txt', 'md', 'rst'][number % 3]}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{number} \u00e9")
    for pattern in ("**/*.*", "**/1*.md"):
        paths = sorted(tmp_path.glob(pattern), key=lambda path: path.parts)
        paths.sort(key=lambda path: uniform(path.name.encode(), seed=3, purpose="order"))
        new = [(document.text, document.name) for document in read(f"{tmp_path}/{pattern}", seed=3, slice_bytes=40)]
        assert new == [(path.read_text(), str(path)) for path in paths] and new != sorted(new)


def test_embedded_text_is_that_of_this_python(read):
    assert {d.text for d in read("embedded:docs")} == set(topics.values())
    documents = [d for d in read("embedded:code") if d.name in ("textwrap", "json.decoder")]
    assert {d.text for d in documents} == {Path(m.__file__).read_text() for m in (textwrap, json.decoder)}
    assert all(d.family == d.name for d in documents)


def test_data_sets_are_read_in_order_and_cut_like_files(tmp_path: Path, read, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": TEXTS}).save_to_disk(str(tmp_path / "saved"))
    (tmp_path / "rows.jsonl").write_bytes(LINES)
    for settings in (
        {"path": f"datasets:{tmp_path / 'saved'}"},
        {"path": "datasets:json", "data_files": str(tmp_path / "rows.jsonl")},
    ):
        assert [d.text for d in read(**settings)] == TEXTS
    assert len(list_slices("mine", SourceConfig(path=f"datasets:{tmp_path / 'saved'}"), seed=0, slice_bytes=40)) > 1
    assert [d.text for d in read(f"datasets:{tmp_path / 'saved'}", slice_bytes=40)] == TEXTS
    with pytest.raises(ValueError, match=r"sources\.mine\.path=datasets:.* must be a data set with split 'test'"):
        read(f"datasets:{tmp_path / 'absent'}", split="test")


@pytest.mark.parametrize("slice_bytes", [1, 7, 64, 100, 1000, 1 << 20])
def test_any_way_to_cut_json_lines_gives_each_line_once(tmp_path: Path, texts, slice_bytes: int):
    generator = random.Random(slice_bytes)
    expected = ["x" * generator.randrange(90) for _ in range(40)]
    lines = [json.dumps({"text": text}) for text in expected]
    path = tmp_path / "a.jsonl"
    path.write_text("\n\n" + "\n".join(lines))
    assert texts(path, slice_bytes=slice_bytes) == expected
    path.write_text("\n".join(lines) + "\n")
    assert texts(path, slice_bytes=slice_bytes) == expected


def test_a_cut_file_names_its_lines_by_offset(tmp_path: Path, read):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n{"text": "two"}\n')
    assert [document.name for document in read(path)] == [f"{path}:1", f"{path}:2"]
    assert [document.name for document in read(path, slice_bytes=10)] == [f"{path}@0", f"{path}@16"]


@pytest.mark.parametrize("slice_bytes", [1, 3000, 1 << 20])
def test_parquet_is_cut_by_row_groups_and_rows_keep_their_numbers(tmp_path: Path, read, slice_bytes: int):
    path = tmp_path / "a.parquet"
    expected = [f"{number} " * number for number in range(50)]
    pyarrow.parquet.write_table(pyarrow.table({"text": expected, "n": range(50)}), path, row_group_size=8)
    documents = read(path, slice_bytes=slice_bytes)
    assert [document.text for document in documents] == expected
    assert [document.name for document in documents] == [f"{path} row {number}" for number in range(1, 51)]
    number = len(list_slices("mine", SourceConfig(path=str(path)), seed=0, slice_bytes=slice_bytes))
    assert number in {1: [7], 3000: [2, 3, 4], 1 << 20: [1]}[slice_bytes]


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "dictionary"])
def test_all_arrow_text_types_are_read(tmp_path: Path, texts, kind: str):
    column = pyarrow.array([*TEXTS, None])
    column = column.dictionary_encode() if kind == "dictionary" else column.cast(getattr(pyarrow, kind)())
    table = pyarrow.table({"n": range(len(column)), "text": column})
    for compression in ("uncompressed", "lz4", "zstd"):
        pyarrow.feather.write_feather(table, str(tmp_path / f"{compression}.feather"), compression=compression)
    with pyarrow.ipc.new_stream(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    assert texts(tmp_path) == [*TEXTS, ""] * 4
    if kind != "string_view":
        pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
        assert texts(tmp_path / "a.parquet") == [*TEXTS, ""]


def test_compressed_texts_and_info_files_are_read(tmp_path: Path, texts):
    (tmp_path / "a.info.gz").write_bytes(gzip.compress(b"manual"))
    (tmp_path / "b.txt.zst").write_bytes(zstandard.compress(b"notes"))
    assert sorted(texts(tmp_path)) == ["manual", "notes"]


def test_pages_wait_for_extraction(tmp_path: Path, read):
    (tmp_path / "a.html").write_bytes(b"<p>\xff")
    (tmp_path / "b.XHTML.gz").write_bytes(gzip.compress(b"<p>x"))
    assert {(document.text, document.markup) for document in read(tmp_path)} == {("", b"<p>\xff"), ("", b"<p>x")}
    assert {str(document.labels) for document in read(tmp_path, encoding="cp1251")} == {"{'charset': 'cp1251'}"}


def test_each_field_of_a_record_goes_where_the_source_says(tmp_path: Path, read):
    path = tmp_path / "a.jsonl"
    path.write_text('{"body": "x", "id": 7, "link": "http://a", "lang": "de"}\n{"body": null}\n')
    first, second = read(path, text_field="body", name_field="id", url_field="link", language_field="lang")
    assert (first.text, first.name, first.url, first.language, first.language_score) == (
        "x",
        "7",
        "http://a",
        "de",
        1.0,
    )
    assert (second.text, second.name, second.url, second.language_score) == ("", f"{path}:2", "", 0.0)
    pyarrow.parquet.write_table(pyarrow.table({"body": ["x"], "id": [7], "rest": [1]}), tmp_path / "a.parquet")
    assert [d.name for d in read(tmp_path / "a.parquet", text_field="body", name_field="id", url_field="link")] == ["7"]


def test_a_format_is_used_whatever_the_ending(tmp_path: Path, texts):
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(LINES))
    assert texts(tmp_path, format=SourceFormat.jsonl) == TEXTS
    assert texts(tmp_path, format=SourceFormat.text) == [LINES.decode()]


def test_encodings_are_taken_from_the_mark_or_the_source(tmp_path: Path, texts):
    path = tmp_path / "a.txt"
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        path.write_bytes("caf\u00e9".encode(encoding))
        assert texts(path) == ["caf\u00e9"]
    path.write_bytes(b"caf\xe9")
    assert texts(path, encoding="latin-1") == ["caf\u00e9"]
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "caf\xe9"}\n')
    assert texts(tmp_path / "a.jsonl", encoding="cp1252") == ["caf\u00e9"]
    (tmp_path / "b.jsonl").write_bytes(b"\xef\xbb\xbf" + LINES)
    assert texts(tmp_path / "b.jsonl") == TEXTS


def test_unpaired_surrogates_are_replaced_and_counted(tmp_path: Path, read):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a\\ud800b\\udfff \\ud83d\\ude42", "id": "\\ud800"}\n')
    (document,) = read(tmp_path / "a.jsonl", name_field="id")
    assert document.text == "a\ufffdb\ufffd \U0001f642" and document.edits == {"input.surrogates": 2}
    assert document.name == "\ufffd"
