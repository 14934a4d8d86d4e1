import json
import zipfile
from pathlib import Path

import fsspec
import pytest

from data_prep.as_json import from_json, to_json
from data_prep.reading import listing
from data_prep.reading.listing import list_slices
from data_prep.reading.slices import Slice, SliceKind, read_slice
from data_prep.reading.source import SourceConfig

GOOD = b'{"text": "good"}\n'


def slices_of(path: Path | str, *, slice_bytes: int = 1 << 20, **settings) -> list[Slice]:
    return list_slices("mine", SourceConfig(path=str(path), **settings), seed=0, slice_bytes=slice_bytes)


def test_slices_go_to_json_and_back(tmp_path: Path):
    (tmp_path / "a.jsonl").write_bytes(GOOD * 10)
    (tmp_path / "b.txt").write_bytes(b"x")
    pieces = slices_of(tmp_path, slice_bytes=50) + slices_of("embedded:docs")
    assert len(pieces) > 4
    for piece in pieces:
        assert from_json(Slice, json.loads(json.dumps(to_json(piece)))) == piece


def test_small_files_are_grouped_large_ones_cut_and_nothing_is_left_out(tmp_path: Path):
    sizes = {"a.jsonl": 10, "b.jsonl": 20, "c.jsonl": 250, "d.jsonl.gz": 90, "e.jsonl": 50, "f.txt": 60, "g.txt": 60}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(b"x" * size)
    pieces = slices_of(tmp_path, slice_bytes=100)
    found = [([Path(file.path).name for file in piece.files], piece.start, piece.stop) for piece in pieces]
    assert found == [
        (["a.jsonl", "b.jsonl"], 0, 0),
        (["c.jsonl"], 0, 83),
        (["c.jsonl"], 83, 166),
        (["c.jsonl"], 166, 250),
        (["d.jsonl.gz"], 0, 0),
        (["e.jsonl"], 0, 0),
        (["f.txt"], 0, 0),
        (["g.txt"], 0, 0),
    ]
    assert [piece.num_bytes for piece in pieces] == [30, 83, 83, 84, 360, 50, 60, 60]
    assert not any(piece.is_shuffled for piece in pieces)


def test_a_slice_holds_so_many_files_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("data_prep.reading.cutting.MAX_FILES_PER_SLICE", 3)
    for number in range(8):
        (tmp_path / f"{number}.md").write_bytes(b"")
    assert [len(piece.files) for piece in slices_of(tmp_path)] == [3, 3, 2]


def test_the_order_of_text_files_depends_on_names_and_seed_alone(tmp_path: Path):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        for number in range(30):
            (tmp_path / place / f"{number}.{'html' if number % 2 else 'txt'}").write_bytes(b"x" * number)

    def names(place: str, seed: int) -> list[str]:
        pieces = list_slices("mine", SourceConfig(path=str(tmp_path / place)), seed=seed, slice_bytes=50)
        assert all(piece.is_shuffled for piece in pieces)
        return [Path(file.path).name for piece in pieces for file in piece.files]

    assert names("one", 0) == names("two", 0) != sorted(names("one", 0))
    assert sorted(names("one", 0)) == sorted(names("one", 1)) and names("one", 0) != names("one", 1)


def test_identity_changes_with_the_input(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD)
    (before,) = slices_of(path)
    path.write_bytes(GOOD * 2)
    (after,) = slices_of(path)
    assert before.identity != after.identity and before.identity[0].startswith(f"{path} 17 ")
    assert len({line for piece in slices_of(path, slice_bytes=10) for line in piece.identity}) == 4


def test_urls_are_listed_and_read_like_paths(read):
    system = fsspec.filesystem("memory")
    for name, content in {"a.jsonl": GOOD * 3, "deep/b.txt": b"text", "deep/.c.txt": b"hidden", "d.pdf": b"?"}.items():
        system.pipe(f"/corpus/{name}", content)
    assert [d.text for d in read("memory://corpus")] == ["good"] * 3 + ["text"]
    assert [d.name for d in read("memory://corpus/a.jsonl")] == [
        f"memory:///corpus/a.jsonl:{line}" for line in (1, 2, 3)
    ]
    assert [d.text for d in read("memory://corpus/a.jsonl", slice_bytes=10)] == ["good"] * 3
    assert [d.text for d in read("memory://corpus/**/*.txt")] == ["text"]
    config = SourceConfig(path="memory://corpus/a.jsonl")
    (piece,) = list_slices("mine", config, seed=0)
    system.pipe("/corpus/a.jsonl", GOOD)
    assert list_slices("mine", config, seed=0)[0].identity != piece.identity
    system.rm("/corpus/a.jsonl")
    assert [outcome.reason for outcome in read_slice(piece, config)] == ["input.vanished"]
    for path, message in (("memory://absent", "at least one file"), ("nonsense://x", "a URL that fsspec can list")):
        with pytest.raises(ValueError, match=rf"sources\.mine\.path={path} must .*{message}"):
            read(path)


def test_pages_inside_an_archive_are_read_without_unpacking_it(tmp_path: Path, read):
    with zipfile.ZipFile(tmp_path / "pages.zip", "w") as archive:
        archive.writestr("site/a.html", "<p>x")
        archive.writestr("../../b.html", "<p>y")
        archive.writestr("c.png", "?")
    documents = read(f"zip://**/*.html::{tmp_path}/pages.zip")
    assert {document.markup for document in documents} >= {b"<p>x"}
    assert documents[0].name.endswith(f"a.html::{tmp_path}/pages.zip") and not (tmp_path.parent / "b.html").exists()


def test_what_web_pages_need_is_named_when_it_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listing.importlib.util, "find_spec", lambda package: None)
    for name, package in (("a.warc.gz", "fastwarc"), ("a.html", "resiliparse")):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(ValueError, match=rf"has web pages, which need {package}: pip install 'mai1\[web\]'"):
            slices_of(tmp_path / name)


def test_endings_say_what_reads_a_file():
    kinds = {
        "a.TXT": SliceKind.text,
        "a.md.gz": SliceKind.text,
        "a.info.gz": SliceKind.text,
        "a.htm": SliceKind.html,
        "a.jsonl.zst": SliceKind.jsonl,
        "a.parquet": SliceKind.parquet,
        "a.feather": SliceKind.arrow,
        "a.warc.wet.gz": SliceKind.warc,
    }
    assert {name: listing.kind_of_file(name) for name in kinds} == kinds
    assert not any(map(listing.kind_of_file, ("a", "a.gz", "a.parquet.gz", "a.json", "txt")))
