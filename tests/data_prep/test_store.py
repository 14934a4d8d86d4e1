from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from data_prep import store
from data_prep.dedup.exact import content_key
from data_prep.document import Document
from data_prep.store import StoreWriter, read_columns, read_documents
from tests.data_prep.conftest import text_of_number

DOCUMENTS = [
    Document(
        text_of_number(i) + ("\u4e2d\U0001f600\n" if i % 3 else ""),
        f"books.jsonl:{i}\n",
        family=("even", "")[i % 2],
        url=f"http://a.b/{i}" if i % 5 else "",
        language=("en", "de", "")[i % 3],
        language_score=0.5,
        edits={"pii.email": i} if i % 4 == 0 else {},
        labels={"kind": "code"} if i % 4 == 1 else {},
    )
    for i in range(23)
]


def write(folder: Path, documents: list[Document], *, batch: int = 5) -> Path:
    folder.mkdir()
    with StoreWriter(folder, num_bands=3) as writer:
        for start in range(0, len(documents), batch):
            own = documents[start : start + batch]
            bands = np.arange(len(own) * 3, dtype=np.uint64).reshape(-1, 3) + np.uint64(start)
            writer.add(own, keys=[content_key(document.text) for document in own], bands_NB=bands)
        writer.close()
    return folder


@pytest.mark.parametrize(("row_group", "num_groups"), [(1, 23), (500, 12), (store.ROW_GROUP_CHARACTERS, 1)])
def test_documents_come_back_as_they_were_and_in_their_order(
    tmp_path: Path, monkeypatch, row_group: int, num_groups: int
):
    monkeypatch.setattr(store, "ROW_GROUP_CHARACTERS", row_group)
    monkeypatch.setattr(store, "ROWS_READ_AT_ONCE", 4)
    found = list(read_documents(write(tmp_path / "a", DOCUMENTS)))
    for document, stored in zip(DOCUMENTS, found, strict=True):
        for key in ("text", "name", "url", "language", "language_score", "labels", "edits"):
            assert getattr(stored, key) == getattr(document, key)
    assert pyarrow.parquet.ParquetFile(tmp_path / "a" / store.DOCUMENTS).metadata.num_row_groups == num_groups


def test_without_texts_everything_else_is_read(tmp_path: Path):
    found = list(read_documents(write(tmp_path / "a", DOCUMENTS), with_text=False))
    assert [stored.text for stored in found] == [""] * 23
    assert [stored.name for stored in found] == [document.name for document in DOCUMENTS]


def test_columns_of_slices_are_one_after_the_other(tmp_path: Path):
    folders = [write(tmp_path / "a", DOCUMENTS[:9]), write(tmp_path / "none", []), write(tmp_path / "b", DOCUMENTS[9:])]
    columns = read_columns(folders, num_bands=3)
    whole = read_columns([write(tmp_path / "whole", DOCUMENTS)], num_bands=3)
    assert columns.num_bytes_N.tolist() == [len(document.text.encode()) for document in DOCUMENTS]
    assert (columns.keys_N2 == whole.keys_N2).all() and columns.keys_N2.dtype == np.uint64
    assert [key.tobytes() for key in columns.keys_N2] == [content_key(document.text) for document in DOCUMENTS]
    assert columns.bands_NB.shape == (23, 3)


def test_documents_of_a_family_share_a_key_and_others_have_that_of_their_content(tmp_path: Path):
    columns = read_columns([write(tmp_path / "a", DOCUMENTS)], num_bands=3)
    assert len({family.tobytes() for family in columns.families_N2[::2]}) == 1
    assert (columns.families_N2[1::2] == columns.keys_N2[1::2]).all()
    assert columns.families_N2[0].tobytes() not in {key.tobytes() for key in columns.keys_N2}


def test_an_empty_slice_has_empty_columns(tmp_path: Path):
    folder = write(tmp_path / "a", [])
    columns = read_columns([folder], num_bands=3)
    assert list(read_documents(folder)) == [] and columns.bands_NB.shape == (0, 3)
    assert columns.keys_N2.shape == columns.families_N2.shape == (0, 2)
