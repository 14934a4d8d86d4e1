"""Small files of a run, a release and an arena where the disk is full: the old one stays, and the message names it."""

import errno
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from mai1.arena.battles import Judgement, JudgementFile
from mai1.run.directory import write_atomically


@pytest.fixture
def no_room() -> Iterator[None]:
    """No file of this process may grow beyond a few bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_cannot_be_replaced_stays_and_is_named(tmp_path: Path, request: pytest.FixtureRequest):
    path = tmp_path / "facts.json"
    write_atomically(path, "{}")
    request.getfixturevalue("no_room")
    with pytest.raises(OSError, match="facts.json'$") as error:
        write_atomically(path, "x" * 100)
    assert error.value.errno == errno.EFBIG
    assert path.read_text() == "{}\n" and list(tmp_path.iterdir()) == [path]


def test_a_judgement_without_room_is_named_and_its_half_line_forgotten(tmp_path: Path, request: pytest.FixtureRequest):
    file = JudgementFile(tmp_path / "battles.jsonl")
    request.getfixturevalue("no_room")
    with pytest.raises(OSError, match="battles.jsonl'$"):
        file.add(Judgement("1", "a", "b", "left", "person"))
    assert file.judgements == [] and JudgementFile(tmp_path / "battles.jsonl").judgements == []
