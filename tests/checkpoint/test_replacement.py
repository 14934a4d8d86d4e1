"""What is published over something that is there: a whole directory stands at the place, whenever the process is killed."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mai1.checkpoint import commit
from mai1.checkpoint.exchange import exchange
from mai1.checkpoint.manifest import read_manifest
from mai1.checkpoint.tensor_file import write_bytes
from mai1.checkpoint.verify import problems_in
from tests.support.checkpoints import HEAD

STEPS = ("rename", "fsync", "unlink", "rmdir", "open")
"""Functions of os between whose calls a process is killed; opens are where deletion looks into a folder."""


class KilledError(BaseException):
    """In place of a SIGKILL: nothing in the protocol catches it."""


def stage_of_files(place: Path, content: bytes) -> tuple[Path, dict]:
    """A stage of two files in two folders, and its manifest."""
    stage = commit.make_stage(place)
    files = {name: write_bytes(stage / name, content * count) for name, count in (("a.bin", 9), ("trainer/b.bin", 4))}
    return stage, HEAD | {"step": 1, "heldout_loss": None, "files": files, "optimizer": {}}


def publish(place: Path, content: bytes) -> None:
    stage, manifest = stage_of_files(place, content)
    commit.publish(stage, place, manifest=manifest)


def is_whole(directory: Path) -> bool:
    """All its files are as its manifest says and none is from another."""
    manifest = read_manifest(directory)
    found = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    return not problems_in(directory, manifest) and found == {*manifest["files"], "manifest.json"}


def content_of(directory: Path) -> bytes:
    return (directory / "a.bin").read_bytes()[:3]


@contextmanager
def killed_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Raise before the call of that number of a function that changes anything; yields the names of calls that were made."""
    made: list[str] = []

    def counting(name: str, function: Callable) -> Callable:
        def called(*arguments: object, **options: object) -> object:
            if len(made) == number:
                raise KilledError
            made.append(name)
            return function(*arguments, **options)

        return called

    with monkeypatch.context() as patch:
        for name in STEPS:
            patch.setattr(os, name, counting(name, getattr(os, name)))
        patch.setattr(commit, "exchange", counting("exchange", commit.exchange))
        yield made


def can_exchange(folder: Path) -> bool:
    for name in ("one", "other"):
        (folder / name).mkdir(parents=True)
    return exchange(folder / "one", folder / "other")


def replacements_killed_everywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, Path, list[str]]]:
    """Of a release that is replaced, killed before each step in turn, and at last not: place, stage, and what was done."""
    number, is_done = 0, False
    while not is_done:
        place = folder / str(number) / "release"
        publish(place, b"old")
        stage, manifest = stage_of_files(place, b"new")
        with killed_at(number, monkeypatch) as made:
            try:
                commit.publish(stage, place, manifest=manifest)
                is_done = True
            except KilledError:
                pass
        yield place, stage, made
        number += 1


def test_a_kill_at_any_step_leaves_the_old_or_the_new_release_whole_at_its_place(tmp_path, monkeypatch):
    if not can_exchange(tmp_path / "probe"):
        pytest.skip("this file system exchanges no names")
    seen = []
    for place, _, made in replacements_killed_everywhere(tmp_path, monkeypatch):
        assert is_whole(place), f"killed after {made}"
        seen.append(content_of(place))
        publish(place, b"two")  # the next one clears up whatever is left
        assert is_whole(place) and content_of(place) == b"two"
        assert [path.name for path in place.parent.iterdir()] == ["release"]
    assert seen == sorted(seen, reverse=True) and set(seen) == {b"old", b"new"} and len(seen) > 10


def test_where_names_cannot_be_exchanged_a_kill_leaves_both_whole_or_one_at_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr(commit, "exchange", lambda one, other: False)
    at_place = []
    for place, stage, made in replacements_killed_everywhere(tmp_path, monkeypatch):
        at_place.append(place.exists())
        if at_place[-1]:
            assert is_whole(place), f"killed after {made}"
        else:
            assert is_whole(stage) and content_of(stage) == b"new"
            trash = place.with_name(".staging-trash-release")
            assert is_whole(trash) and content_of(trash) == b"old"
        publish(place, b"two")
        assert is_whole(place)
    assert at_place.count(False) == 1  # between the two renames


def test_a_second_rename_that_fails_puts_the_old_one_back(tmp_path, monkeypatch):
    place = tmp_path / "release"
    publish(place, b"old")
    stage, manifest = stage_of_files(place, b"new")
    monkeypatch.setattr(commit, "exchange", lambda one, other: False)
    rename = os.rename

    def failing(one: Path, other: Path) -> None:
        if one == stage:
            raise PermissionError(13, "Permission denied", str(one))
        rename(one, other)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(PermissionError):
        commit.publish(stage, place, manifest=manifest)
    assert is_whole(place) and content_of(place) == b"old"


@pytest.mark.parametrize("can", [True, False])
def test_an_old_one_that_cannot_be_deleted_is_named_and_the_new_one_is_there(tmp_path, monkeypatch, capsys, can):
    place = tmp_path / "release"
    publish(place, b"old")
    stage, manifest = stage_of_files(place, b"new")
    if not can:
        monkeypatch.setattr(commit, "exchange", lambda one, other: False)
    whole = shutil.rmtree

    def stubborn(path: Path, **options: object) -> None:
        if path.name.startswith(commit.STAGE_PREFIX):
            raise PermissionError(13, "Permission denied", str(path))
        whole(path, **options)

    monkeypatch.setattr(shutil, "rmtree", stubborn)
    commit.publish(stage, place, manifest=manifest)
    assert is_whole(place) and content_of(place) == b"new"
    assert f"which was {place}, could not be deleted" in capsys.readouterr().err


def test_two_names_are_exchanged_or_nothing_is_changed(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "said").write_text(name)
    is_done = exchange(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "one" / "said").read_text() == ("other" if is_done else "one")
    assert (tmp_path / "other" / "said").read_text() == ("one" if is_done else "other")
    assert not exchange(tmp_path / "one", tmp_path / "absent")
    assert (tmp_path / "one" / "said").exists() and not (tmp_path / "absent").exists()


def test_a_link_at_the_place_is_exchanged_itself(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("kept")
    (tmp_path / "release").symlink_to(tmp_path / "elsewhere")
    publish(tmp_path / "release", b"new")
    assert is_whole(tmp_path / "release") and not (tmp_path / "release").is_symlink()
    assert (tmp_path / "elsewhere" / "precious").read_text() == "kept"
