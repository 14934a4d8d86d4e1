import os
from pathlib import Path

import pytest

from mai1 import given_files
from mai1.given_files import check_entries, read_given


def test_a_file_and_a_link_within_the_directory_are_read(tmp_path: Path):
    (tmp_path / "a.txt").write_bytes(b"a")
    (tmp_path / "b.txt").symlink_to("a.txt")
    assert read_given(tmp_path / "a.txt", max_bytes=1) == read_given(tmp_path / "b.txt", max_bytes=1) == b"a"


def test_a_link_into_the_blobs_of_a_hub_cache_is_read(tmp_path: Path):
    (tmp_path / "models--a--b" / "blobs").mkdir(parents=True)
    (tmp_path / "models--a--b" / "blobs" / "5f3a").write_bytes(b"{}")
    snapshot = tmp_path / "models--a--b" / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").symlink_to("../../blobs/5f3a")
    assert read_given(snapshot / "config.json", max_bytes=2) == b"{}"
    (tmp_path / "link").symlink_to(snapshot)
    assert read_given(tmp_path / "link" / "config.json", max_bytes=2) == b"{}"


@pytest.mark.parametrize("through", ["", "inner"])
def test_a_link_that_leads_away_is_refused_by_name(tmp_path: Path, through: str):
    (tmp_path / "id_rsa").write_text("PRIVATE")
    given = tmp_path / "model"
    given.mkdir()
    (given / "inner").symlink_to(tmp_path)
    (given / "LICENSE").symlink_to(Path(through or "..") / "id_rsa")
    with pytest.raises(
        ValueError, match=r"LICENSE is a link to .*id_rsa, outside of its directory: put a copy"
    ) as error:
        read_given(given / "LICENSE", max_bytes=100)
    assert "PRIVATE" not in str(error.value)


def test_what_is_too_large_or_no_file_is_refused_unread(tmp_path: Path):
    (tmp_path / "large").write_bytes(b"12345")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(ValueError, match="large has 5 bytes, but may have at most 4"):
        read_given(tmp_path / "large", max_bytes=4)
    for name in ("pipe", "zero", "round", "absent"):
        with pytest.raises(ValueError, match=f"{name} (must be a file|is a link)"):
            read_given(tmp_path / name, max_bytes=4)


def test_a_text_of_more_entries_than_memory_has_room_for_is_refused_unread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(given_files, "MOST_ENTRIES", 5)
    check_entries(b'{"a": [1, 2, 3]}')
    for content in (b"[[],[],[]]", b"[1,2,3,4,5,6]", b'[{},{"a":[]},1]'):
        with pytest.raises(ValueError, match="entries, but may have at most 5"):
            check_entries(content)
